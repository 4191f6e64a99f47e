//! Picture and prompt look at each other: attention in both directions over one set of scores.
//!
//! transformers projects every place of the picture to the attention's width, three times. A prompt
//! has far fewer tokens than a picture has places, so here the projections of the picture's side are
//! folded into the tokens: the same products in another order, for a fraction of the work.

use super::layers::{LayerNorm, Linear};
use crate::weights::Weights;
use tch::{Kind, Tensor};

pub(super) struct Fusion {
    norm_vision: LayerNorm,
    norm_text: LayerNorm,
    vision_proj: Linear,
    text_proj: Linear,
    values_vision_proj: Linear,
    values_text_proj: Linear,
    out_vision_proj: Linear,
    out_text_proj: Linear,
    vision_param: Tensor,
    text_param: Tensor,
    heads: i64,
}

/// Scores are kept in this range, as transformers does.
const BOUND: f64 = 50_000.0;

impl Fusion {
    /// `inner` is the attention's width over all heads.
    pub fn new(w: &mut Weights, name: &str, width: i64, inner: i64, heads: i64, eps: f64) -> Self {
        let at = |part: &str| format!("{name}.{part}");
        let mut linear = |part: &str, input, output| Linear::new(w, &at(part), input, output);
        Self {
            vision_proj: linear("attn.vision_proj", width, inner),
            text_proj: linear("attn.text_proj", width, inner),
            values_vision_proj: linear("attn.values_vision_proj", width, inner),
            values_text_proj: linear("attn.values_text_proj", width, inner),
            out_vision_proj: linear("attn.out_vision_proj", inner, width),
            out_text_proj: linear("attn.out_text_proj", inner, width),
            norm_vision: LayerNorm::new(w, &at("layer_norm_vision"), width, eps),
            norm_text: LayerNorm::new(w, &at("layer_norm_text"), width, eps),
            vision_param: w.take(&at("vision_param"), &[width]),
            text_param: w.take(&at("text_param"), &[width]),
            heads,
        }
    }

    /// Both sides [B, S, D], [B, T, D] after they looked at each other. `inside` [B, S] and
    /// `tokens` [B, T] (bool) say which places and tokens are there; without `inside`, all are.
    pub fn forward(
        &self,
        vision_bsd: &Tensor,
        text_btd: &Tensor,
        inside_bs: Option<&Tensor>,
        tokens_bt: &Tensor,
    ) -> (Tensor, Tensor) {
        let vision_bsd = self.norm_vision.forward(vision_bsd);
        let text_btd = self.norm_text.forward(text_btd);
        let absent = |there: &Tensor| there.logical_not().unsqueeze(1).unsqueeze(1);

        let scores_bhst = self.scores(&vision_bsd, &text_btd);
        let scores_bhst = (&scores_bhst - scores_bhst.max()).clamp(-BOUND, BOUND);
        let scores_bhts = scores_bhst.transpose(2, 3);
        let mut scores_bhts =
            (scores_bhts.shallow_clone() - scores_bhts.amax([-1], true)).clamp(-BOUND, BOUND);
        if let Some(inside_bs) = inside_bs {
            scores_bhts = scores_bhts.masked_fill(&absent(inside_bs), f64::NEG_INFINITY);
        }
        let to_text_bhts = scores_bhts.softmax(-1, None::<Kind>);
        let to_vision_bhst = scores_bhst
            .masked_fill(&absent(tokens_bt), f64::NEG_INFINITY)
            .softmax(-1, None::<Kind>);

        let for_vision_bsd = self.text_seen(&to_vision_bhst, &text_btd);
        let for_text_btd = self.vision_seen(&to_text_bhts, &vision_bsd);
        (
            vision_bsd + for_vision_bsd * &self.vision_param,
            text_btd + for_text_btd * &self.text_param,
        )
    }

    /// Splits the output axis [inner, ..] of a weight or bias by heads: [H, inner / H, ..].
    fn by_head(&self, x: &Tensor) -> Tensor {
        let mut shape = x.size();
        shape[0] /= self.heads;
        shape.insert(0, self.heads);
        x.view(shape.as_slice())
    }

    /// Projected text [B, T, inner] by heads: [B, H, T, inner / H].
    fn text_by_head(&self, x_bti: &Tensor) -> Tensor {
        let size = x_bti.size();
        x_bti.view([size[0], size[1], self.heads, -1]).transpose(1, 2)
    }

    /// scale · (W v + c) · k = v · (scale Wᵀ k) + scale c · k, for all places v and keys k.
    fn scores(&self, vision_bsd: &Tensor, text_btd: &Tensor) -> Tensor {
        let key_bhti = self.text_by_head(&self.text_proj.forward(text_btd));
        let scale = (key_bhti.size()[3] as f64).powf(-0.5);
        let folded_bhtd = key_bhti.matmul(&self.by_head(&self.vision_proj.weight)) * scale;
        let scores_bhst = vision_bsd.unsqueeze(1).matmul(&folded_bhtd.transpose(2, 3));
        match &self.vision_proj.bias {
            Some(bias) => {
                let bias_hi1 = self.by_head(bias).unsqueeze(-1);
                scores_bhst + key_bhti.matmul(&bias_hi1).transpose(2, 3) * scale
            }
            None => scores_bhst,
        }
    }

    /// W_out Σ_t p_t value_t = Σ_t p_t (W_out value_t), summed over heads: [B, S, D].
    fn text_seen(&self, to_vision_bhst: &Tensor, text_btd: &Tensor) -> Tensor {
        let value_bhti = self.text_by_head(&self.values_text_proj.forward(text_btd));
        let out_hid = self.by_head(&self.out_vision_proj.weight.transpose(0, 1).contiguous());
        let folded_bhtd = value_bhti.matmul(&out_hid);
        // One product over heads and tokens together.
        let shares_bsk = to_vision_bhst.permute([0, 2, 1, 3]).flatten(2, 3);
        let seen_bsd = shares_bsk.matmul(&folded_bhtd.flatten(1, 2));
        match &self.out_vision_proj.bias {
            Some(bias) => seen_bsd + bias,
            None => seen_bsd,
        }
    }

    /// Σ_s p_s (W v_s + c) = W Σ_s p_s v_s + c, as the shares p add up to 1; then the output
    /// projection: [B, T, D].
    fn vision_seen(&self, to_text_bhts: &Tensor, vision_bsd: &Tensor) -> Tensor {
        let seen_bhtd = to_text_bhts.matmul(&vision_bsd.unsqueeze(1));
        let weight_hdi = self.by_head(&self.values_vision_proj.weight).transpose(1, 2);
        let mut value_bhti = seen_bhtd.matmul(&weight_hdi);
        if let Some(bias) = &self.values_vision_proj.bias {
            value_bhti += self.by_head(bias).unsqueeze(1);
        }
        self.out_text_proj.forward(&value_bhti.transpose(1, 2).flatten(2, 3))
    }
}
