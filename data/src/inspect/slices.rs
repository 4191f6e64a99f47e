//! Rows by product type.

use super::{Duplicates, Seen, Tally, duplicates};
use serde::Serialize;
use std::collections::HashMap;

/// Slices that are listed.
const LISTED: usize = 1_000;

/// Rows by the value of a column, and whether files are sorted by it.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// The probability that two rows of one window, which lie together in one row group, have one
    /// value: near 1 where files are sorted by it.
    pub equal_in_window: f64,
    /// The same for any other two rows.
    pub equal_elsewhere: f64,
}

/// Rows counted so far.
#[derive(Default)]
pub(super) struct Counter {
    rows: u64,
    missing: u64,
    values: HashMap<String, u64>,
    pairs: duplicates::Counter,
}

impl Counter {
    /// A row.
    pub fn add(&mut self, value: Option<String>) {
        self.rows += 1;
        self.pairs.add(value.as_deref().as_slice());
        match value {
            Some(value) => *self.values.entry(value).or_default() += 1,
            None => self.missing += 1,
        }
    }

    /// The rows since the last call were consecutive, and those to come are others.
    pub fn end_window(&mut self) {
        self.pairs.end_window();
    }

    /// The figures, of `of` rows in all.
    pub fn finish(self, column: &str, of: u64) -> Slices {
        let distinct = self.values.len() as u64;
        let values = self.values.into_iter();
        let mut largest: Vec<Tally> = values.map(|(value, rows)| Tally { value, rows }).collect();
        largest.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.value.cmp(&b.value)));
        largest.truncate(LISTED);
        let Duplicates { equal_in_window, equal_elsewhere, .. } = self.pairs.finish(of);
        Slices {
            column: column.into(),
            seen: Seen::new(self.rows, of),
            missing: self.missing,
            distinct,
            largest,
            equal_in_window,
            equal_elsewhere,
        }
    }
}
