//! The encoder: picture and prompt look at each other, then each at itself.

use super::deformable::Deformable;
use super::fusion::Fusion;
use super::layers::{Attention, LayerNorm, Linear, Mlp};
use super::levels::Levels;
use super::sine;
use super::text::Prompts;
use crate::Config;
use crate::weights::Weights;
use tch::Tensor;

pub(super) struct Encoder {
    layers: Vec<Layer>,
}

struct Layer {
    fusion: Fusion,
    text: TextLayer,
    vision: VisionLayer,
}

/// Post-norm attention among the tokens of a phrase.
struct TextLayer {
    attention: Attention,
    norm_before: LayerNorm,
    mlp: Mlp,
    norm_after: LayerNorm,
}

/// Post-norm deformable attention among the places of all levels.
struct VisionLayer {
    attention: Deformable,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Encoder {
    pub fn new(w: &mut Weights, name: &str, c: &Config) -> Self {
        let layers = (0..c.encoder_layers)
            .map(|i| Layer::new(w, &format!("{name}.layers.{i}"), c))
            .collect();
        Self { layers }
    }

    /// Features of all places [B, S, D] and tokens [B, T, D] after all layers.
    pub fn forward(
        &self,
        levels: &Levels,
        text_btd: Tensor,
        prompts: &Prompts,
    ) -> (Tensor, Tensor) {
        let width = text_btd.size()[2];
        let exact = levels.filled_bl2.kind();
        let waves = sine::of_points(&prompts.positions(exact), width);
        let positions_btd = waves.to_kind(text_btd.kind());
        let reference = levels.reference_points();
        let inside = levels.inside_bs.as_ref();
        let start = (levels.features_bsd.shallow_clone(), text_btd);
        self.layers.iter().fold(start, |(vision_bsd, text_btd), layer| {
            let (vision_bsd, text_btd) =
                layer.fusion.forward(&vision_bsd, &text_btd, inside, &prompts.tokens_bt);
            let text_btd = layer.text.forward(&text_btd, &positions_btd, &prompts.phrases_b1tt);
            (layer.vision.forward(&vision_bsd, levels, &reference), text_btd)
        })
    }
}

impl Layer {
    fn new(w: &mut Weights, name: &str, c: &Config) -> Self {
        let (width, heads, eps) = (c.d_model, c.encoder_attention_heads, c.layer_norm_eps);
        let half = c.encoder_ffn_dim / 2;
        let at = |part: &str| format!("{name}.{part}");
        let fusion = Fusion::new(w, &at("fusion_layer"), width, half, heads / 2, eps);
        let in_text = |part: &str| at(&format!("text_enhancer_layer.{part}"));
        let text = TextLayer {
            attention: Attention::new(w, &in_text("self_attn"), width, heads / 2),
            norm_before: LayerNorm::new(w, &in_text("layer_norm_before"), width, eps),
            mlp: Mlp::new(
                Linear::new(w, &in_text("fc1"), width, half),
                Linear::new(w, &in_text("fc2"), half, width),
                c.activation_function,
            ),
            norm_after: LayerNorm::new(w, &in_text("layer_norm_after"), width, eps),
        };
        let in_vision = |part: &str| at(&format!("deformable_layer.{part}"));
        let (levels, points) = (c.num_feature_levels, c.encoder_n_points);
        let vision = VisionLayer {
            attention: Deformable::new(w, &in_vision("self_attn"), width, heads, levels, points),
            attention_norm: LayerNorm::new(w, &in_vision("self_attn_layer_norm"), width, eps),
            mlp: Mlp::new(
                Linear::new(w, &in_vision("fc1"), width, c.encoder_ffn_dim),
                Linear::new(w, &in_vision("fc2"), c.encoder_ffn_dim, width),
                c.activation_function,
            ),
            mlp_norm: LayerNorm::new(w, &in_vision("final_layer_norm"), width, eps),
        };
        Self { fusion, text, vision }
    }
}

impl TextLayer {
    fn forward(&self, x_btd: &Tensor, positions_btd: &Tensor, mask_b1tt: &Tensor) -> Tensor {
        let placed_btd = x_btd + positions_btd;
        let seen_btd = self.attention.forward(&placed_btd, &placed_btd, x_btd, Some(mask_b1tt));
        let x_btd = self.norm_before.forward(&(x_btd + seen_btd));
        self.norm_after.forward(&(&x_btd + self.mlp.forward(&x_btd)))
    }
}

impl VisionLayer {
    fn forward(&self, x_bsd: &Tensor, levels: &Levels, reference: &Tensor) -> Tensor {
        let values = self.attention.values(x_bsd, levels.inside_bs.as_ref());
        let placed_bsd = x_bsd + &levels.positions_bsd;
        let seen_bsd = self.attention.forward(&placed_bsd, &values, reference, &levels.shapes);
        let x_bsd = self.attention_norm.forward(&(x_bsd + seen_bsd));
        self.mlp_norm.forward(&(&x_bsd + self.mlp.forward(&x_bsd)))
    }
}
