//! The sections that say how the weights move: batch, loss, optimiser, schedule, precision.

use crate::Micro;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Batch sizes in training pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Pairs per optimiser step over all ranks (N), at least 2.
    pub size: usize,
    /// Pairs of a rank that go through the towers at once; the gradients do not depend on it.
    /// `auto`: the most that fit into the device's memory. Left out: all pairs of the rank.
    #[serde(default)]
    pub micro: Option<Micro>,
}

/// The contrastive loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// Which loss.
    pub kind: LossKind,
    /// How pairs of one product meet in a batch.
    pub positives: Positives,
    /// What makes two pairs of a batch duplicates of one another, for `positives`.
    pub duplicates: Duplicates,
    /// Share of the target spread evenly: over all columns that count (info_nce), or over match
    /// and no match (siglip). In [0, 1).
    pub label_smoothing: f64,
    /// Start of siglip's learnable bias, which is added to the scaled cosines; SigLIP's own is -10.
    pub init_logit_bias: f64,
    /// Rows and columns of the similarity matrix computed at once; the N x N matrix never exists.
    pub tile: usize,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            kind: LossKind::InfoNce,
            positives: Positives::Mask,
            duplicates: Duplicates::ProductOrCaption,
            label_smoothing: 0.0,
            init_logit_bias: -10.0,
            tile: 1024,
        }
    }
}

/// The contrastive losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Softmax over the batch in both directions, as in CLIP (arXiv 2103.00020).
    #[default]
    InfoNce,
    /// A sigmoid per pair with a learnable bias, as in SigLIP (arXiv 2303.15343).
    Siglip,
}

/// How duplicates, which are pairs of one product or with one caption, count against one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Positives {
    /// They are not negatives of one another: left out of each other's terms.
    #[default]
    Mask,
    /// They are positives of one another: a row's target is spread evenly over its duplicates and
    /// itself (supervised contrastive learning, arXiv 2004.11362).
    Share,
    /// Nothing is looked at: every other row is a negative.
    Ignore,
}

/// What makes two pairs of a batch duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Equal product ids.
    Product,
    /// Captions with the same tokens.
    Caption,
    /// Either.
    #[default]
    ProductOrCaption,
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

/// Arithmetic of the towers. Master weights, optimiser state and the loss are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    F32,
    /// 32-bit floats whose matrix products round their inputs to 10 bits of mantissa, on GPUs.
    Tf32,
    /// Autocast to bfloat16.
    Bf16,
    /// Towers in bfloat16 throughout, over f32 master weights in the optimiser. Gradients are rounded
    /// to bfloat16, and summed over micro-batches in it.
    PureBf16,
    /// Autocast to float16 with a gradient scaler.
    Fp16,
}

/// How a step's memory is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Which activations are computed again in the backward pass instead of being kept.
    pub recompute: Recompute,
}

/// Activations computed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    /// None.
    #[default]
    None,
    /// Those inside each transformer block: a third more arithmetic, far less memory.
    Blocks,
}

/// How the processes of a run work together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dist {
    /// What carries tensors between processes.
    pub backend: Backend,
    /// Seconds that a process waits for the others in one exchange of tensors, and at the start.
    pub timeout_s: u64,
    /// Seconds of silence after which a process counts as stalled.
    pub heartbeat_s: u64,
    /// The dtype in which gradients are summed over processes.
    pub gradients: GradientDtype,
}

impl Default for Dist {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            timeout_s: 1800,
            heartbeat_s: 30,
            gradients: GradientDtype::F32,
        }
    }
}

/// What carries tensors between processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// NCCL between GPUs, Gloo between CPUs.
    #[default]
    Auto,
    /// NCCL.
    Nccl,
    /// Gloo.
    Gloo,
}

/// The dtype in which gradients are summed over processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradientDtype {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16: half the traffic, 8 bits of mantissa.
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
