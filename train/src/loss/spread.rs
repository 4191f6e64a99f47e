//! What the targets hold besides each row's own pair: shares of duplicates and label smoothing.
//!
//! It is linear in the features. With t_ij the target and δ_ij = 1 where i = j, the own pair's
//! target of 1 is in the losses themselves, and this adds Σ_j k_ij T_j to the sums of the pictures
//! and Σ_j k_ij I_j to those of the texts, where −k_ij = w_i (t_ij − δ_ij) + w_j (t_ji − δ_ji).
//! Every t here is some number of row i on its duplicates plus another one on all rows plus a third
//! on itself, so k needs sums over groups of rows and over all rows, never the N x N matrix.

use super::rows::Rows;
use super::tiles::spans;
use configs::{Loss, LossKind, Positives};
use tch::{Device, Kind, Tensor};

/// Feature components computed at once, in f64: sums over all rows and over groups of them cancel
/// where almost all rows are duplicates.
const SLICE: i64 = 32;

/// The parts of k_ij, f64 `[N, 1]` each.
#[derive(Debug)]
pub struct Spread {
    /// c_i + c_j where i and j are duplicates.
    duplicate_N1: Tensor,
    /// c_i + c_j everywhere.
    every_N1: Tensor,
    /// 2 c_i where i = j.
    itself_N1: Tensor,
}

impl Spread {
    /// For rows with these weights and numbers of duplicates; `None` where the target is the own
    /// pair alone.
    pub fn new(weights: &[f32], others: &[i64], cfg: &Loss, device: Device) -> Option<Self> {
        let smoothing = cfg.label_smoothing;
        let shared = cfg.positives == Positives::Share && others.iter().any(|&n| n > 0);
        if smoothing == 0.0 && !shared {
            return None;
        }
        let masked = cfg.positives == Positives::Mask;
        let parts = |(&weight, &others): (&f32, &i64)| {
            let (weight, others) = (f64::from(weight), others as f64);
            let counted = weights.len() as f64 - if masked { others } else { 0.0 };
            // What one column gets of the smoothing, and how many share the rest.
            let (even, positives) = match cfg.kind {
                LossKind::InfoNce => (smoothing / counted, 1.0 + others),
                LossKind::Siglip => (smoothing / 2.0, 1.0),
            };
            let share = (1.0 - smoothing) / positives;
            let (duplicate, itself) = match cfg.positives {
                Positives::Share => (share, share),
                // They are among all rows: take them out again.
                Positives::Mask => (-even, 1.0 - smoothing),
                Positives::Ignore => (0.0, 1.0 - smoothing),
            };
            [duplicate, even, itself - 1.0].map(|part| -weight * part)
        };
        let parts: Vec<[f64; 3]> = weights.iter().zip(others).map(parts).collect();
        let column = |n: usize| {
            let values: Vec<f64> = parts.iter().map(|parts| parts[n]).collect();
            Tensor::from_slice(&values).unsqueeze(1).to_device(device)
        };
        Some(Self { duplicate_N1: column(0), every_N1: column(1), itself_N1: column(2) })
    }

    /// Adds Σ_j k_ij x_j to each own row i of `sum_BD`, for `x_ND` [N, D].
    pub fn add(&self, sum_BD: &Tensor, x_ND: &Tensor, rows: &Rows) {
        let own = rows.own;
        for slice in spans(x_ND.size()[1], SLICE) {
            let x_Nd = x_ND.narrow(1, slice.start, slice.len).to_kind(Kind::Double);
            let total_1d = x_Nd.sum_dim_intlist([0i64].as_slice(), true, None::<Kind>);
            let weighted_1d = self.every_N1.transpose(0, 1).matmul(&x_Nd);
            let mut found_Bd = own.of(&self.every_N1) * total_1d + weighted_1d;
            found_Bd += own.of(&self.itself_N1) * own.of(&x_Nd) * 2.0;
            if let Some(duplicates) = &rows.duplicates {
                duplicates.add(&mut found_Bd, &self.duplicate_N1, &x_Nd, own);
            }
            let mut slice_Bd = sum_BD.narrow(1, slice.start, slice.len);
            slice_Bd += found_Bd.to_kind(sum_BD.kind());
        }
    }
}
