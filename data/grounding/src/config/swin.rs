//! The image backbone's part of `config.json`.

use super::Activation;
use serde::Deserialize;

/// A Swin transformer. Defaults are those of `SwinConfig` in transformers 5.23: Swin-T.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct SwinConfig {
    /// Side of a patch in px.
    pub patch_size: i64,
    /// Colours of a picture: 3.
    pub num_channels: i64,
    /// Width of the first stage; each following one is twice as wide.
    pub embed_dim: i64,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of each stage.
    pub num_heads: Vec<i64>,
    /// Side of an attention window in patches.
    pub window_size: i64,
    /// Width of the MLPs over that of the stage.
    pub mlp_ratio: f64,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// The MLP's activation.
    pub hidden_act: Activation,
    /// Whether patches have absolute positions; no detector's backbone has.
    pub use_absolute_embeddings: bool,
    /// Added to the variance in the blocks' LayerNorms.
    pub layer_norm_eps: f64,
    /// Stages whose feature maps are used, by name: `stem`, `stage1`, …
    out_features: Option<Vec<String>>,
    /// The same by number; the stem is 0.
    out_indices: Option<Vec<i64>>,
}

impl Default for SwinConfig {
    fn default() -> Self {
        Self {
            patch_size: 4,
            num_channels: 3,
            embed_dim: 96,
            depths: vec![2, 2, 6, 2],
            num_heads: vec![3, 6, 12, 24],
            window_size: 7,
            mlp_ratio: 4.0,
            qkv_bias: true,
            hidden_act: Activation::Gelu,
            use_absolute_embeddings: false,
            layer_norm_eps: 1e-5,
            out_features: None,
            out_indices: None,
        }
    }
}

impl SwinConfig {
    /// Width of stage `stage`, counted from 1; 0 is the stem.
    pub fn width(&self, stage: usize) -> i64 {
        self.embed_dim << stage.saturating_sub(1)
    }

    /// The stages whose feature maps are used, in order: 0 is the stem. `None` where a name or
    /// number is none of a stage.
    pub fn outputs(&self) -> Option<Vec<usize>> {
        let last = self.depths.len();
        let mut stages = match (&self.out_features, &self.out_indices) {
            (Some(names), _) => names
                .iter()
                .map(|name| match name.as_str() {
                    "stem" => Some(0),
                    name => name.strip_prefix("stage")?.parse().ok().filter(|&stage| stage > 0),
                })
                .collect::<Option<Vec<usize>>>()?,
            (None, Some(indices)) => indices
                .iter()
                .map(|&index| {
                    // Negative ones count from the last stage, as in Python.
                    let from_end = i64::try_from(last).ok()? + 1 + index;
                    usize::try_from(if index < 0 { from_end } else { index }).ok()
                })
                .collect::<Option<Vec<usize>>>()?,
            (None, None) => vec![last],
        };
        stages.sort_unstable();
        stages.dedup();
        stages.iter().all(|&stage| stage <= last).then_some(stages)
    }
}
