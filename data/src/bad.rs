//! Rows that cannot be used: why, how many, which, and when it is too many.

use crate::{DataError, SampleId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Warnings given per cause; further rows are only counted.
const MAX_WARNINGS: u64 = 10;
/// Rows that the final error names.
const MAX_EXAMPLES: usize = 5;

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The row lies in a damaged part of its shard.
    UnreadableRow,
    /// The picture is null or has no bytes.
    NoImage,
    /// The picture's bytes are not a whole JPEG, PNG or WebP, or its file cannot be read.
    UndecodableImage,
    /// The picture has more than [`crate::MAX_PIXELS`] pixels, or is so narrow that it would have
    /// when its shorter side is resized to the model's.
    OversizedImage,
    /// There is no caption, or only empty ones.
    NoCaption,
    /// The weight is null, negative or not finite.
    BadWeight,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnreadableRow => "unreadable row",
            Self::NoImage => "no image",
            Self::UndecodableImage => "undecodable image",
            Self::OversizedImage => "oversized image",
            Self::NoCaption => "no caption",
            Self::BadWeight => "unusable weight",
        })
    }
}

/// What was read since opening.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows handed out.
    pub rows: u64,
    /// Unusable rows by cause, each counted once per epoch.
    pub bad: BTreeMap<Cause, u64>,
    /// Captions handed out that were cut to the context length.
    pub truncated: u64,
    /// Rows handed out by source, where there are several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds those of another process.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.truncated += other.truncated;
        for (cause, rows) in &other.bad {
            *self.bad.entry(*cause).or_default() += rows;
        }
        for (source, rows) in &other.sources {
            *self.sources.entry(source.clone()).or_default() += rows;
        }
    }
}

/// One unusable row.
#[derive(Clone, Debug)]
pub(crate) struct BadRow {
    /// Why.
    pub cause: Cause,
    /// More about why; may be empty.
    pub detail: String,
    /// Its name.
    pub id: SampleId,
    /// Its number in the whole data set.
    pub row: u64,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.cause)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

/// Keeps count of unusable rows, within one pass and since opening.
pub(crate) struct Ledger {
    fraction: f64,
    /// Rows that one pass of this process reads.
    rows: u64,
    seen_in_pass: HashSet<u64>,
    causes_in_pass: BTreeMap<Cause, u64>,
    examples: Vec<String>,
    named: HashSet<u64>,
    named_by_cause: BTreeMap<Cause, u64>,
    warnings: Vec<String>,
}

impl Ledger {
    /// Allows `fraction` of `rows` rows in a pass to be unusable.
    pub fn new(fraction: f64, rows: u64) -> Result<Self, DataError> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(DataError::Config {
                field: "data.max_bad_fraction",
                expected: "a number in [0, 1]".into(),
                found: fraction.to_string(),
            });
        }
        Ok(Self {
            fraction,
            rows,
            seen_in_pass: HashSet::new(),
            causes_in_pass: BTreeMap::new(),
            examples: Vec::new(),
            named: HashSet::new(),
            named_by_cause: BTreeMap::new(),
            warnings: Vec::new(),
        })
    }

    /// Starts another pass over the rows.
    pub fn next_pass(&mut self) {
        self.seen_in_pass.clear();
        self.causes_in_pass.clear();
        self.examples.clear();
    }

    /// Counts a row, names it once and says when it is one too many.
    pub fn add(&mut self, bad: &BadRow, counts: &mut Counts) -> Result<(), DataError> {
        if !self.seen_in_pass.insert(bad.row) {
            return Ok(());
        }
        *counts.bad.entry(bad.cause).or_default() += 1;
        *self.causes_in_pass.entry(bad.cause).or_default() += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(bad.to_string());
        }
        if self.named.insert(bad.row) {
            self.warn(bad);
        }
        self.check(self.rows)
    }

    /// Says whether the unusable rows of this pass are too many among `rows`.
    pub fn check(&self, rows: u64) -> Result<(), DataError> {
        let num_bad = self.seen_in_pass.len() as u64;
        if num_bad as f64 <= self.fraction * rows as f64 {
            return Ok(());
        }
        let causes: Vec<String> =
            self.causes_in_pass.iter().map(|(cause, n)| format!("{cause}: {n}")).collect();
        Err(DataError::TooManyBad {
            bad: num_bad,
            rows,
            fraction: self.fraction,
            causes: causes.join(", "),
            examples: self.examples.join("; "),
        })
    }

    fn warn(&mut self, bad: &BadRow) {
        let number = self.named_by_cause.entry(bad.cause).or_default();
        *number += 1;
        if *number <= MAX_WARNINGS {
            self.warnings.push(format!("skipped {bad}"));
        } else if *number == MAX_WARNINGS + 1 {
            self.warnings.push(format!("skipped further rows ({}); now only counted", bad.cause));
        }
    }

    /// Adds warnings about more than rows.
    pub fn note(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    /// The warnings since the last call.
    pub fn drain_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::Arc;

    fn bad(row: u64, cause: Cause) -> BadRow {
        let shard = Arc::from(Path::new("a.parquet"));
        BadRow { cause, detail: String::new(), id: SampleId { shard, row, product: None }, row }
    }

    #[test]
    fn each_row_counts_once_per_pass_and_is_named_once() {
        let mut ledger = Ledger::new(0.5, 10).unwrap();
        let mut counts = Counts::default();
        for _ in 0..3 {
            ledger.add(&bad(4, Cause::NoImage), &mut counts).unwrap();
        }
        ledger.next_pass();
        ledger.add(&bad(4, Cause::NoImage), &mut counts).unwrap();
        assert_eq!(counts.bad[&Cause::NoImage], 2);
        assert_eq!(ledger.drain_warnings(), ["skipped shard `a.parquet` row 4: no image"]);
        assert!(ledger.drain_warnings().is_empty());
    }

    #[test]
    fn the_cap_stops_with_causes_and_examples() {
        let mut ledger = Ledger::new(0.2, 10).unwrap();
        let mut counts = Counts::default();
        ledger.add(&bad(1, Cause::NoImage), &mut counts).unwrap();
        ledger.add(&bad(2, Cause::NoCaption), &mut counts).unwrap();
        let error = ledger.add(&bad(3, Cause::NoImage), &mut counts).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 of 10 rows are unusable, more than max_bad_fraction = 0.2 allows \
             (no image: 2, no caption: 1); first: shard `a.parquet` row 1: no image; \
             shard `a.parquet` row 2: no caption; shard `a.parquet` row 3: no image"
        );
    }

    #[test]
    fn warnings_are_limited_per_cause() {
        let mut ledger = Ledger::new(1.0, 1000).unwrap();
        let mut counts = Counts::default();
        for row in 0..100 {
            ledger.add(&bad(row, Cause::NoCaption), &mut counts).unwrap();
        }
        ledger.add(&bad(500, Cause::NoImage), &mut counts).unwrap();
        let warnings = ledger.drain_warnings();
        assert_eq!(warnings.len(), 12);
        assert_eq!(warnings[10], "skipped further rows (no caption); now only counted");
        assert_eq!(counts.bad[&Cause::NoCaption], 100);
    }

    #[test]
    fn a_share_above_one_is_refused() {
        let error = Ledger::new(1.5, 10).err().unwrap().to_string();
        assert_eq!(error, "data.max_bad_fraction: expected a number in [0, 1], found 1.5");
    }
}
