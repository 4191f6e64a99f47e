//! The `data` section: shards, columns, captions, pictures, order.

use crate::{Streams, Workers};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to train on and how it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Parquet files, folders or globs.
    pub train: Vec<String>,
    /// Which column plays which role.
    #[serde(default)]
    pub columns: Columns,
    /// How captions become token ids.
    #[serde(default)]
    pub text: Text,
    /// How pictures are augmented in training. Evaluation never augments.
    #[serde(default)]
    pub augment: Augment,
    /// How rows are shuffled.
    #[serde(default)]
    pub shuffle: Shuffle,
    /// Threads that decode and tokenise.
    #[serde(default)]
    pub workers: Workers,
    /// Batches decoded ahead of the step.
    #[serde(default = "prefetch")]
    pub prefetch: usize,
    /// The share of all rows that may be unusable before the run stops, in [0, 1].
    #[serde(default = "max_bad_fraction")]
    pub max_bad_fraction: f64,
}

fn prefetch() -> usize {
    4
}
fn max_bad_fraction() -> f64 {
    0.01
}

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

/// How captions are cleaned before tokenising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// The cleaning that the pretrained model was trained with.
    pub clean: Clean,
}

/// Caption cleaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Nothing beyond what `tokenizer.json` states, as `transformers` does.
    #[default]
    Hf,
    /// ftfy, HTML unescaping twice, white space collapsed, lower case: as `open_clip` does.
    OpenClip,
}

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

/// How rows are shuffled: the row groups of all shards are permuted by (seed, epoch), the
/// sequence is cut into `streams` equal parts, and each part is permuted within a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shuffle {
    /// Canonical streams, each giving an equal share of every global batch.
    pub streams: Streams,
    /// Rows of a stream permuted together.
    pub window_rows: usize,
}

impl Default for Shuffle {
    fn default() -> Self {
        Self { streams: Streams::Auto, window_rows: 128 }
    }
}
