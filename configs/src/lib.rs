#![doc = include_str!("../README.md")]

mod auto;
mod cadence;
mod data;
mod de;
mod error;
mod fault;
mod load;
mod model;
mod outputs;
mod overrides;
pub mod prepare;
mod training;
mod tree;
mod validate;

pub use auto::{Micro, Streams, Workers};
pub use cadence::{Cadence, Duration};
pub use data::{
    Alternative, Augment, Cache, CaptionChoice, CaptionSource, Clean, Columns, Data, Decode, Piece,
    Shuffle, Source, Template, TemplateError, Text, Train,
};
pub use error::{ConfigError, Issue};
pub use load::RunConfig;
pub use model::{Freeze, FreezeTower, Init, Model, RandomInit};
pub use outputs::{Checkpoint, Eval, Log};
pub use training::{
    Backend, Batch, Decay, Device, Dist, Duplicates, GradientDtype, Loss, LossKind, Memory, Optim,
    Positives, Precision, Recompute, Schedule,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run as its YAML file states it: every key known and typed, nothing checked across keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Name of the run and of its folder.
    pub name: String,
    /// Everything random follows from it: initial weights, shuffling, crops, caption draws.
    #[serde(default)]
    pub seed: u64,
    /// How long to train.
    pub duration: Duration,
    /// Where tensors live.
    #[serde(default)]
    pub device: Device,
    /// Arithmetic of the towers.
    #[serde(default)]
    pub precision: Precision,
    /// Which CLIP, and which parts of it learn.
    pub model: Model,
    /// What to train on and how it is read.
    pub data: Data,
    /// Batch sizes.
    pub batch: Batch,
    /// The contrastive loss.
    #[serde(default)]
    pub loss: Loss,
    /// How a step's memory is spent.
    #[serde(default)]
    pub memory: Memory,
    /// How the processes of a run work together.
    #[serde(default)]
    pub dist: Dist,
    /// AdamW.
    pub optim: Optim,
    /// The learning rate over the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// Retrieval evaluation. Left out: none during training.
    #[serde(default)]
    pub eval: Option<Eval>,
    /// Checkpoints.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// What is reported while training.
    #[serde(default)]
    pub log: Log,
}

/// The JSON schema of a configuration file, for editors: every key with its description, type
/// and default.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawConfig).to_value()
}
