//! The `model` section: where weights come from and which of them train.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which CLIP, and which parts of it learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Where the initial weights come from.
    pub init: Init,
    /// Parameters held at their initial values.
    #[serde(default)]
    pub freeze: Freeze,
    /// Share of the patches that the image tower does not see in training, drawn for every picture
    /// anew (arXiv 2212.00794). In [0, 1).
    #[serde(default)]
    pub patch_dropout: f64,
}

/// Where the initial weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// A Hugging Face CLIP directory: `config.json`, `model.safetensors` (or its shards and index),
    /// `tokenizer.json`, `preprocessor_config.json`.
    Pretrained(PathBuf),
    /// Random weights of a given shape.
    Random(RandomInit),
}

/// Random weights: the shape of the model and the tokenizer it reads with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomInit {
    /// A Hugging Face CLIP `config.json`.
    pub config: PathBuf,
    /// A Hugging Face `tokenizer.json`.
    pub tokenizer: PathBuf,
}

/// Parts of each tower that do not learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Freeze {
    /// The image tower.
    pub image: FreezeTower,
    /// The text tower.
    pub text: FreezeTower,
}

/// How much of a tower is held fixed: `none`, `all`, or `{blocks: 6}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreezeTower {
    /// Everything learns.
    #[default]
    None,
    /// The whole tower with its projection is held fixed.
    All,
    /// The embeddings and the first so many transformer blocks are held fixed.
    Blocks(usize),
}
