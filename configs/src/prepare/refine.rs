//! The `refine` section: how captions are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How captions are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refine {
    /// Who writes them.
    pub kind: RefineKind,
}

/// Who writes captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefineKind {
    /// Nobody: the title is the caption.
    #[default]
    None,
    /// Sentences filled from the product's attributes.
    Template,
}
