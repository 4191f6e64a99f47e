//! The `grounding` section: how the product is found in its picture.

use super::choices::{self, OneOrMore, one_or_more};
use crate::{Device, Precision};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::path::PathBuf;

/// How the product is found in its picture. Keys of a kind that is not chosen may stay, so that
/// `--set grounding.kind=none` is all that an ablation needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grounding {
    /// Who finds it.
    pub kind: GroundingKind,
    /// Where the catalogue has boxes; needed by `given`.
    #[serde(rename = "box")]
    pub given: Option<GivenBox>,
    /// The folder of a GroundingDINO model as Hugging Face writes it; needed by `grounding_dino`.
    pub model: Option<PathBuf>,
    /// The least score of a box, 0 to 1. Where none reaches it the whole picture is kept.
    pub box_threshold: f64,
    /// The least score of a word of the phrase to be named with the box, 0 to 1.
    pub text_threshold: f64,
    /// Where the detector's tensors live.
    pub device: Device,
    /// Arithmetic of the detector.
    pub precision: Precision,
    /// Pictures that go through the detector at once.
    pub batch: usize,
    /// What is added to every side of a box, as a share of its longer side.
    pub padding: f64,
    /// A box whose shorter side has fewer pixels is passed over.
    pub min_px: u32,
}

impl Default for Grounding {
    fn default() -> Self {
        Self {
            kind: GroundingKind::None,
            given: None,
            model: None,
            // The thresholds of GroundingDINO's own example.
            box_threshold: 0.35,
            text_threshold: 0.25,
            device: Device::default(),
            precision: Precision::default(),
            batch: 4,
            padding: 0.0,
            min_px: 16,
        }
    }
}

/// Who finds the product in its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroundingKind {
    /// Nobody: the whole picture is kept.
    #[default]
    None,
    /// The catalogue has a box for it.
    Given,
    /// GroundingDINO, asked for the product type.
    GroundingDino,
}

/// Where the catalogue has boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenBox {
    /// One column with four numbers (a list, or text such as `10, 20, 110, 220`), or four columns,
    /// in the order that `format` names.
    pub columns: BoxColumns,
    /// What the four numbers are.
    #[serde(default)]
    pub format: BoxFormat,
    /// What they count.
    #[serde(default)]
    pub units: BoxUnits,
}

/// The columns of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoxColumns {
    /// One with four numbers.
    One(String),
    /// One per number.
    Four([String; 4]),
}

impl Serialize for BoxColumns {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(name) => name.serialize(s),
            Self::Four(names) => names.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for BoxColumns {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match one_or_more(d, "the name of a column, or a list of four")? {
            OneOrMore::One(name) => Ok(Self::One(name)),
            OneOrMore::More(names) => {
                let found = names.len();
                names.try_into().map(Self::Four).map_err(|_| {
                    let expected = "expected the name of a column, or a list of four";
                    de::Error::custom(format!("{expected}, found a list of {found}"))
                })
            }
        }
    }
}

impl JsonSchema for BoxColumns {
    fn schema_name() -> Cow<'static, str> {
        "BoxColumns".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        choices::schema("The name of a column, or of four.", 4, Some(4))
    }
}

/// What the four numbers of a box are; x grows to the right, y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxFormat {
    /// Left, top, right, bottom.
    #[default]
    Xyxy,
    /// Left, top, width, height (COCO).
    Xywh,
    /// The middle, width, height (YOLO).
    Cxcywh,
}

/// What the numbers of a box count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxUnits {
    /// Pixels of the picture.
    #[default]
    Pixels,
    /// Shares of its width and height, 0 to 1.
    Relative,
}
