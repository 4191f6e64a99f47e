//! The text backbone's part of `config.json`.

use super::Activation;
use serde::Deserialize;

/// A BERT. Defaults are those of `BertConfig` in transformers 5.23.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// Rows of the token embedding.
    pub vocab_size: i64,
    /// Width of the residual stream.
    pub hidden_size: i64,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads.
    pub num_attention_heads: i64,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: i64,
    /// The MLP's activation.
    pub hidden_act: Activation,
    /// Rows of the position embedding.
    pub max_position_embeddings: i64,
    /// Rows of the segment embedding.
    pub type_vocab_size: i64,
    /// Added to the variance in LayerNorm.
    pub layer_norm_eps: f64,
    /// The id that pads shorter prompts of a batch.
    pub pad_token_id: Option<i64>,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
        }
    }
}
