//! How far the files of two parts lie apart.

use super::figures::{Figures, Worst};
use super::{gradients_file, learns_from_noise, weights_file};
use crate::tensors;
use anyhow::{Result, ensure};
use checkpoints::TensorFile;
use std::path::Path;
use tch::{Kind, Tensor};

/// A smaller tensor is taken for one of so many elements: of a few, one that moves by rounding
/// alone would be a large share.
const FEW_ELEMENTS: usize = 1000;

/// Compares what [`train_part`](super::train_part) wrote into `found` with what it wrote into
/// `reference`, batch by batch.
///
/// # Errors
/// When a file cannot be read, or they hold different tensors.
pub fn compare(reference: &Path, found: &Path, num_batches: u64) -> Result<Vec<Figures>> {
    let mut moved = 0.0;
    (1..=num_batches)
        .map(|batch| {
            let [a, b] = [reference, found].map(|dir| Part::open(&gradients_file(dir, batch)));
            let (a, b) = (a?, b?);
            let loss = relative(&a.get("loss")?, &b.get("loss")?, &a.get("loss")?);
            let gradients = worst(&a, &b, |name, a_grad, b_grad| {
                let scale = match name.strip_suffix("k_proj.bias") {
                    Some(block) => a.get(&format!("{block}k_proj.weight"))?,
                    None => a_grad.shallow_clone(),
                };
                Ok(relative(a_grad, b_grad, &scale))
            })?;

            let [a, b] = [reference, found].map(|dir| Part::open(&weights_file(dir, batch)));
            let (a, b) = (a?, b?);
            moved += f64::try_from(a.get("lr")?)?;
            let weights = worst(&a, &b, |name, a, b| {
                if learns_from_noise(name) {
                    return Ok(0.0);
                }
                // Each step may round a weight to its neighbour in f32; early in a warm-up that is
                // no small part of the learning rate.
                let rounding = a.abs() * (f64::from(f32::EPSILON) * batch as f64);
                let beyond = ((a - b).abs() - rounding).clamp_min(0.0);
                let elements = beyond.numel().max(FEW_ELEMENTS);
                Ok(f64::try_from(beyond.sum(Kind::Double))? / elements as f64 / moved)
            })?;
            let farthest = worst(&a, &b, |_, a, b| Ok(max_abs(&(a - b))))?.difference;
            Ok(Figures { batch, loss, gradients, weights, farthest, moved })
        })
        .collect()
}

/// One file of a part.
struct Part(TensorFile);

impl Part {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self(TensorFile::open(path)?))
    }

    /// In f64, which adds no rounding of its own.
    fn get(&self, name: &str) -> Result<Tensor> {
        Ok(tensors::from_stored(&self.0.tensor(name)?)?.to_kind(Kind::Double))
    }

    /// Names of parameters or of their gradients.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.names().filter(|n| !["loss", "lr"].contains(n)).collect();
        names.sort_unstable();
        names
    }
}

/// The tensor with the greatest difference by `measure`.
fn worst(
    reference: &Part,
    found: &Part,
    mut measure: impl FnMut(&str, &Tensor, &Tensor) -> Result<f64>,
) -> Result<Worst> {
    let names = reference.names();
    ensure!(names == found.names(), "the parts do not train the same parameters");
    let mut worst = Worst { difference: 0.0, tensor: String::new() };
    for name in names {
        let difference = measure(name, &reference.get(name)?, &found.get(name)?)?;
        // Nothing is worse than a NaN.
        if worst.tensor.is_empty() || difference > worst.difference || difference.is_nan() {
            let tensor = name.strip_prefix("grad.").unwrap_or(name).to_owned();
            worst = Worst { difference, tensor };
        }
    }
    Ok(worst)
}

/// max |a - b| / max |scale|; 0 where all is zero.
fn relative(a: &Tensor, b: &Tensor, scale: &Tensor) -> f64 {
    let difference = max_abs(&(a - b));
    if difference == 0.0 { 0.0 } else { difference / max_abs(scale) }
}

fn max_abs(x: &Tensor) -> f64 {
    f64::try_from(x.abs().max()).unwrap_or(f64::NAN)
}
