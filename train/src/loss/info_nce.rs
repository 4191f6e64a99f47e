//! Symmetric InfoNCE: two passes over the tiles, the normalisers and the gradient.

use super::tiles::{Features, IMAGE, TEXT};
use super::{LossGrad, Ranks};
use native::NativeError;
use tch::{Kind, Tensor};

/// The loss and its gradients.
pub fn info_nce(features: &Features, ranks: &dyn Ranks) -> Result<LossGrad, NativeError> {
    // 1. The normalisers of the own rows, relative to the own pair: a_i − z_ii and b_i − z_ii. Near
    //    zero f32 is finest.
    let diagonal_B = features.diagonal();
    let others = other_pairs(features, &diagonal_B);
    let zero = diagonal_B.zeros_like();
    let excess = [IMAGE, TEXT].map(|side| others[side].logaddexp(&zero));

    // 2. Those of all ranks, as they stand for columns too.
    let normalisers = [IMAGE, TEXT].map(|side| &excess[side] + &diagonal_B);
    let normalisers_N2 = ranks.all_gather(&Tensor::stack(&normalisers, 1))?;
    let normalisers_N =
        [IMAGE, TEXT].map(|side| normalisers_N2.select(1, side as i64).contiguous());

    // 3. The loss.
    let mut sums = features.sums();
    let weight_B = features.own_weights();
    let mut loss = ((&excess[IMAGE] + &excess[TEXT]) * &weight_B).sum(None::<Kind>);
    if features.rows.spread.is_some() {
        loss += sums.weighted_logits();
    }

    // 4. The gradient, from the same tiles computed again. The own pair's p_ii − 1 is minus the
    //    share of all others, σ(log Σ_{j≠i} exp(z_ij − z_ii)).
    let rest_B = others[IMAGE].sigmoid() + others[TEXT].sigmoid();
    sums.add_diagonal(&(rest_B * -weight_B));
    features.for_each_tile(|tile, mut logits_rc| {
        let row_r1 = tile.rows.of(&normalisers_N[tile.side]).unsqueeze(1);
        let column_1c = tile.columns.of(&normalisers_N[1 - tile.side]).unsqueeze(0);
        let mut p_rc = (&logits_rc - row_r1).exp_();
        let mut q_rc = logits_rc.g_sub_(&column_1c).exp_();
        if let Some(w_r) = features.rows.weights(tile.rows) {
            p_rc *= w_r.unsqueeze(1);
        }
        if let Some(w_c) = features.rows.weights(tile.columns) {
            q_rc *= w_c.unsqueeze(0);
        }
        p_rc += q_rc;
        sums.add(tile, &p_rc);
    });
    sums.finish(&loss, None, ranks)
}

/// log Σ_{j≠i} exp(z_ij − z_ii) over the texts of each own picture, and over the pictures of each
/// own text: `[B]` each, −∞ where a row has no negatives.
fn other_pairs(features: &Features, diagonal_B: &Tensor) -> [Tensor; 2] {
    let nothing = || diagonal_B.full_like(f64::NEG_INFINITY);
    let found = [nothing(), nothing()];
    features.for_each_tile(|tile, mut logits_rc| {
        let row_r1 = tile.own.of(diagonal_B).unsqueeze(1);
        let mut rows = tile.own.of(&found[tile.side]);
        let more = (&logits_rc - row_r1).logsumexp([1i64].as_slice(), false);
        rows.copy_(&rows.logaddexp(&more));
        if tile.both {
            let column_1c = tile.columns.of(diagonal_B).unsqueeze(0);
            let mut columns = tile.columns.of(&found[1 - tile.side]);
            let more = logits_rc.g_sub_(&column_1c).logsumexp([0i64].as_slice(), false);
            columns.copy_(&columns.logaddexp(&more));
        }
    });
    found
}
