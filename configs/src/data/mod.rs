//! The `data` section: shards, columns, captions, pictures, order.

mod augment;
mod captions;
mod columns;
mod sources;
mod template;
mod text;

pub use augment::{Augment, Decode};
pub use captions::{Alternative, CaptionChoice, CaptionSource};
pub use columns::Columns;
pub use sources::{Source, Train};
pub use template::{Piece, Template, TemplateError};
pub use text::{Clean, Text};

use crate::{Streams, WindowRows, Workers};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to train on and how it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Parquet files, folders, globs or URLs; or sources with weights.
    pub train: Train,
    /// A folder that keeps what was fetched from object stores; left out: nothing is kept.
    #[serde(default)]
    pub cache: Option<Cache>,
    /// Which column plays which role.
    #[serde(default)]
    pub columns: Columns,
    /// How captions become token ids.
    #[serde(default)]
    pub text: Text,
    /// How pictures are augmented in training. Evaluation never augments.
    #[serde(default)]
    pub augment: Augment,
    /// How rows are shuffled.
    #[serde(default)]
    pub shuffle: Shuffle,
    /// Threads that decode and tokenise.
    #[serde(default)]
    pub workers: Workers,
    /// Batches decoded ahead of the step.
    #[serde(default = "prefetch")]
    pub prefetch: usize,
    /// The share of all rows that may be unusable before the run stops, in [0, 1].
    #[serde(default = "max_bad_fraction")]
    pub max_bad_fraction: f64,
}

/// Where parts of remote shards are kept for the next epoch and the next run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// A folder on a local disk; runs and processes may share it.
    pub dir: PathBuf,
    /// What it may hold, in GB (10^9 bytes); a few hundredths more for a moment.
    pub max_gb: f64,
}

fn prefetch() -> usize {
    4
}
fn max_bad_fraction() -> f64 {
    0.01
}

/// How rows are shuffled: the row groups of all shards are permuted by (seed, epoch), the
/// sequence is cut into `streams` equal parts, and each part is permuted within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shuffle {
    /// Canonical streams, each giving an equal share of every global batch.
    pub streams: Streams,
    /// Rows of a stream permuted together.
    pub window_rows: WindowRows,
}
