//! The sections that say how the weights move: batch, loss, optimiser, schedule, precision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Batch sizes in training pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Pairs per optimiser step over all ranks (N), at least 2.
    pub size: usize,
    /// Pairs that go through the towers at once; the gradients do not depend on it.
    /// Left out: the whole batch.
    #[serde(default)]
    pub micro: Option<usize>,
}

/// The contrastive loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// How pairs of one product meet in a batch.
    pub positives: Positives,
    /// Columns of the similarity matrix computed at once; the N x N matrix never exists.
    pub tile: usize,
}

impl Default for Loss {
    fn default() -> Self {
        Self { positives: Positives::Mask, tile: 1024 }
    }
}

/// How rows that share a product id count against one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Positives {
    /// They are not negatives of one another: left out of each other's denominator.
    #[default]
    Mask,
    /// Product ids are not looked at: every other row is a negative.
    Ignore,
}

/// AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Optim {
    /// Peak learning rate.
    pub lr: f64,
    /// Exponential decay rates of the first and second moment.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the denominator.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Decoupled weight decay; never on biases, norms and logit_scale.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Gradients are scaled down to at most this L2 norm. Left out: never.
    #[serde(default)]
    pub max_grad_norm: Option<f64>,
}

fn betas() -> [f64; 2] {
    [0.9, 0.98] // open_clip's for ViT towers
}
fn eps() -> f64 {
    1e-6
}
fn weight_decay() -> f64 {
    0.2
}

/// The learning rate over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Shape after warm-up.
    pub kind: Decay,
    /// Steps over which the rate rises linearly from 0.
    pub warmup_steps: u64,
    /// Learning rate at the last step, as a fraction of the peak.
    pub final_fraction: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { kind: Decay::Cosine, warmup_steps: 0, final_fraction: 0.0 }
    }
}

/// Shape of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine from the peak to the final fraction.
    #[default]
    Cosine,
    /// A straight line from the peak to the final fraction.
    Linear,
    /// The peak throughout.
    Constant,
}

/// Arithmetic of the towers. Weights, optimiser state and the loss are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Autocast to bfloat16.
    Bf16,
}

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this process's local rank.
    Cuda,
}
