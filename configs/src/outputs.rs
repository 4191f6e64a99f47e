//! The sections that say what a run leaves behind: checkpoints, logs.

use crate::Cadence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
