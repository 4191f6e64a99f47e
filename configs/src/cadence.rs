//! When something happens: at a step count, or after an amount of wall time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often something happens: `{steps: 100}` or `{minutes: 30}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Every so many optimiser steps.
    Steps(u64),
    /// Every so many minutes of wall time.
    Minutes(f64),
}

/// How long a run lasts: `{steps: 2000}` or `{epochs: 3}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duration {
    /// Optimiser steps, 1 to 1e9.
    Steps(u64),
    /// Passes over the training data, 1 to 1e9, the last incomplete batch of each dropped.
    Epochs(u64),
}
