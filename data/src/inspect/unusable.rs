//! Rows that training would skip.

use super::Seen;
use crate::{Cause, SampleId};
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows that are named.
const NAMED: usize = 5;

/// Rows that training would skip, by the cause that the loader counts them under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Over how many rows.
    pub seen: Seen,
    /// Whether pictures were decoded; else only missing ones are found.
    pub decoded: bool,
    /// Rows by cause.
    pub by_cause: BTreeMap<Cause, u64>,
    /// The first of them: shard, row, product and why.
    pub first: Vec<String>,
}

impl Unusable {
    /// All of them.
    pub fn rows(&self) -> u64 {
        self.by_cause.values().sum()
    }
}

/// Rows counted so far.
#[derive(Default)]
pub(super) struct Counter {
    rows: u64,
    by_cause: BTreeMap<Cause, u64>,
    first: Vec<String>,
}

impl Counter {
    /// A row, and why it is unusable if it is.
    pub fn add(&mut self, unusable: Option<(Cause, String)>, id: &SampleId) {
        self.rows += 1;
        let Some((cause, detail)) = unusable else { return };
        *self.by_cause.entry(cause).or_default() += 1;
        if self.first.len() < NAMED {
            let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
            self.first.push(format!("{id}: {cause}{detail}"));
        }
    }

    /// The figures, of `of` rows in all.
    pub fn finish(self, of: u64, decoded: bool) -> Unusable {
        let Self { rows, by_cause, first } = self;
        Unusable { seen: Seen::new(rows, of), decoded, by_cause, first }
    }
}
