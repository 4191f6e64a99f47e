//! The `output` section: the shards and where they go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The shards and where they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// A folder, or a URL of an object store (`s3://`, `gs://`, `az://`), for `train/`, `val/`,
    /// `test/`, the index and `rejects.parquet`.
    pub dir: String,
    /// Where unfinished work is kept, on a local disk. Left out: beside `dir`, or beside the
    /// configuration where `dir` is a URL.
    #[serde(default)]
    pub work_dir: Option<PathBuf>,
    /// The shorter side of crops in pixels; smaller ones stay as they are. `null` keeps the size
    /// of all.
    #[serde(default = "short_side")]
    pub short_side: Option<u32>,
    /// JPEG quality of crops that are encoded anew, 1 to 100. Pictures of which nothing is cut or
    /// shrunk keep their bytes.
    #[serde(default = "quality")]
    pub quality: u8,
    /// Whether the whole picture is stored beside the crop (`image_raw`), for ablations.
    #[serde(default)]
    pub image_raw: bool,
    /// Whether attributes are stored.
    #[serde(default = "yes")]
    pub attributes: bool,
    /// A row group is closed at this many rows: the unit that training shuffles.
    #[serde(default = "row_group_rows")]
    pub row_group_rows: usize,
    /// A row group is closed at this many MB (10^6 bytes) of pictures, however few its rows.
    #[serde(default = "row_group_mb")]
    pub row_group_mb: f64,
    /// A file is closed, after a whole row group, at this many MB (10^6 bytes).
    #[serde(default = "file_mb")]
    pub file_mb: f64,
    /// Shares of the products by split.
    #[serde(default)]
    pub splits: Splits,
    /// The share of products that may be rejected before the run stops, in [0, 1].
    #[serde(default = "max_reject_fraction")]
    pub max_reject_fraction: f64,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn short_side() -> Option<u32> {
    Some(288) // a quarter more than the 224 that ViT-B reads, so that random crops have room
}
fn quality() -> u8 {
    90
}
fn yes() -> bool {
    true
}
fn row_group_rows() -> usize {
    512
}
fn row_group_mb() -> f64 {
    64.0
}
fn file_mb() -> f64 {
    256.0
}
fn max_reject_fraction() -> f64 {
    0.05
}

/// Shares of the products by split; they add up to 1. A product's split follows from its group
/// alone, so adding products moves none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Splits {
    /// Seen by the optimiser.
    pub train: f64,
    /// Measured while training.
    pub val: f64,
    /// Measured once, at the end.
    pub test: f64,
}

impl Default for Splits {
    fn default() -> Self {
        Self { train: 0.8, val: 0.1, test: 0.1 }
    }
}
