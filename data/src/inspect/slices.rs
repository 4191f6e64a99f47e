//! Rows by product type.

use super::{Seen, Tally};
use serde::Serialize;
use std::collections::HashMap;

/// Slices that are listed.
const LISTED: usize = 1_000;

/// Rows by the value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slices {
    /// The column.
    pub column: String,
    /// Over how many rows.
    pub seen: Seen,
    /// Rows where it is null.
    pub missing: u64,
    /// Different values.
    pub distinct: u64,
    /// The values with most rows, at most 1,000.
    pub largest: Vec<Tally>,
}

/// Rows counted so far.
#[derive(Default)]
pub(super) struct Counter {
    rows: u64,
    missing: u64,
    values: HashMap<String, u64>,
}

impl Counter {
    /// A row.
    pub fn add(&mut self, value: Option<String>) {
        self.rows += 1;
        match value {
            Some(value) => *self.values.entry(value).or_default() += 1,
            None => self.missing += 1,
        }
    }

    /// The figures, of `of` rows in all.
    pub fn finish(self, column: &str, of: u64) -> Slices {
        let distinct = self.values.len() as u64;
        let values = self.values.into_iter();
        let mut largest: Vec<Tally> = values.map(|(value, rows)| Tally { value, rows }).collect();
        largest.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.value.cmp(&b.value)));
        largest.truncate(LISTED);
        let (column, seen) = (column.into(), Seen::new(self.rows, of));
        Slices { column, seen, missing: self.missing, distinct, largest }
    }
}
