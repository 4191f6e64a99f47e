//! Which places of the picture the decoder starts from: those most like a token of the prompt.

use super::layers::{Head, LayerNorm, Linear};
use super::levels::Levels;
use crate::Config;
use crate::weights::Weights;
use tch::{Kind, Tensor};

pub(super) struct QuerySelection {
    output: Linear,
    output_norm: LayerNorm,
    box_head: Head,
    num_queries: i64,
}

impl QuerySelection {
    pub fn new(w: &mut Weights, name: &str, c: &Config) -> Self {
        let width = c.d_model;
        let at = |part: &str| format!("{name}.{part}");
        let widths = [width, width, width, 4];
        Self {
            output: Linear::new(w, &at("enc_output"), width, width),
            output_norm: LayerNorm::new(w, &at("enc_output_norm"), width, c.layer_norm_eps),
            box_head: Head::new(w, &at("encoder_output_bbox_embed"), &widths),
            num_queries: c.num_queries,
        }
    }

    /// The boxes [B, Q, 4] (centre and size in 0..1) of the best places of `vision` [B, S, D].
    pub fn boxes(
        &self,
        vision_bsd: &Tensor,
        text_btd: &Tensor,
        tokens_bt: &Tensor,
        levels: &Levels,
    ) -> Tensor {
        let none_bs = levels.proposals_bs4.select(2, 0).isinf();
        let object_bsd = vision_bsd.masked_fill(&none_bs.unsqueeze(-1), 0.0);
        let object_bsd = self.output_norm.forward(&self.output.forward(&object_bsd));
        let logits_bst = class_logits(&object_bsd, text_btd, tokens_bt);
        let best_bs = logits_bst.amax([-1], false);
        let (_, places_bq) = best_bs.topk(self.num_queries, 1, true, true);
        // Only the chosen places need a box.
        let pick = |x_bsn: &Tensor| {
            let places = places_bq.unsqueeze(-1).expand([-1, -1, x_bsn.size()[2]], false);
            x_bsn.gather(1, &places, false)
        };
        let delta_bq4 = self.box_head.forward(&pick(&object_bsd));
        let proposals_bq4 = pick(&levels.proposals_bs4);
        (delta_bq4.to_kind(proposals_bq4.kind()) + proposals_bq4).sigmoid()
    }
}

/// How much each box is each token: [B, Q, T], at least f32; minus infinity for padding.
pub(super) fn class_logits(x_bqd: &Tensor, text_btd: &Tensor, tokens_bt: &Tensor) -> Tensor {
    let logits_bqt = x_bqd.matmul(&text_btd.transpose(1, 2));
    let exact = if logits_bqt.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let padding_b1t = tokens_bt.logical_not().unsqueeze(1);
    logits_bqt.to_kind(exact).masked_fill(&padding_b1t, f64::NEG_INFINITY)
}
