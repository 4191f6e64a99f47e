//! The text backbone: BERT without its pooler.

use super::layers::{LayerNorm, Linear, Mlp, attend};
use crate::config::BertConfig;
use crate::weights::Weights;
use tch::Tensor;

pub(super) struct Bert {
    words: Tensor,
    positions: Tensor,
    /// The embedding of the first segment; a prompt has no second one.
    segment: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: i64,
}

/// Post-norm: norm(x + attention(x)), then norm(x + mlp(x)).
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
}

impl Bert {
    pub fn new(w: &mut Weights, name: &str, c: &BertConfig) -> Self {
        let (width, at) = (c.hidden_size, |part: &str| format!("{name}.embeddings.{part}"));
        let segments = w.take(&at("token_type_embeddings.weight"), &[c.type_vocab_size, width]);
        Self {
            words: w.take(&at("word_embeddings.weight"), &[c.vocab_size, width]),
            positions: w
                .take(&at("position_embeddings.weight"), &[c.max_position_embeddings, width]),
            segment: segments.get(0),
            norm: LayerNorm::new(w, &at("LayerNorm"), width, c.layer_norm_eps),
            layers: (0..c.num_hidden_layers)
                .map(|i| Layer::new(w, &format!("{name}.encoder.layer.{i}"), c))
                .collect(),
            heads: c.num_attention_heads,
        }
    }

    /// Features [B, T, width] of token `ids` at `positions` [B, T] that see what `mask`
    /// [B, 1, T, T] shows.
    pub fn forward(&self, ids_bt: &Tensor, positions_bt: &Tensor, mask_b1tt: &Tensor) -> Tensor {
        let words_btd = Tensor::embedding(&self.words, ids_bt, -1, false, false) + &self.segment;
        let positions_btd = Tensor::embedding(&self.positions, positions_bt, -1, false, false);
        let x_btd = self.norm.forward(&(words_btd + positions_btd));
        self.layers.iter().fold(x_btd, |x_btd, layer| layer.forward(&x_btd, mask_b1tt, self.heads))
    }
}

impl Layer {
    fn new(w: &mut Weights, name: &str, c: &BertConfig) -> Self {
        let (width, hidden, eps) = (c.hidden_size, c.intermediate_size, c.layer_norm_eps);
        let at = |part: &str| format!("{name}.{part}");
        let mut linear = |part: &str, input, output| Linear::new(w, &at(part), input, output);
        let query = linear("attention.self.query", width, width);
        let key = linear("attention.self.key", width, width);
        let value = linear("attention.self.value", width, width);
        let out = linear("attention.output.dense", width, width);
        let fc1 = linear("intermediate.dense", width, hidden);
        let fc2 = linear("output.dense", hidden, width);
        Self {
            query,
            key,
            value,
            out,
            attention_norm: LayerNorm::new(w, &at("attention.output.LayerNorm"), width, eps),
            mlp: Mlp::new(fc1, fc2, c.hidden_act),
            mlp_norm: LayerNorm::new(w, &at("output.LayerNorm"), width, eps),
        }
    }

    fn forward(&self, x_btd: &Tensor, mask_b1tt: &Tensor, heads: i64) -> Tensor {
        let attended_btd = attend(
            &self.query.forward(x_btd),
            &self.key.forward(x_btd),
            &self.value.forward(x_btd),
            Some(mask_b1tt),
            heads,
        );
        let x_btd = self.attention_norm.forward(&(x_btd + self.out.forward(&attended_btd)));
        self.mlp_norm.forward(&(&x_btd + self.mlp.forward(&x_btd)))
    }
}
