//! Checks that keep a run from going wrong in silence.

use crate::guard::guarded;
use crate::loss::{self, Pair, Rows};
use crate::model::{Activation, Clip};
use crate::step::Inputs;
use configs::{Loss, Positives};
use data::Batch;
use native::NativeError;
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
    let inputs = Inputs::new(batch, model.device()).rows(0, len as i64);
    let (products, weights) = (&batch.products[..len], &batch.weights[..len]);
    let rows = Rows::new(products, weights, Positives::Mask, model.logit_scale());
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
            loss::info_nce(&pair, model.logit_scale(), &rows, cfg.tile).loss
        };
        let loss = guarded("compare activations on the first batch", || tch::no_grad(run))?;
        Ok(f64::try_from(&loss).unwrap_or(f64::NAN))
    };
    let found = loss_with(other)?;
    let expected = loss_with(stated)?; // last: the model keeps the stated activation
    Ok(suspicion(stated, expected, other, found))
}

fn suspicion(stated: Activation, expected: f64, other: Activation, found: f64) -> Option<String> {
    (found < expected * (1.0 - SUSPICIOUS)).then(|| {
        let name = |activation| match activation {
            Activation::Gelu => "gelu",
            Activation::QuickGelu => "quick_gelu",
        };
        format!(
            "config.json says hidden_act `{}`, but these weights do better with `{}` (loss of the \
             first batch {found:.3} instead of {expected:.3}): OpenAI's weights need quick_gelu, \
             most others gelu; correct hidden_act in both towers",
            name(stated),
            name(other),
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

/// Refuses a step whose loss or gradient norm is not finite, naming samples of its batch.
///
/// # Errors
/// When either is NaN or infinite.
pub fn finite(
    loss: f64,
    grad_norm: f64,
    step: u64,
    embedded: &Pair,
    batch: &Batch,
) -> Result<(), NonFinite> {
    if loss.is_finite() && grad_norm.is_finite() {
        return Ok(());
    }
    let unusable = |rows_bd: &Tensor| -> Vec<bool> {
        let sums_b = rows_bd.to_kind(Kind::Double).sum_dim_intlist([1i64].as_slice(), false, None);
        Vec::<f64>::try_from(sums_b).unwrap_or_default().iter().map(|x| !x.is_finite()).collect()
    };
    let (image, text) = (unusable(&embedded.image_BD), unusable(&embedded.text_BD));
    let rows: Vec<usize> = (0..batch.len())
        .filter(|&i| image.get(i) == Some(&true) || text.get(i) == Some(&true))
        .collect();
    let name = |rows: &[usize]| {
        let shown: Vec<String> =
            rows.iter().take(8).map(|&i| batch.samples[i].to_string()).collect();
        let more = rows.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join("; "))
    };
    let culprits = if rows.is_empty() {
        let all: Vec<usize> = (0..batch.len()).collect();
        format!("every embedding is finite; the batch was {}", name(&all))
    } else {
        format!("embeddings are not finite for {}", name(&rows))
    };
    Err(NonFinite { step, loss, grad_norm, culprits })
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
