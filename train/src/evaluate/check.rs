//! What a task asks for, looked at before anything is embedded.

use super::EvalSet;
use super::columns::query_columns;
use super::listing::Listing;
use anyhow::{Context, Result};
use configs::Task;
use eval::Qrels;
use std::collections::HashSet;

/// Reads the files of `task`, and compares judgements and labels with the products where `products` are
/// known. Says what the files hold, `None` where it names none.
///
/// # Errors
/// What [`super::evaluate`] would refuse after embedding: a file that cannot be read, or lacks a column
/// that `set` needs; judgements of unknown queries or products; a column that makes nothing relevant, or
/// too much, or has no classes.
pub fn check_task(
    task: &Task,
    set: &EvalSet,
    products: Option<&Listing>,
) -> Result<Option<String>> {
    contents(task, set, products).with_context(|| format!("task `{}`", task.name()))
}

fn contents(task: &Task, set: &EvalSet, products: Option<&Listing>) -> Result<Option<String>> {
    let mut said = Vec::new();
    let queries = match &task.queries {
        Some(path) => Some(prepare::queries(path, &query_columns(task, set))?),
        None => None,
    };
    if let Some(queries) = &queries {
        said.push(format!("{} queries", queries.len()));
    }
    if let Some(path) = &task.qrels {
        let qrels = match products {
            Some(products) => {
                let qrels = products.judgements(path, task)?.0;
                // Without a file of queries the products are queries themselves.
                let asked = match &queries {
                    Some(queries) => queries.iter().map(|query| query.id.as_str()).collect(),
                    None => ids(products),
                };
                expect_known(&qrels, &asked, &ids(products))?;
                qrels
            }
            None => Qrels::read(path)?,
        };
        said.push(format!("judgements for {} queries", qrels.len()));
    }
    if let Some(products) = products {
        if let Some(column) = &task.relevant {
            products.alike(column)?;
        }
        if let Some(column) = &task.attribute {
            products.classes(column)?;
        }
    }
    Ok((!said.is_empty()).then(|| format!("{}: {}", task.name(), said.join(", "))))
}

fn ids(products: &Listing) -> HashSet<&str> {
    products.ids.iter().map(String::as_str).collect()
}

fn expect_known(qrels: &Qrels, queries: &HashSet<&str>, items: &HashSet<&str>) -> Result<()> {
    let queries = (queries.len(), |id: &str| queries.contains(id));
    Ok(qrels.expect_known(queries, (items.len(), |id: &str| items.contains(id)))?)
}
