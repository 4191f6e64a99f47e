//! Checks that keep a run from going wrong in silence.

mod data_warnings;

pub use data_warnings::data_warnings;

use crate::dist::Group;
use crate::guard::guarded;
use crate::loss::{self, Alone, Pair, Rows};
use crate::model::{Activation, Clip};
use crate::step::Inputs;
use anyhow::Result;
use configs::Loss;
use data::Batch;
use native::{DelayedScalar, NativeError, Uploader};
use tch::{Kind, Tensor};

/// How much lower, relatively, the loss with the other activation must be to raise a warning.
const SUSPICIOUS: f64 = 0.02;

/// Compares the loss of the first `most` rows of a batch under the activation that `config.json`
/// states with the loss under the other one. Weights retrieve best with the activation that they
/// were trained with, so a lower loss with the other one means a wrong `hidden_act`: it runs without
/// error and silently ruins a fine-tune.
///
/// # Errors
/// When libtorch refuses an operation for want of memory.
pub fn wrong_activation(
    model: &mut Clip,
    batch: &Batch,
    most: usize,
    cfg: &Loss,
) -> Result<Option<String>, NativeError> {
    let len = most.min(batch.len());
    let inputs = Inputs::new(batch, &Uploader::new(model.device())?)?.rows(0, len as i64);
    let (products, captions) = (&batch.products[..len], &batch.captions[..len]);
    let weights = &batch.weights[..len];
    let rows = Rows::new(products, captions, weights, 0..len, cfg, model.logit_scale());
    let stated = model.spec.activation();
    let other = match stated {
        Activation::Gelu => Activation::QuickGelu,
        Activation::QuickGelu => Activation::Gelu,
    };
    let mut loss_with = |activation| {
        model.set_activation(activation);
        let run = || {
            let pair = Pair {
                image_BD: model.encode_image(&inputs.pixels_BHWC, None),
                text_BD: model.encode_text(&inputs.ids_BT),
            };
            let (scale, bias) = (model.logit_scale(), model.logit_bias());
            Ok(loss::contrastive(&pair, scale, bias, &rows, cfg, &Alone)?.loss)
        };
        let loss = guarded("compare activations on the first batch", || tch::no_grad(run))??;
        Ok(f64::try_from(&loss).unwrap_or(f64::NAN))
    };
    let found = loss_with(other)?;
    let expected = loss_with(stated)?; // last: the model keeps the stated activation
    Ok(suspicion(stated, expected, other, found))
}

fn suspicion(stated: Activation, expected: f64, other: Activation, found: f64) -> Option<String> {
    (found < expected * (1.0 - SUSPICIOUS)).then(|| {
        format!(
            "config.json says hidden_act `{stated}`, but these weights do better with `{other}` \
             (loss of the first batch {found:.3} instead of {expected:.3}): OpenAI's weights need quick_gelu, \
             most others gelu; correct hidden_act in both towers"
        )
    })
}

/// A loss or gradient norm that is not a number, and where it came from.
#[derive(Debug, thiserror::Error)]
#[error(
    "step {step}: loss {loss}, gradient norm {grad_norm}: not finite, the weights were not updated; \
     {culprits}; lower optim.lr, set optim.max_grad_norm or precision: f32, or remove those rows"
)]
pub struct NonFinite {
    /// The step, from 1.
    pub step: u64,
    /// Its loss.
    pub loss: f64,
    /// The L2 norm of its gradients.
    pub grad_norm: f64,
    /// Which samples of the batch gave no finite embedding, or the whole batch.
    pub culprits: String,
}

/// A step that was taken, and whose loss and gradient norm the host has not looked at yet.
#[derive(Debug)]
pub struct Unchecked {
    /// Its number, from 1.
    pub step: u64,
    loss: DelayedScalar,
    grad_norm: DelayedScalar,
    may_overflow: bool,
    embedded: Pair,
    batch: Batch,
}

impl Unchecked {
    /// Step `step` over `batch`, whose rows were `embedded`. `may_overflow`: a gradient that is not
    /// finite is no error, because its scale is sought (float16).
    ///
    /// # Errors
    /// When libtorch refuses to copy a scalar.
    pub fn new(
        step: u64,
        loss: &Tensor,
        grad_norm: &Tensor,
        may_overflow: bool,
        embedded: Pair,
        batch: Batch,
    ) -> Result<Self> {
        let (loss, grad_norm) = (DelayedScalar::start(loss)?, DelayedScalar::start(grad_norm)?);
        Ok(Self { step, loss, grad_norm, may_overflow, embedded, batch })
    }

    /// The loss and the norm of the gradients. A collective where they are not finite.
    ///
    /// # Errors
    /// When either is NaN or infinite, naming samples of the batch; on one rank, the others give way
    /// to it.
    pub fn check(self, group: &Group) -> Result<(f64, f64)> {
        let (loss, grad_norm) = (self.loss.get()?, self.grad_norm.get()?);
        if loss.is_finite() && (grad_norm.is_finite() || self.may_overflow) {
            return Ok((loss, grad_norm));
        }
        // Loss and norm are the same on all ranks, so all of them come here; the first that has bad
        // rows reports, else the first of all.
        let rows = self.bad_rows();
        let found = group.gather(&[i64::from(!rows.is_empty())])?;
        group.yield_to(found.iter().position(|&any| any == 1).unwrap_or(0))?;
        let culprits = if rows.is_empty() {
            let all: Vec<usize> = (0..self.batch.len()).collect();
            format!("every embedding is finite; the batch was {}", self.name(&all))
        } else {
            format!("embeddings are not finite for {}", self.name(&rows))
        };
        Err(NonFinite { step: self.step, loss, grad_norm, culprits }.into())
    }

    /// Rows of the batch without a finite embedding.
    fn bad_rows(&self) -> Vec<usize> {
        let unusable = |rows_bd: &Tensor| -> Vec<bool> {
            let sums_b =
                rows_bd.to_kind(Kind::Double).sum_dim_intlist([1i64].as_slice(), false, None);
            let sums = Vec::<f64>::try_from(sums_b).unwrap_or_default();
            sums.iter().map(|x| !x.is_finite()).collect()
        };
        let (image, text) = (unusable(&self.embedded.image_BD), unusable(&self.embedded.text_BD));
        (0..self.batch.len())
            .filter(|&i| image.get(i) == Some(&true) || text.get(i) == Some(&true))
            .collect()
    }

    /// The first of the samples in these rows.
    fn name(&self, rows: &[usize]) -> String {
        let shown: Vec<String> =
            rows.iter().take(8).map(|&i| self.batch.samples[i].to_string()).collect();
        let more = rows.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clearly_better_other_activation_is_reported() {
        let check =
            |expected, found| suspicion(Activation::Gelu, expected, Activation::QuickGelu, found);
        assert_eq!(check(2.0, 1.99), None);
        assert_eq!(check(2.0, 2.5), None);
        assert_eq!(check(2.0, f64::NAN), None);
        let text = check(2.0, 1.5).unwrap();
        assert!(
            text.contains("says hidden_act `gelu`") && text.contains("do better with `quick_gelu`")
        );
    }
}
