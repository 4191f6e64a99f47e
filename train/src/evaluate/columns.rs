//! The columns that tasks and slices need, of the shards and of queries files.

use super::EvalSet;
use super::products::CAPTION_LENGTH;
use configs::{Task, TaskKind};
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
