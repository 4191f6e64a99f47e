//! Symmetric InfoNCE in bounded memory: features in, loss and feature gradients out, no graph.
//!
//! B rows of pictures I and texts T, unit vectors of width D; s = exp(logit_scale). With
//! a_i = logsumexp_j(s I_i·T_j) over the texts and b_j = logsumexp_i(s I_i·T_j) over the pictures,
//!
//! - L = 1/(2B) Σ_i w_i [(a_i − s I_i·T_i) + (b_i − s I_i·T_i)]
//! - dL/dI_i = s/(2B) [Σ_j (w_i p_ij + w_j q_ij) T_j − 2 w_i T_i], the same for T with the roles
//!   changed, where p_ij = exp(s I_i·T_j − a_i) and q_ij = exp(s I_i·T_j − b_j)
//!
//! (van den Oord et al., arXiv 1807.03748; symmetric as in CLIP, arXiv 2103.00020, figure 3). Both
//! passes go over tiles of texts, so the B x B matrix never exists: memory is B x tile, the idea of
//! Inf-CL (arXiv 2410.17243).
#![allow(non_snake_case)]

use configs::Positives;
use tch::{Kind, Tensor};

/// The two sides of a batch.
#[derive(Debug)]
pub struct Pair {
    /// Picture vectors [B, D], unit norm.
    pub image_BD: Tensor,
    /// Text vectors [B, D], unit norm.
    pub text_BD: Tensor,
}

/// The loss of a batch and its gradients.
#[derive(Debug)]
pub struct LossGrad {
    /// L, a scalar on the features' device, not waited for.
    pub loss: Tensor,
    /// dL/dI and dL/dT, each [B, D].
    pub grad_BD: Pair,
    /// dL/d logit_scale, a scalar.
    pub grad_logit_scale: Tensor,
}

/// Which rows stand for which product, and how much each counts.
#[derive(Debug)]
pub struct Rows {
    /// Product key of each row, i64 `[B]`; `None` where all rows are different products.
    pub product_B: Option<Tensor>,
    /// Weight of each row's two terms, `[B]`; `None` where all weigh 1.
    pub weight_B: Option<Tensor>,
}

impl Rows {
    /// From a batch's product keys and weights, for features of `kind` on the device of `like`.
    pub fn new(products: &[u64], weights: &[f32], positives: Positives, like: &Tensor) -> Self {
        let distinct: std::collections::HashSet<_> = products.iter().collect();
        let masked = positives == Positives::Mask && distinct.len() < products.len();
        let product_B = masked.then(|| {
            let keys: Vec<i64> = products.iter().map(|key| key.cast_signed()).collect();
            Tensor::from_slice(&keys).to_device(like.device())
        });
        let weight_B = weights
            .iter()
            .any(|&w| w != 1.0)
            .then(|| Tensor::from_slice(weights).to_kind(like.kind()).to_device(like.device()));
        Self { product_B, weight_B }
    }
}

