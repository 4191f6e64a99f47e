//! What a task asks for, looked at before anything is embedded.

use super::EvalSet;
use super::columns::query_columns;
use super::listing::Listing;
use anyhow::{Context, Result};
use configs::{Task, TaskKind};
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
    let mut query_ids = None;
    if let Some(path) = &task.queries {
        let queries = prepare::queries(path, &query_columns(task, set))?;
        said.push(format!("{} queries", queries.len()));
        query_ids = Some(queries.into_iter().map(|query| query.id).collect::<HashSet<_>>());
    }
    if let Some(path) = &task.qrels {
        let qrels = match products {
            Some(products) => products.judgements(path, task)?.0,
            None => Qrels::read(path)?,
        };
        if let Some(products) = products {
            let ids: HashSet<&str> = products.ids.iter().map(String::as_str).collect();
            let is_product = |id: &str| ids.contains(id);
            let products = (ids.len(), is_product);
            match &query_ids {
                Some(ids) => qrels.expect_known((ids.len(), |id| ids.contains(id)), products)?,
                None => qrels.expect_known(products, products)?,
            }
        }
        said.push(format!("judgements for {} queries", qrels.len()));
    }
    match (task.kind, &task.relevant, &task.attribute, products) {
        (TaskKind::ItemToItem, Some(column), _, Some(products)) => {
            products.alike(column)?;
        }
        (TaskKind::ZeroShot, _, Some(column), Some(products)) => {
            products.classes(column)?;
        }
        _ => {}
    }
    Ok((!said.is_empty()).then(|| format!("{}: {}", task.name(), said.join(", "))))
}
