//! The figures of a comparison, what is allowed, and how both are shown.

use anyhow::{Result, bail};
use configs::{GradientDtype, Precision, RunConfig};

/// A tensor and how far it lies off.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// In the unit of the figure.
    pub difference: f64,
    /// Its name.
    pub tensor: String,
}

/// How far a way of training lies from one process with the whole batch, after one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// From 1.
    pub batch: u64,
    /// Of the loss, relative.
    pub loss: f64,
    /// Of a gradient: max |a - b| / max |reference| of the tensor that is worst. A `k_proj.bias`
    /// is measured against its `k_proj.weight`, because its own gradient is noise.
    pub gradients: Worst,
    /// Of the weights after the step: mean |a - b| / `moved` of the tensor that is worst, but for
    /// `k_proj.bias`; without what f32 cannot hold, one unit in the last place for each batch.
    ///
    /// The mean, because the greatest one says nothing: AdamW divides a gradient by its own size,
    /// so the element whose gradient is nearest to zero moves a learning rate one way or the other
    /// by rounding alone. A gradient known up to e leaves such doubt only to elements below e, a
    /// share of all that is itself of the order of e, and the mean follows the gradients' error. It is
    /// taken over at least 1,000 elements.
    /// A `k_proj.bias` consists of nothing else; softmax ignores it.
    pub weights: Worst,
    /// max |a - b| over all weights. Shown, not judged.
    pub farthest: f64,
    /// The sum of learning rates so far, about as far as AdamW can have moved a weight.
    pub moved: f64,
}

/// The greatest [`Figures`] that count as rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Of the loss.
    pub loss: f64,
    /// Of gradients and weights; `None`: they are shown, not judged.
    pub others: Option<f64>,
}

impl Tolerances {
    /// The same for all figures.
    pub fn all(tolerance: f64) -> Self {
        Self { loss: tolerance, others: Some(tolerance) }
    }

    /// What the arithmetic of `cfg` allows. Where products or sums are rounded to fewer bits than
    /// those of f32, a gradient whose rows cancel may be nothing but rounding: only the loss says
    /// something there, and f32 runs the same code.
    pub fn of(cfg: &RunConfig) -> Self {
        let short_sums = cfg.dist.gradients == GradientDtype::Bf16;
        match cfg.precision {
            Precision::F32 if !short_sums => Self::all(1e-5),
            _ => Self { loss: 2e-2, others: None },
        }
    }
}

/// Every figure as a table, one way of training after the other.
pub fn table(ways: &[(String, Vec<Figures>)]) -> String {
    let head = ["way", "batch", "loss", "gradients", "weights, mean/lr", "max/lr", "max"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows[0].extend(["worst gradient", "worst weights"].map(str::to_owned));
    for (way, all) in ways {
        for f in all {
            let numbers = [
                f.loss,
                f.gradients.difference,
                f.weights.difference,
                f.farthest / f.moved,
                f.farthest,
            ];
            let mut row = vec![way.clone(), f.batch.to_string()];
            row.extend(numbers.map(|number| format!("{number:.1e}")));
            row.extend([f.gradients.tensor.clone(), f.weights.tensor.clone()]);
            rows.push(row);
        }
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let number = (1..7).contains(&column);
            if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Refuses figures above `allowed`.
///
/// # Errors
/// Naming way, batch, quantity and tensor of each.
pub fn judge(ways: &[(String, Vec<Figures>)], allowed: &Tolerances) -> Result<()> {
    let mut beyond = Vec::new();
    for (way, all) in ways {
        for f in all {
            let (grads, weights) = (&f.gradients, &f.weights);
            for (quantity, found, limit) in [
                ("the loss differs".to_owned(), f.loss, Some(allowed.loss)),
                (
                    format!("the gradient of `{}` differs", grads.tensor),
                    grads.difference,
                    allowed.others,
                ),
                (
                    format!("the weights of `{}` differ", weights.tensor),
                    weights.difference,
                    allowed.others,
                ),
            ] {
                let Some(limit) = limit else { continue };
                let within = found <= limit; // no NaN is
                if !within {
                    let batch = f.batch;
                    beyond.push(format!(
                        "{way}, batch {batch}: {quantity} by {found:.1e}, more than {limit:.1e}"
                    ));
                }
            }
        }
    }
    if !beyond.is_empty() {
        bail!("the ways of training do not agree:\n  {}", beyond.join("\n  "));
    }
    Ok(())
}