/// The loss and its gradients at the features of `pair`, `tile` texts at a time. Rows that share a
/// product are left out of each other's denominators.
pub fn info_nce(pair: &Pair, logit_scale: &Tensor, rows: &Rows, tile: usize) -> LossGrad {
    tch::no_grad(|| {
        let (image_BD, text_BD) = (&pair.image_BD, &pair.text_BD);
        let B = image_BD.size()[0];
        let tiles = tiles(B, tile);
        let s = logit_scale.exp();
        let scaled_BD = image_BD * &s;

        // The diagonal, once, without the matrix. Everything below is relative to it: near zero,
        // where f32 is finest, instead of near s.
        let diagonal_B =
            (&scaled_BD * text_BD).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>);
        let diagonal_B1 = diagonal_B.unsqueeze(1);
        let diagonal_1t = |start, len| diagonal_B.narrow(0, start, len).unsqueeze(0);

        // 1. The two normalisers: a_i - s I_i·T_i and b_j - s I_j·T_j.
        let mut a_B = Tensor::full([B], f64::NEG_INFINITY, (image_BD.kind(), image_BD.device()));
        let mut b_parts = Vec::with_capacity(tiles.len());
        for &(start, len) in &tiles {
            let logits_Bt = logits(&scaled_BD, text_BD, rows, start, len);
            let columns_Bt = &logits_Bt - diagonal_1t(start, len);
            b_parts.push(columns_Bt.logsumexp([0i64].as_slice(), false));
            a_B = a_B.logaddexp(&(logits_Bt - &diagonal_B1).logsumexp([1i64].as_slice(), false));
        }
        let b_B = Tensor::cat(&b_parts, 0);

        // 2. The loss.
        let ones = || a_B.ones_like();
        let weight_B = rows.weight_B.as_ref().map_or_else(ones, Tensor::shallow_clone);
        let half = 0.5 / B as f64;
        let loss = ((&a_B + &b_B) * &weight_B).sum(None::<Kind>) * half;

        // 3. The gradients, from the same tiles computed again.
        let row_shift_B1 = (&a_B + &diagonal_B).unsqueeze(1);
        let mut grad_image_BD = image_BD.zeros_like();
        let mut text_parts = Vec::with_capacity(tiles.len());
        for &(start, len) in &tiles {
            let logits_Bt = logits(&scaled_BD, text_BD, rows, start, len);
            let p_Bt = (&logits_Bt - &row_shift_B1).exp_() * weight_B.unsqueeze(1);
            let column_shift_1t = b_B.narrow(0, start, len).unsqueeze(0) + diagonal_1t(start, len);
            let w_1t = weight_B.narrow(0, start, len).unsqueeze(0);
            let weights_Bt = (logits_Bt - column_shift_1t).exp_() * w_1t + p_Bt;
            grad_image_BD += weights_Bt.matmul(&text_BD.narrow(0, start, len));
            text_parts.push(weights_Bt.transpose(0, 1).matmul(image_BD));
        }
        let twice_B1 = (&weight_B * 2.0).unsqueeze(1);
        let grad_image_BD = (grad_image_BD - text_BD * &twice_B1) * (&s * half);
        let grad_text_BD = (Tensor::cat(&text_parts, 0) - image_BD * &twice_B1) * (&s * half);
        // dL/d logit_scale = s dL/ds = Σ_i I_i · dL/dI_i: the loss depends on I and s through s I.
        let grad_logit_scale = (&grad_image_BD * image_BD).sum(None::<Kind>);
        LossGrad {
            loss,
            grad_BD: Pair { image_BD: grad_image_BD, text_BD: grad_text_BD },
            grad_logit_scale,
        }
    })
}

/// Start and length of every tile of `total` columns.
fn tiles(total: i64, tile: usize) -> Vec<(i64, i64)> {
    let tile = i64::try_from(tile).unwrap_or(i64::MAX).min(total).max(1);
    (0..total)
        .step_by(usize::try_from(tile).unwrap_or(1))
        .map(|s| (s, tile.min(total - s)))
        .collect()
}

