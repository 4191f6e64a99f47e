//! Contrastive losses over the rows of all ranks in bounded memory: features in, loss and feature
//! gradients out, no graph.
//!
//! Legend of shape suffixes: B rows of this rank, N = B x world rows of all ranks, D width, r rows
//! and c columns of one tile.
//!
//! I and T are unit vectors of pictures and texts, s = exp(logit_scale), z_ij = s I_i·T_j and w_i
//! the weight of row i. Rows with one product or one caption are duplicates (`duplicates.rs`).
//!
//! **InfoNCE** (van den Oord et al., arXiv 1807.03748; symmetric as in CLIP, arXiv 2103.00020,
//! figure 3). With a_i = logsumexp_j z_ij over the texts and b_j = logsumexp_i z_ij over the
//! pictures, p_ij = exp(z_ij − a_i), q_ij = exp(z_ij − b_j), and t_ij the target share of text j in
//! the row of picture i, which is also that of picture j in the column of text i,
//!
//! - L = 1/(2N) Σ_i w_i [(a_i − Σ_j t_ij z_ij) + (b_i − Σ_j t_ij z_ji)]
//! - dL/dz_ij = 1/(2N) [w_i (p_ij − t_ij) + w_j (q_ij − t_ji)]
//!
//! **SigLIP** (arXiv 2303.15343). With x_ij = z_ij + bias, t_ij the target of the pair and σ the
//! logistic function,
//!
//! - L = 1/(2N) Σ_ij (w_i + w_j) [softplus(x_ij) − t_ij x_ij]
//! - dL/dx_ij = 1/(2N) (w_i + w_j) (σ(x_ij) − t_ij)
//!
//! so that with weights of 1 it is the sum over all pairs divided by N, as there.
//!
//! In both, dL/dI_i = s Σ_j dL/dz_ij T_j, dL/dT_j = s Σ_i dL/dz_ij I_i and dL/dlogit_scale =
//! Σ_i I_i·dL/dI_i, because the loss depends on I and s through s I.
//!
//! Three things keep this small and exact:
//!
//! - The N x N matrix never exists. Both directions go tile by tile (`tiles.rs`), and a tile is
//!   computed again for the gradient: the idea of Inf-CL (arXiv 2410.17243).
//! - A rank gathers features and two numbers per row, and gets the exact gradient of its own rows
//!   of the global loss: nothing is summed over ranks but scalars.
//! - A row's own pair is left out of the tiles and enters by itself: log(1 + Σ_{j≠i} exp(z_ij −
//!   z_ii)) keeps the digits of a small loss, which a_i − z_ii would lose. What else the target
//!   holds (`spread.rs`) is linear in the features and needs no tile either.
#![allow(non_snake_case)]

mod duplicates;
mod info_nce;
mod rows;
mod siglip;
mod spread;
#[cfg(test)]
mod tests;
mod tiles;

pub use rows::Rows;

use configs::{Loss, LossKind};
use native::NativeError;
use tch::Tensor;
use tiles::Features;

/// The part of a group of processes that the loss needs.
pub trait Ranks {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// Ranks in all.
    fn world(&self) -> usize;

    /// Rows of all ranks one below the other, [B, ..] to [N, ..], ordered by rank, without a graph.
    /// A collective: every rank must call it.
    ///
    /// # Errors
    /// When the exchange fails.
    fn all_gather(&self, rows: &Tensor) -> Result<Tensor, NativeError>;

    /// Sums over ranks, in place. A collective: every rank must call it.
    ///
    /// # Errors
    /// When the exchange fails.
    fn all_reduce(&self, sum: &mut Tensor) -> Result<(), NativeError>;
}

/// The only rank of its group.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world(&self) -> usize {
        1
    }

    fn all_gather(&self, rows: &Tensor) -> Result<Tensor, NativeError> {
        Ok(rows.shallow_clone())
    }

    fn all_reduce(&self, _: &mut Tensor) -> Result<(), NativeError> {
        Ok(())
    }
}

/// The two sides of a batch.
#[derive(Debug)]
pub struct Pair {
    /// Picture vectors [B, D], unit norm.
    pub image_BD: Tensor,
    /// Text vectors [B, D], unit norm.
    pub text_BD: Tensor,
}

/// The loss of the rows of all ranks and its gradients, on the features' device, not waited for.
#[derive(Debug)]
pub struct LossGrad {
    /// L, a scalar, the same on every rank.
    pub loss: Tensor,
    /// dL/dI and dL/dT of this rank's rows, each [B, D].
    pub grad_BD: Pair,
    /// dL/d logit_scale, a scalar, the same on every rank.
    pub grad_logit_scale: Tensor,
    /// dL/d logit_bias, a scalar, the same on every rank; `None` where the loss has no bias.
    pub grad_logit_bias: Option<Tensor>,
}

/// The loss of the rows of all ranks and its gradients at this rank's features, `cfg.tile` rows by
/// `cfg.tile` columns at a time. `rows` was made with the same `cfg`. All arithmetic is in the
/// features' dtype: call it outside autocast and with TF32 off.
///
/// A collective: every rank must call it, with the same number of rows.
///
/// # Errors
/// When an exchange between ranks fails. What libtorch refuses panics (see `guard.rs`).
pub fn contrastive(
    pair: &Pair,
    logit_scale: &Tensor,
    logit_bias: Option<&Tensor>,
    rows: &Rows,
    cfg: &Loss,
    ranks: &dyn Ranks,
) -> Result<LossGrad, NativeError> {
    tch::no_grad(|| {
        let features = Features::gather(pair, logit_scale, rows, cfg.tile, ranks)?;
        match cfg.kind {
            LossKind::InfoNce => info_nce::info_nce(&features, ranks),
            LossKind::Siglip => siglip::siglip(&features, logit_bias, ranks),
        }
    })
}
