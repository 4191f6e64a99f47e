//! Which column plays which role.

use super::CaptionChoice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Column names by role. `null` switches an optional role off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Encoded picture: binary, large_binary, binary_view or `struct<bytes, path>`.
    pub image: String,
    /// Texts: a column of strings or lists of strings, or a list of alternatives, each a column or
    /// a `template` filled from columns, with a `weight`. One alternative that the row can fill
    /// and one text of a list are drawn per visit. A template can be filled if each of its columns
    /// (strings, lists of strings, numbers or booleans) has a text or value in the row. Evaluation
    /// takes the first.
    pub captions: CaptionChoice,
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
