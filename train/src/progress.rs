//! Where a run stands: what has to be known to go on with it, besides tensors.

use crate::watch::Seen;
use data::Cursor;
use serde::{Deserialize, Serialize};

/// A position in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: u64,
    /// Training pairs seen.
    pub samples: u64,
    /// The next batch.
    pub cursor: Cursor,
    /// Epoch of the last batch, from 0.
    pub epoch_of_last_batch: u64,
    /// What the order of samples depends on besides the seed: the shards' row groups and the batch.
    pub data_fingerprint: u64,
    /// The step after which retrieval was last evaluated.
    pub evaluated: Option<u64>,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// What the evaluations have shown, for early stopping and the guard.
    #[serde(default)]
    pub seen: Seen,
}

/// The evaluation that marks the best checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// What was measured: values of different ones do not compare.
    pub of: Measured,
    /// Its value; higher is better.
    pub value: f64,
    /// The step after which it was reached; 0 for the baseline, which has no checkpoint.
    pub step: u64,
}

/// A metric on a set of products.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// As `task/metric`.
    pub metric: String,
    /// The shards of the products.
    pub items: Vec<String>,
}

/// The training data is not what it was when the run began.
#[derive(Debug, thiserror::Error)]
#[error(
    "the shards of `data.train` changed since step {step}: other files, row groups or rows; going on \
     would repeat and skip samples unnoticed. Restore them, or choose another `name`"
)]
pub struct DataChanged {
    /// Optimiser steps done with the former data.
    pub step: u64,
}

impl Progress {
    /// Notes the data's fingerprint at the start of a run and compares it when a run goes on.
    ///
    /// # Errors
    /// When the data changed in between.
    pub fn same_data(&mut self, fingerprint: u64) -> Result<(), DataChanged> {
        if self.step > 0 && self.data_fingerprint != fingerprint {
            return Err(DataChanged { step: self.step });
        }
        self.data_fingerprint = fingerprint;
        Ok(())
    }

    /// Counts a step over `samples` pairs, after which `next` is the next batch.
    pub fn advance(&mut self, samples: u64, next: Cursor) {
        self.step += 1;
        self.samples += samples;
        self.epoch_of_last_batch = self.cursor.epoch;
        self.cursor = next;
    }
}
