//! What the journal keeps of a product.

use serde::{Deserialize, Serialize};

use crate::{BoxPx, Grounding, Reject};

/// A usable product, without its pictures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RowMeta {
    pub product_id: String,
    /// The group that the catalogue gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub captions: Vec<String>,
    pub caption_raw: String,
    pub caption_refined: String,
    pub product_type: String,
    pub attributes: Vec<(String, String)>,
    pub weight: Option<f32>,
    pub grounding: Grounding,
    pub box_px: Option<BoxPx>,
    pub box_score: Option<f32>,
    pub caption_rounds: u32,
    pub caption_stop: String,
    pub caption_model: String,
    /// pHash of the crop; none where duplicates are not looked for.
    pub phash: Option<u64>,
}

/// A rejected one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RejectMeta {
    pub file: String,
    pub row: u64,
    pub line: Option<u64>,
    pub product_id: Option<String>,
    pub cause: String,
    pub detail: String,
}

impl From<&Reject> for RejectMeta {
    fn from(reject: &Reject) -> Self {
        Self {
            file: reject.row.file.display().to_string(),
            row: reject.row.row,
            line: reject.row.line,
            product_id: reject.product_id.clone(),
            cause: reject.cause.name().to_owned(),
            detail: reject.detail.clone(),
        }
    }
}

/// One of either.
pub(super) enum Entry {
    Row(RowMeta),
    Reject(RejectMeta),
}
