#![doc = include_str!("../README.md")]

mod chance;
mod embeddings;
mod error;
mod markdown;
mod metrics;
mod qrels;
mod ranking;
mod report;
mod search;
mod task;
#[cfg(test)]
mod testing;

pub use embeddings::Embeddings;
pub use error::EvalError;
pub use markdown::comparison_table;
pub use metrics::{Measure, Metric, metrics};
pub use qrels::Qrels;
pub use ranking::{Hit, Place, RankedQuery, Ranking, run_depth, trec_id};
pub use report::{Protocol, Report, SCHEMA, SCHEMA_VERSION, Subject};
pub use search::{
    Block, Candidate, ItemShare, Items, Labels, Partial, RelevantScores, Search, SearchOptions,
    SelfMatch, Sieve, Sifted, Sifting, score_error, search, search_items,
};
pub use task::{
    MetricReport, PerQuery, QueryCounts, RankReport, RelevanceCounts, TaskReport, TieCounts,
    evaluate,
};
