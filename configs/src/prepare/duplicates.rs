//! The `duplicates` section: pictures that are nearly the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How near-duplicate pictures are found: by the perceptual hash (pHash, 64 bits) of the crop.
/// Products with near-duplicates get a common group, which stays in one split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Duplicates {
    /// Whether to look for them.
    pub enabled: bool,
    /// Crops whose hashes differ in at most this many bits of 64 are near-duplicates: 0 to 31.
    pub max_distance: u32,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { enabled: true, max_distance: 4 }
    }
}
