//! The files that a task names; they can be looked at without products or a model.

use super::EvalSet;
use super::products::CAPTION_LENGTH;
use anyhow::{Context, Result};
use configs::{Task, TaskKind};
use eval::Qrels;
use std::collections::BTreeSet;

/// Columns of the shards that the tasks and slices of `set` need.
pub fn label_columns(set: &EvalSet) -> Vec<String> {
    // Slices of a queries file are its own columns.
    let of_products = set.tasks.iter().any(|task| task.kind != TaskKind::QueryToItem);
    let slices = set.slices.iter().filter(|slice| of_products && *slice != CAPTION_LENGTH);
    let of_tasks = set
        .tasks
        .iter()
        .flat_map(|task| [&task.within, &task.relevant, &task.attribute].into_iter().flatten());
    let all: BTreeSet<&String> = slices.chain(of_tasks).collect();
    all.into_iter().cloned().collect()
}

/// Columns of a queries file that `task` and the slices of `set` need.
pub fn query_columns(task: &Task, set: &EvalSet) -> Vec<String> {
    let slices = set.slices.iter().filter(|slice| *slice != CAPTION_LENGTH);
    let mut columns: Vec<String> = slices.cloned().collect();
    if let Some(column) = task.within.as_ref().filter(|within| !columns.contains(within)) {
        columns.push(column.clone());
    }
    columns
}

/// Reads the files of `task`: says what they hold, `None` where it names none.
///
/// # Errors
/// A file that cannot be read, or lacks a column that `set` needs.
pub fn contents(task: &Task, set: &EvalSet) -> Result<Option<String>> {
    let mut said = Vec::new();
    if let Some(path) = &task.queries {
        let queries = prepare::queries(path, &query_columns(task, set));
        let queries = queries.with_context(|| format!("task `{}`", task.name()))?;
        said.push(format!("{} queries", queries.len()));
    }
    if let Some(path) = &task.qrels {
        let qrels = Qrels::read(path).with_context(|| format!("task `{}`", task.name()))?;
        said.push(format!("judgements for {} queries", qrels.len()));
    }
    Ok((!said.is_empty()).then(|| format!("{}: {}", task.name(), said.join(", "))))
}
