//! The sigmoid loss: every pair by itself, so one pass over the tiles gives loss and gradient.

use super::tiles::{Features, IMAGE, Tile};
use super::{LossGrad, Ranks};
use native::NativeError;
use tch::{Kind, Tensor};

/// The loss and its gradients; without a bias it counts as 0 and has no gradient.
pub fn siglip(
    features: &Features,
    logit_bias: Option<&Tensor>,
    ranks: &dyn Ranks,
) -> Result<LossGrad, NativeError> {
    // 1. What the targets spread, and the own pairs, whose target is 1: softplus(x) − x is
    //    −log σ(x), and σ(x) − 1 is −σ(−x).
    let x_B = features.diagonal();
    let x_B = logit_bias.map_or_else(|| x_B.shallow_clone(), |bias| &x_B + bias);
    let twice_B = features.own_weights() * 2.0;
    let own_B = (-&x_B).sigmoid() * -&twice_B;
    let mut loss = -(x_B.log_sigmoid() * twice_B).sum(None::<Kind>);
    let mut bias_sum = own_B.sum(None::<Kind>);
    let mut sums = features.sums();
    if let Some(spread) = &features.rows.spread {
        loss += sums.weighted_logits();
        let ones_N1 = Tensor::ones([features.rows.len, 1], (x_B.kind(), x_B.device()));
        let spread_B1 = x_B.zeros_like().unsqueeze(1);
        spread.add(&spread_B1, &ones_N1, features.rows);
        let spread_sum = spread_B1.sum(None::<Kind>);
        if let Some(bias) = logit_bias {
            loss += &spread_sum * bias;
        }
        bias_sum += spread_sum;
    }
    sums.add_diagonal(&own_B);

    // 2. All others: softplus(x) is −log σ(−x). Each pair's loss counts where its picture is.
    features.for_each_tile(|tile, mut x_rc| {
        if let Some(bias) = logit_bias {
            let _ = x_rc.g_add_(bias);
        }
        let mut sigmoid_rc = x_rc.sigmoid();
        weigh(&mut sigmoid_rc, features, tile);
        if tile.side == IMAGE {
            let mut loss_rc = x_rc.neg_().log_sigmoid();
            weigh(&mut loss_rc, features, tile);
            loss -= loss_rc.sum(None::<Kind>);
            bias_sum += sigmoid_rc.sum(None::<Kind>);
        }
        sums.add(tile, &sigmoid_rc);
    });
    sums.finish(&loss, logit_bias.map(|_| &bias_sum), ranks)
}

/// Multiplies the pairs of a tile by w_i + w_j.
fn weigh(x_rc: &mut Tensor, features: &Features, tile: &Tile) {
    let weights = |span| features.rows.weights(span);
    match (weights(tile.rows), weights(tile.columns)) {
        (Some(w_r), Some(w_c)) => *x_rc *= w_r.unsqueeze(1) + w_c.unsqueeze(0),
        _ => *x_rc *= 2.0,
    }
}
