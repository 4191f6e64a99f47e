//! How pictures are augmented in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Training augmentation, as torchvision defines each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// RandomResizedCrop: the least and greatest share of the area.
    pub scale: [f64; 2],
    /// RandomResizedCrop: the least and greatest aspect ratio.
    pub ratio: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip: f64,
}

impl Default for Augment {
    /// open_clip's: crops of 90 to 100 % of the area, no flip.
    fn default() -> Self {
        Self { scale: [0.9, 1.0], ratio: [0.75, 4.0 / 3.0], flip: 0.0 }
    }
}
