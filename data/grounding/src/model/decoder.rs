//! The decoder: queries look at each other, at the prompt and at the picture, and refine their box
//! layer by layer.

use super::deformable::Deformable;
use super::layers::{Attention, Head, LayerNorm, Linear, Mlp};
use super::levels::Levels;
use super::queries::class_logits;
use super::sine;
use crate::Config;
use crate::weights::Weights;
use tch::Tensor;

pub(super) struct Decoder {
    layers: Vec<Layer>,
    norm: LayerNorm,
    position_head: Head,
    /// One for all layers, or one for each.
    box_heads: Vec<Head>,
    /// What every query starts as, [Q, D].
    queries_qd: Tensor,
}

struct Layer {
    self_attn: Attention,
    self_attn_norm: LayerNorm,
    text_attn: Attention,
    text_attn_norm: LayerNorm,
    vision_attn: Deformable,
    vision_attn_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

/// What a layer looks at besides the queries.
struct Seen<'a> {
    vision_bsd: &'a Tensor,
    text_btd: &'a Tensor,
    /// [B, 1, 1, T]
    tokens_b11t: Tensor,
    levels: &'a Levels,
}

/// Keeps boxes at the edge finite before the sigmoid.
const EPS: f64 = 1e-5;

impl Decoder {
    pub fn new(w: &mut Weights, c: &Config) -> Self {
        let (width, name) = (c.d_model, "model.decoder");
        let layers = (0..c.decoder_layers)
            .map(|i| Layer::new(w, &format!("{name}.layers.{i}"), c))
            .collect();
        let num_heads = if c.decoder_bbox_embed_share { 1 } else { c.decoder_layers };
        let box_heads = (0..num_heads).map(|i| {
            // The head of the model and that of the decoder are one; older files name the latter.
            let (model, decoder) = (format!("bbox_embed.{i}"), format!("{name}.bbox_embed.{i}"));
            let stored = w.has(&format!("{model}.layers.0.weight"));
            let older = !stored && w.has(&format!("{decoder}.layers.0.weight"));
            Head::new(w, if older { &decoder } else { &model }, &[width, width, width, 4])
        });
        Self {
            box_heads: box_heads.collect(),
            layers,
            norm: LayerNorm::new(w, &format!("{name}.layer_norm"), width, c.layer_norm_eps),
            position_head: Head::new(
                w,
                &format!("{name}.reference_points_head"),
                &[2 * width, width, width],
            ),
            queries_qd: w.take("model.query_position_embeddings.weight", &[c.num_queries, width]),
        }
    }

    /// Logits [B, Q, T] for each token and boxes [B, Q, 4] (centre and size in 0..1 of the
    /// picture), from the boxes [B, Q, 4] that the queries start with.
    pub fn forward(
        &self,
        boxes_bq4: Tensor,
        vision_bsd: &Tensor,
        text_btd: &Tensor,
        tokens_bt: &Tensor,
        levels: &Levels,
    ) -> (Tensor, Tensor) {
        let width = text_btd.size()[2];
        let tokens_b11t = tokens_bt.unsqueeze(1).unsqueeze(1);
        let seen = Seen { vision_bsd, text_btd, tokens_b11t, levels };
        let filled_bl4 = Tensor::cat(&[&levels.filled_bl2, &levels.filled_bl2], -1);
        let mut x_bqd = self.queries_qd.unsqueeze(0).repeat([text_btd.size()[0], 1, 1]);
        let mut boxes_bq4 = boxes_bq4;
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            let reference = boxes_bq4.unsqueeze(2) * filled_bl4.unsqueeze(1);
            let waves = sine::of_points(&reference.select(2, 0), width / 2);
            let position_bqd = self.position_head.forward(&waves.to_kind(x_bqd.kind()));
            x_bqd = layer.forward(&x_bqd, &position_bqd, &reference, &seen);
            // The last box comes from the normalised features, the ones before do not.
            if i < last {
                boxes_bq4 = self.refined(i, &x_bqd, &boxes_bq4);
            }
        }
        let x_bqd = self.norm.forward(&x_bqd);
        let boxes_bq4 = self.refined(last, &x_bqd, &boxes_bq4);
        (class_logits(&x_bqd, text_btd, tokens_bt), boxes_bq4)
    }

    fn refined(&self, layer: usize, x_bqd: &Tensor, boxes_bq4: &Tensor) -> Tensor {
        let head = &self.box_heads[layer.min(self.box_heads.len() - 1)];
        let delta_bq4 = head.forward(x_bqd).to_kind(boxes_bq4.kind());
        (delta_bq4 + boxes_bq4.special_logit(EPS)).sigmoid()
    }
}

impl Layer {
    fn new(w: &mut Weights, name: &str, c: &Config) -> Self {
        let (width, heads) = (c.d_model, c.decoder_attention_heads);
        let (levels, points) = (c.num_feature_levels, c.decoder_n_points);
        let at = |part: &str| format!("{name}.{part}");
        let norm =
            |w: &mut Weights, part: &str| LayerNorm::new(w, &at(part), width, c.layer_norm_eps);
        Self {
            self_attn: Attention::new(w, &at("self_attn"), width, heads),
            self_attn_norm: norm(w, "self_attn_layer_norm"),
            text_attn: Attention::new(w, &at("encoder_attn_text"), width, heads),
            text_attn_norm: norm(w, "encoder_attn_text_layer_norm"),
            vision_attn: Deformable::new(w, &at("encoder_attn"), width, heads, levels, points),
            vision_attn_norm: norm(w, "encoder_attn_layer_norm"),
            mlp: Mlp::new(
                Linear::new(w, &at("fc1"), width, c.decoder_ffn_dim),
                Linear::new(w, &at("fc2"), c.decoder_ffn_dim, width),
                c.activation_function,
            ),
            mlp_norm: norm(w, "final_layer_norm"),
        }
    }

    fn forward(
        &self,
        x_bqd: &Tensor,
        position_bqd: &Tensor,
        reference_bql4: &Tensor,
        seen: &Seen,
    ) -> Tensor {
        let placed = x_bqd + position_bqd;
        let each_other = self.self_attn.forward(&placed, &placed, x_bqd, None);
        let x_bqd = self.self_attn_norm.forward(&(x_bqd + each_other));

        let (placed, text) = (&x_bqd + position_bqd, seen.text_btd);
        let prompt = self.text_attn.forward(&placed, text, text, Some(&seen.tokens_b11t));
        let x_bqd = self.text_attn_norm.forward(&(x_bqd + prompt));

        let levels = seen.levels;
        let values = self.vision_attn.values(seen.vision_bsd, levels.inside_bs.as_ref());
        let placed = &x_bqd + position_bqd;
        let picture = self.vision_attn.forward(&placed, &values, reference_bql4, &levels.shapes);
        let x_bqd = self.vision_attn_norm.forward(&(x_bqd + picture));
        self.mlp_norm.forward(&(&x_bqd + self.mlp.forward(&x_bqd)))
    }
}
