//! One row of a shard: one training pair with the provenance of its crop and its caption.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How the crop of a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grounding {
    /// A detector found the product and the crop is its box.
    Grounded,
    /// The detector's best box scored too low; the whole picture is kept.
    BelowThreshold,
    /// The detector found nothing; the whole picture is kept.
    NoBox,
    /// The catalogue brought the box.
    Given,
    /// The detector failed on this picture; the whole picture is kept.
    Error,
}

impl Grounding {
    /// The word written into the `grounding` column.
    pub fn name(self) -> &'static str {
        match self {
            Grounding::Grounded => "grounded",
            Grounding::BelowThreshold => "below_threshold",
            Grounding::NoBox => "no_box",
            Grounding::Given => "given",
            Grounding::Error => "error",
        }
    }
}

/// A box in pixels of the raw picture: `x0 <= x < x1`, `y0 <= y < y1`, origin at the top left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxPx {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge, exclusive.
    pub x1: f32,
    /// Bottom edge, exclusive.
    pub y1: f32,
}

/// One training pair, as `prepare` writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardRow {
    /// Identity: rows with equal ids are never negatives of one another.
    pub product_id: String,
    /// The group of near-duplicates and variants that it belongs to, by its first product; needed
    /// exactly when the writer has that column.
    pub group: Option<String>,
    /// Encoded JPEG, PNG or WebP: the grounded crop.
    pub image: Bytes,
    /// The encoded picture before cropping; needed exactly when the writer has that column.
    pub image_raw: Option<Bytes>,
    /// Training texts, one drawn per visit; at least one.
    pub captions: Vec<String>,
    /// The title as the catalogue has it.
    pub caption_raw: String,
    /// The title after refinement.
    pub caption_refined: String,
    /// The grounding phrase; also the slice in reports.
    pub product_type: String,
    /// Name and value of each attribute, written in this order; allowed only when the writer has
    /// that column.
    pub attributes: Vec<(String, String)>,
    /// The row's weight in the loss; needed exactly when the writer has that column.
    pub weight: Option<f32>,
    /// How the crop was found.
    pub grounding: Grounding,
    /// Where the product is in the raw picture.
    pub box_px: Option<BoxPx>,
    /// The detector's confidence in 0..=1; 1 for a given box.
    pub box_score: Option<f32>,
    /// Rounds the caption agent took.
    pub caption_rounds: i32,
    /// Why the caption agent stopped.
    pub caption_stop: String,
    /// The model that wrote the caption; empty when none did.
    pub caption_model: String,
}
