//! `config.json` of a GroundingDINO as Hugging Face writes it, read and checked.

mod activation;
mod bert;
mod check;
mod swin;

pub use activation::Activation;
pub use bert::BertConfig;
pub use swin::SwinConfig;

use crate::GroundingError;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The shape of a model. Defaults are those of `GroundingDinoConfig` in transformers 5.23; keys of
/// training (dropout, losses) are not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The image backbone.
    pub backbone_config: SwinConfig,
    /// The text backbone.
    pub text_config: BertConfig,
    /// Width of encoder and decoder (D).
    pub d_model: i64,
    /// Boxes that the decoder refines (Q).
    pub num_queries: i64,
    /// Encoder layers.
    pub encoder_layers: usize,
    /// Width of the encoder's MLPs; half of it in text layers and in the fusion.
    pub encoder_ffn_dim: i64,
    /// Heads of the deformable attention; half of them in text layers and in the fusion.
    pub encoder_attention_heads: i64,
    /// Points that a head samples in each level of the encoder.
    pub encoder_n_points: i64,
    /// Decoder layers.
    pub decoder_layers: usize,
    /// Width of the decoder's MLPs.
    pub decoder_ffn_dim: i64,
    /// Heads of the decoder's attentions.
    pub decoder_attention_heads: i64,
    /// Points that a head samples in each level of the decoder.
    pub decoder_n_points: i64,
    /// Activation of encoder and decoder.
    pub activation_function: Activation,
    /// Feature maps that encoder and decoder see (L).
    pub num_feature_levels: i64,
    /// Whether the encoder proposes the boxes; every released model says yes.
    pub two_stage: bool,
    /// Whether queries start from learnt embeddings; every released model says yes.
    pub embedding_init_target: bool,
    /// Numbers of a reference box: 4.
    pub query_dim: i64,
    /// Whether one box head serves all decoder layers.
    pub decoder_bbox_embed_share: bool,
    /// The greatest number of tokens.
    pub max_text_len: i64,
    /// `sine`, the only one supported.
    pub position_embedding_type: String,
    /// Temperature of the image's position embeddings.
    pub positional_embedding_temperature: f64,
    /// Added to the variance in the LayerNorms of encoder and decoder.
    pub layer_norm_eps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backbone_config: SwinConfig::default(),
            text_config: BertConfig::default(),
            d_model: 256,
            num_queries: 900,
            encoder_layers: 6,
            encoder_ffn_dim: 2048,
            encoder_attention_heads: 8,
            encoder_n_points: 4,
            decoder_layers: 6,
            decoder_ffn_dim: 2048,
            decoder_attention_heads: 8,
            decoder_n_points: 4,
            activation_function: Activation::Relu,
            num_feature_levels: 4,
            two_stage: true,
            embedding_init_target: true,
            query_dim: 4,
            decoder_bbox_embed_share: true,
            max_text_len: 256,
            position_embedding_type: "sine".into(),
            positional_embedding_temperature: 20.0,
            layer_norm_eps: 1e-5,
        }
    }
}

/// What the file should hold, for a message where it is missing.
const HOLDS: &str = "the shape of a GroundingDINO (`model_type`: `grounding-dino`)";

impl Config {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When the file is missing, describes another model, or states a shape that cannot be.
    pub fn read(path: &Path) -> Result<Self, GroundingError> {
        let text = std::fs::read_to_string(path).map_err(|source| GroundingError::Read {
            path: path.into(),
            holds: HOLDS,
            source,
        })?;
        let parse = |source| GroundingError::Parse { path: path.into(), source };
        let json: Value = serde_json::from_str(&text).map_err(parse)?;
        for (section, expected) in
            [("", "grounding-dino"), ("backbone_config", "swin"), ("text_config", "bert")]
        {
            let part = if section.is_empty() { &json } else { &json[section] };
            let key = format!("{section}.model_type").trim_start_matches('.').to_owned();
            let problem = match &part["model_type"] {
                Value::String(found) if found == expected => continue,
                Value::String(found) => format!("expected `{expected}`, found `{found}`"),
                _ => format!("expected `{expected}`, found none"),
            };
            return Err(GroundingError::Value { path: path.into(), key, problem });
        }
        // From the text again, so that a message names line and column.
        let config: Self = serde_json::from_str(&text).map_err(parse)?;
        match check::impossible(&config) {
            Some((key, problem)) => {
                Err(GroundingError::Value { path: path.into(), key: key.into(), problem })
            }
            None => Ok(config),
        }
    }

    /// Places over all levels (S) of a picture of `height` x `width` pixels.
    pub(crate) fn places(&self, height: i64, width: i64) -> i64 {
        let swin = &self.backbone_config;
        let halves = |side: i64, times: usize| (0..times).fold(side, |side, _| (side + 1) / 2);
        let patches = |side: i64| (side + swin.patch_size - 1) / swin.patch_size;
        let outputs = swin.outputs().unwrap_or_default();
        let last = outputs.last().copied().unwrap_or(0);
        let further = usize::try_from(self.num_feature_levels).unwrap_or(0) - outputs.len();
        // Stage 1 sees all patches, as the stem does; each level after the last stage halves it.
        let halved = outputs
            .iter()
            .map(|stage| stage.saturating_sub(1))
            .chain((1..=further).map(|more| last.saturating_sub(1) + more));
        halved.map(|times| halves(patches(height), times) * halves(patches(width), times)).sum()
    }
}
