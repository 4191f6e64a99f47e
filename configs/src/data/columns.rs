//! Which column plays which role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Column names by role. `null` switches an optional role off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Encoded picture: binary, large_binary, binary_view or `struct<bytes, path>`.
    pub image: String,
    /// Training texts: string or list of strings. One is drawn per visit.
    pub captions: String,
    /// Product identity: string or integer. Rows with equal ids are never negatives.
    /// Without it every row is its own product.
    pub product_id: Option<String>,
    /// Row weight in the loss: a number.
    pub weight: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            image: "image".into(),
            captions: "captions".into(),
            product_id: Some("product_id".into()),
            weight: None,
        }
    }
}
