//! The sections that say what a run leaves behind: evaluation, checkpoints, logs.

use crate::Cadence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Retrieval evaluation during training and by `vlclip eval`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Parquet files, folders or globs with held-out products, in the columns of `data.columns`.
    pub items: Vec<String>,
    /// How often during training. It also runs before step 0, as the baseline, and after the last.
    pub every: Cadence,
    /// Cut-offs of the ranking metrics.
    #[serde(default = "ks")]
    pub k: Vec<usize>,
    /// Pairs embedded at once.
    #[serde(default = "eval_batch")]
    pub batch: usize,
}

fn ks() -> Vec<usize> {
    vec![1, 5, 10]
}
fn eval_batch() -> usize {
    128
}

/// Checkpoints of a run, in `<dir>/<name>/step-XXXXXXXX`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Folder that holds the run's folder.
    pub dir: PathBuf,
    /// How often; one is also written at the end and on SIGINT or SIGTERM.
    pub every: Cadence,
    /// The newest so many are kept, besides the best.
    pub keep: usize,
    /// The evaluation metric whose highest value marks the best, as `task/metric`.
    pub best: String,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            dir: "checkpoints/runs".into(),
            every: Cadence::Steps(500),
            keep: 2,
            best: "text_to_image/hits@5".into(),
        }
    }
}

/// What is reported while training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How often a line goes to the terminal and to `metrics.jsonl`.
    pub every: Cadence,
    /// Whether `samples.jsonl` records which rows every step trained on.
    pub samples: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: Cadence::Steps(10), samples: false }
    }
}
