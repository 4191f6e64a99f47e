//! How long captions are, and how many of them are cut to the model's context.

use super::spread::histogram;
use super::{Bin, Seen, Spread};
use crate::{DataError, Tokenizer};
use serde::Serialize;

/// Bins of the histogram of lengths.
const BINS: u64 = 12;

/// What captions are like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptionLengths {
    /// Over how many rows.
    pub seen: Seen,
    /// Rows without a caption, or with empty ones only.
    pub missing: u64,
    /// Captions of a row that has any.
    pub per_row: Option<Spread>,
    /// Captions of all these rows.
    pub count: u64,
    /// What lengths are counted in.
    pub unit: Unit,
    /// Length of a caption, start and end tokens included, before it is cut.
    pub length: Option<Spread>,
    /// Captions by length.
    pub histogram: Vec<Bin>,
    /// The most tokens that the model reads, where a tokenizer is given.
    pub context_length: Option<u64>,
    /// Captions with more tokens than that: their ends are never seen.
    pub truncated: Option<u64>,
}

/// What lengths of captions are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Token ids, start and end included.
    Tokens,
    /// Words between spaces: no tokenizer was given.
    Words,
}

/// The length of a caption before it is cut: tokens, or words where there is no tokenizer.
pub(super) fn length(caption: &str, tokenizer: Option<&Tokenizer>) -> Result<u64, DataError> {
    match tokenizer {
        Some(tokenizer) => Ok(tokenizer.full_length(caption)? as u64),
        None => Ok(caption.split_whitespace().count() as u64),
    }
}

/// Captions counted so far.
#[derive(Default)]
pub(super) struct Counter {
    rows: u64,
    missing: u64,
    per_row: Vec<u64>,
    lengths: Vec<u64>,
}

impl Counter {
    /// A row by the lengths of its usable captions.
    pub fn add(&mut self, lengths: &[u64]) {
        self.rows += 1;
        self.missing += u64::from(lengths.is_empty());
        if !lengths.is_empty() {
            self.per_row.push(lengths.len() as u64);
            self.lengths.extend(lengths);
        }
    }

    /// The figures, of `of` rows in all.
    pub fn finish(self, of: u64, tokenizer: Option<&Tokenizer>) -> CaptionLengths {
        let context = tokenizer.map(|tokenizer| tokenizer.context_length() as u64);
        let cut = |context| self.lengths.iter().filter(|length| **length > context).count() as u64;
        CaptionLengths {
            seen: Seen::new(self.rows, of),
            missing: self.missing,
            per_row: Spread::of(self.per_row),
            count: self.lengths.len() as u64,
            unit: if tokenizer.is_some() { Unit::Tokens } else { Unit::Words },
            histogram: histogram(&self.lengths, BINS),
            context_length: context,
            truncated: context.map(cut),
            length: Spread::of(self.lengths),
        }
    }
}