/// s I·T for all pictures and one tile of texts [B, t]; −∞ where a pair is no negative.
fn logits(scaled_BD: &Tensor, text_BD: &Tensor, rows: &Rows, start: i64, len: i64) -> Tensor {
    let logits_Bt = scaled_BD.matmul(&text_BD.narrow(0, start, len).transpose(0, 1));
    let Some(product_B) = &rows.product_B else { return logits_Bt };
    let same_Bt = product_B.unsqueeze(1).eq_tensor(&product_B.narrow(0, start, len).unsqueeze(0));
    let index = Tensor::arange(product_B.size()[0], (Kind::Int64, product_B.device()));
    let diagonal_Bt = index.unsqueeze(1).eq_tensor(&index.narrow(0, start, len).unsqueeze(0));
    logits_Bt.masked_fill(&same_Bt.logical_and(&diagonal_Bt.logical_not()), f64::NEG_INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn unit(b: i64, d: i64, seed: i64) -> Tensor {
        // A fixed irrational sequence instead of the global generator, which tests share.
        let x = ((Tensor::arange(b * d, F64) + 1.0) * (12.9898 + seed as f64)).sin() * 43758.5453;
        let x = (&x - x.floor() - 0.5).view([b, d]);
        &x / x.square().sum_dim_intlist([1i64].as_slice(), true, None::<Kind>).sqrt()
    }

    /// The definition, with the whole matrix and autograd.
    fn dense(
        i: &Tensor,
        t: &Tensor,
        scale: &Tensor,
        products: &[u64],
        w: &[f32],
        mask: bool,
    ) -> Tensor {
        let b = products.len() as i64;
        let mut logits = scale.exp() * i.matmul(&t.transpose(0, 1));
        if mask {
            let same: Vec<bool> = (0..products.len() * products.len())
                .map(|n| (n / products.len(), n % products.len()))
                .map(|(r, c)| r != c && products[r] == products[c])
                .collect();
            let same = Tensor::from_slice(&same).view([b, b]);
            logits = logits.masked_fill(&same, f64::NEG_INFINITY);
        }
        let w = Tensor::from_slice(w).to_kind(Kind::Double);
        let rows = logits.log_softmax(1, None::<Kind>).diagonal(0, 0, 1) * &w;
        let columns = logits.log_softmax(0, None::<Kind>).diagonal(0, 0, 1) * &w;
        -(rows + columns).mean(None::<Kind>) * 0.5
    }

    fn diff(a: &Tensor, b: &Tensor) -> f64 {
        f64::try_from((a - b).abs().max()).unwrap()
    }

    #[test]
    fn equals_autograd_of_the_dense_loss() {
        let products = [1, 2, 3, 2, 5, 1, 7];
        let weights = [1.0, 0.5, 2.0, 1.0, 0.0, 3.0, 1.0];
        for (positives, w) in [
            (Positives::Ignore, [1.0f32; 7]),
            (Positives::Mask, [1.0; 7]),
            (Positives::Mask, weights),
        ] {
            let i = unit(7, 5, 1).set_requires_grad(true);
            let t = unit(7, 5, 2).set_requires_grad(true);
            let scale = Tensor::from(1.7f64).set_requires_grad(true);
            let expected = dense(&i, &t, &scale, &products, &w, positives == Positives::Mask);
            expected.backward();
            for tile in [1, 3, 7, 100] {
                let pair = Pair { image_BD: i.detach(), text_BD: t.detach() };
                let rows = Rows::new(&products, &w, positives, &pair.image_BD);
                let found = info_nce(&pair, &scale.detach(), &rows, tile);
                assert!(diff(&found.loss, &expected) < 1e-14);
                assert!(diff(&found.grad_BD.image_BD, &i.grad()) < 1e-14);
                assert!(diff(&found.grad_BD.text_BD, &t.grad()) < 1e-14);
                assert!(diff(&found.grad_logit_scale, &scale.grad()) < 1e-14);
            }
        }
    }

    #[test]
    fn equal_vectors_give_ln_b() {
        let one = Tensor::ones([8, 1], F64);
        let pair = Pair { image_BD: one.copy(), text_BD: one };
        let products: Vec<u64> = (0..8).collect();
        let rows = Rows::new(&products, &[1.0; 8], Positives::Mask, &pair.image_BD);
        let found = info_nce(&pair, &Tensor::from(2.0f64), &rows, 3);
        assert!((f64::try_from(&found.loss).unwrap() - 8f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn a_batch_of_one_product_has_no_negatives() {
        let pair = Pair { image_BD: unit(4, 3, 1), text_BD: unit(4, 3, 2) };
        let rows = Rows::new(&[9; 4], &[1.0; 4], Positives::Mask, &pair.image_BD);
        let found = info_nce(&pair, &Tensor::from(2.0f64), &rows, 2);
        assert!(f64::try_from(&found.loss).unwrap().abs() < 1e-14);
        assert!(f64::try_from(found.grad_BD.image_BD.abs().max()).unwrap() < 1e-14);
    }
}
