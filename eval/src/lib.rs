#![doc = include_str!("../README.md")]

mod chance;
mod embeddings;
mod error;
mod kernel;
mod markdown;
mod metrics;
mod partial;
mod qrels;
mod ranking;
mod report;
mod search;
mod select;
mod state;
mod store;
mod task;
#[cfg(test)]
mod testing;

pub use embeddings::Embeddings;
pub use error::EvalError;
pub use markdown::comparison_table;
pub use metrics::{Measure, Metric, metrics};
pub use partial::Partial;
pub use qrels::Qrels;
pub use ranking::{Hit, Place, RankedQuery, Ranking, run_depth, trec_id};
pub use report::{Protocol, Report, SCHEMA, SCHEMA_VERSION, Subject};
pub use search::{SearchOptions, SelfMatch, search};
pub use store::{
    Block, ModelFiles, ORIGIN_KEY, ORIGIN_VERSION, Origin, StoreError, StoreReader, StoreWriter,
    StoredDtype,
};
pub use task::{
    MetricReport, PerQuery, QueryCounts, RankReport, RelevanceCounts, TaskReport, TieCounts,
    evaluate,
};
