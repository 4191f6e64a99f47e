//! The `eval` section, and the file of `vlclip eval --tasks`: what is to be found, for which queries,
//! among which items; and what a run does about what it finds.

use crate::{Cadence, Sides};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Retrieval evaluation during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Parquet files, folders or globs with held-out products, in the columns of `data.columns`.
    pub items: Vec<String>,
    /// How often during training. It also runs before step 0, as the baseline, and after the last.
    pub every: Cadence,
    /// Cut-offs of the ranking metrics.
    #[serde(default = "ks")]
    pub k: Vec<usize>,
    /// Pairs embedded at once.
    #[serde(default = "batch")]
    pub batch: usize,
    /// What is to be found, for which queries.
    #[serde(default = "tasks")]
    pub tasks: Vec<Task>,
    /// Columns of the shards (text, whole numbers or booleans) whose values part the queries into
    /// slices that are reported each. `attributes.color` reaches into a map, `caption_length` is
    /// the number of words of the caption, in four bins.
    #[serde(default)]
    pub slices: Vec<String>,
    /// When to stop before `duration` is over. Left out: never.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// When to give up a fine-tune that makes the model worse. Left out: never.
    #[serde(default)]
    pub guard: Option<Guard>,
}

/// The tasks of `vlclip eval --tasks FILE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalTasks {
    /// What is to be found, for which queries.
    #[serde(default = "tasks")]
    pub tasks: Vec<Task>,
    /// As `eval.slices`.
    #[serde(default)]
    pub slices: Vec<String>,
}

impl Default for EvalTasks {
    fn default() -> Self {
        Self { tasks: tasks(), slices: Vec::new() }
    }
}

/// One retrieval task. A key that its kind does not use is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What is to be found for what.
    pub kind: TaskKind,
    /// Its name in reports: letters, digits, `_`, `-`, `.`. Left out: the kind.
    #[serde(default)]
    pub name: Option<String>,
    /// For `text_to_image` and `image_to_text`: which captions of a product take part.
    #[serde(default)]
    pub captions: Option<CaptionsUsed>,
    /// For `query_to_item` and `item_to_item`: what an item is embedded from, by weight. Left out:
    /// its picture.
    #[serde(default)]
    pub items: Option<Sides>,
    /// A column such as `product_type`: only items that have the query's value are candidates. Left
    /// out: all are.
    #[serde(default)]
    pub within: Option<String>,
    /// For `query_to_item`: a table of queries (CSV, TSV, JSON lines or Parquet) with the columns
    /// `id`, `text` and, if wanted, `image` (bytes or a path); others can be slices.
    #[serde(default)]
    pub queries: Option<PathBuf>,
    /// For `query_to_item` and `item_to_item`: judgements, as a TREC qrels file or Parquet with the
    /// columns `query_id`, `item_id` and `grade`.
    #[serde(default)]
    pub qrels: Option<PathBuf>,
    /// What becomes of a judgement whose item is not in the pool, such as one of another split.
    #[serde(default)]
    pub missing_items: Option<MissingItems>,
    /// For `item_to_item`: a column; items with equal values are relevant to one another.
    #[serde(default)]
    pub relevant: Option<String>,
    /// For `zero_shot`: a column whose values are the classes, such as `attributes.color`.
    #[serde(default)]
    pub attribute: Option<String>,
    /// For `zero_shot`: prompts in which `{}` stands for the class; a class is embedded as the mean
    /// over its prompts.
    #[serde(default)]
    pub templates: Option<Vec<String>>,
}

/// What is to be found for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// The product's picture for its caption.
    TextToImage,
    /// The product's caption for its picture.
    ImageToText,
    /// Products for the queries of a file.
    QueryToItem,
    /// Similar products for each product, itself left out.
    ItemToItem,
    /// The right one of an attribute's values for each picture.
    ZeroShot,
}

impl TaskKind {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextToImage => "text_to_image",
            Self::ImageToText => "image_to_text",
            Self::QueryToItem => "query_to_item",
            Self::ItemToItem => "item_to_item",
            Self::ZeroShot => "zero_shot",
        }
    }
}

/// Which captions of a product take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptionsUsed {
    /// The first.
    #[default]
    First,
    /// Every one: each is a query of its own, or a relevant item of its own.
    All,
}

/// What becomes of a judgement whose item is not in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingItems {
    /// The evaluation stops and names it.
    #[default]
    Error,
    /// It is left out and counted; a query that has no other is not scored.
    Drop,
}

/// Stopping once a metric no longer rises: `checkpoint.best`, which is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Evaluations in a row without a new best after which the run ends.
    pub patience: u64,
    /// How much more than the best so far a value must be to count as a new best here.
    #[serde(default)]
    pub min_delta: f64,
}

/// Giving up a fine-tune that falls below the model it started from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// As `task/metric`. Left out: `checkpoint.best`.
    #[serde(default)]
    pub metric: Option<String>,
    /// How far below its value before step 0 it may fall.
    pub max_drop: f64,
    /// Optimiser steps at the start during which it may.
    #[serde(default)]
    pub after_steps: u64,
}

impl Task {
    /// A task of this kind with nothing else said.
    pub fn new(kind: TaskKind) -> Self {
        Self {
            kind,
            name: None,
            captions: None,
            items: None,
            within: None,
            queries: None,
            qrels: None,
            missing_items: None,
            relevant: None,
            attribute: None,
            templates: None,
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.kind.name())
    }
}

pub(crate) fn ks() -> Vec<usize> {
    vec![1, 5, 10]
}
fn batch() -> usize {
    128
}
fn tasks() -> Vec<Task> {
    vec![Task::new(TaskKind::TextToImage), Task::new(TaskKind::ImageToText)]
}
