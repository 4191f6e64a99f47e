//! How pictures are augmented in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Training augmentation, as torchvision defines each; carried out in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// How JPEG is decoded for training. Evaluation always decodes exactly.
    pub decode: Decode,
    /// RandomResizedCrop: the least and greatest share of the area.
    pub scale: [f64; 2],
    /// RandomResizedCrop: the least and greatest aspect ratio.
    pub ratio: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// ColorJitter: brightness, contrast, saturation, hue. Each of the first three is a factor
    /// from [max(0, 1 - v), 1 + v], hue is a turn from [-v, v] with v at most 0.5.
    pub color_jitter: [f64; 4],
    /// Probability of the colour jitter.
    pub color_jitter_prob: f64,
    /// RandomGrayscale: probability of a grey picture.
    pub gray_scale_prob: f64,
}

impl Default for Augment {
    /// open_clip's: crops of 90 to 100 % of the area, no flip, colours as they are.
    fn default() -> Self {
        Self {
            decode: Decode::Fast,
            scale: [0.9, 1.0],
            ratio: [0.75, 4.0 / 3.0],
            flip: 0.0,
            color_jitter: [0.0; 4],
            color_jitter_prob: 0.0,
            gray_scale_prob: 0.0,
        }
    }
}

/// How exactly pictures are decoded. Crop, flip and colours are drawn alike in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decode {
    /// Large JPEGs are scaled down while they are decoded; `data/README.md` states the bound.
    #[default]
    Fast,
    /// Every pixel is decoded as Pillow decodes it.
    Exact,
}
