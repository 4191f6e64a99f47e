#![doc = include_str!("../README.md")]

mod ablation;
mod bootstrap;
mod compare;
mod embeddings;
mod error;
mod gallery;
mod html;
mod markdown;
mod metrics;
mod qrels;
mod random;
mod ranking;
mod report;
mod resample;
mod scores;
mod search;
mod slices;
mod space;
mod store;
mod task;
#[cfg(test)]
mod testing;
mod unfinished;

pub use ablation::{
    ABLATION_SCHEMA, ABLATION_SCHEMA_VERSION, Ablation, AblationMetric, ArmDesign, Contrast,
    ContrastKind, Design, Outcome, ReportedEffects, ReportedRemoval, Stratum, Verdict,
};
pub use bootstrap::Bootstrap;
pub use compare::{
    Bound, Breach, COMPARISON_SCHEMA, COMPARISON_SCHEMA_VERSION, CompareOptions, Comparison,
    Difference, QueryChange, RankDifference, SliceDifference, TaskComparison, compare,
};
pub use embeddings::Embeddings;
pub use error::EvalError;
pub use gallery::{Card, Gallery, MAX_PICTURE_BYTES, MAX_PICTURES_BYTES, MAX_TEXT_CHARS, Shown};
pub use markdown::comparison_table;
pub use metrics::{Measure, Metric, metrics};
pub use qrels::Qrels;
pub use ranking::{Hit, Place, RankedQuery, Ranking, run_depth, trec_id};
pub use report::{Protocol, Report, SCHEMA, SCHEMA_VERSION, Subject};
pub use scores::{ScoreReport, scores};
pub use search::{
    Block, Candidate, ItemShare, Items, Partial, Pools, RelevantScores, Search, SearchOptions,
    SelfMatch, Sieve, Sifted, Sifting, score_error, search, search_items,
};
pub use slices::{Labels, SliceMetric, SliceReport};
pub use space::{PairCount, Side, Space, space};
pub use store::{
    ModelFiles, ORIGIN_KEY, ORIGIN_VERSION, Origin, StoreError, StoreReader, StoreWriter,
    StoredDtype, StoredRows,
};
pub use task::{
    Candidates, CurvePoint, Digests, EvaluateOptions, Example, ExampleItem, Examples, MetricReport,
    PerQuery, QueryCounts, RankBin, RankReport, RelevanceCounts, TaskReport, TieCounts, evaluate,
};
pub use unfinished::Unfinished;
