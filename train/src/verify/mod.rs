//! Proof on a user's own configuration that neither the number of processes nor micro-batches
//! change the training: the same first batches several ways, compared tensor by tensor.
//!
//! [`train_part`] trains one way and writes what came out; [`compare`] reads two of them. Starting
//! the processes is the command's.

mod compare;
mod figures;
mod part;

pub use compare::compare;
pub use figures::{Figures, Tolerances, Worst, judge, table};
pub use part::train_part;

use std::path::{Path, PathBuf};

/// Gradients of all ranks before they are clipped (`grad.NAME`) and `loss`.
fn gradients_file(dir: &Path, batch: u64) -> PathBuf {
    dir.join(format!("batch-{batch}-gradients.safetensors"))
}

/// Weights after the step (`NAME`) and `lr`, its learning rate.
fn weights_file(dir: &Path, batch: u64) -> PathBuf {
    dir.join(format!("batch-{batch}-weights.safetensors"))
}

/// Whether this parameter's gradient is zero in exact arithmetic, so that what is computed is
/// rounding noise: softmax ignores what all keys share.
fn learns_from_noise(name: &str) -> bool {
    name.ends_with("k_proj.bias")
}
