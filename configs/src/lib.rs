#![doc = include_str!("../README.md")]

pub mod ablation;
mod auto;
mod cadence;
mod data;
mod de;
mod error;
mod eval;
mod fault;
mod load;
mod model;
mod outputs;
mod overrides;
pub mod prepare;
mod sides;
mod training;
mod tree;
mod validate;

pub use auto::{Micro, Streams, WindowRows, Workers};
pub use cadence::{Cadence, Duration};
pub use data::{
    Alternative, Augment, Cache, CaptionChoice, CaptionSource, Clean, Columns, Data, Decode, Piece,
    Shuffle, Source, Template, TemplateError, Text, Train,
};
pub use error::{ConfigError, Issue};
pub use eval::{CaptionsUsed, EarlyStopping, Eval, EvalTasks, Guard, MissingItems, Task, TaskKind};
pub use fault::nearest;
pub use load::{Checked, Unchecked};
pub use model::{Freeze, FreezeTower, Init, Model, RandomInit};
pub use outputs::{Checkpoint, Log};
pub use sides::Sides;
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

/// A checked [`RawConfig`].
pub type RunConfig = Checked<RawConfig>;

impl Unchecked for RawConfig {
    fn issues(&self) -> Vec<Issue> {
        validate::issues(self)
    }
}

impl RawConfig {
    /// Checks values against their ranges and one another.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem found.
    pub fn validate(self) -> Result<RunConfig, ConfigError> {
        Checked::new(self)
    }
}

/// The JSON schema of a configuration file, for editors: every key with its description, type
/// and default.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawConfig).to_value()
}
