//! Two reports side by side: paired differences per metric and slice. Owns the schema of a
//! comparison; `pair` fills it, `protocol` says whether it may, `gate` holds it against bounds.

mod gate;
mod markdown;
mod pair;
mod protocol;
mod sign_flip;

pub use gate::{Bound, Breach};
pub use pair::{CompareOptions, compare};

use crate::{EvalError, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the comparison's format.
pub const COMPARISON_SCHEMA: &str = "vlclip.eval.comparison";
/// Version of the comparison's format.
pub const COMPARISON_SCHEMA_VERSION: u32 = 1;

/// What `b` has over `a`, query by query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Always [`COMPARISON_SCHEMA`].
    pub schema: String,
    /// Always [`COMPARISON_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The report that is compared with.
    pub a: Subject,
    /// The report that is judged.
    pub b: Subject,
    /// Where the protocols differ, one line each: empty unless the comparison was forced.
    pub protocol_differences: Vec<String>,
    /// By name, those that both reports have.
    pub tasks: BTreeMap<String, TaskComparison>,
    /// Share of intervals that hold the true difference.
    pub confidence: f64,
    /// Resamples behind the intervals.
    pub resamples: usize,
    /// Random sign flips behind the tests; tests of few queries try all instead.
    pub permutations: usize,
    /// Seed of both.
    pub seed: u64,
    /// How the intervals are made.
    pub intervals: String,
    /// How the p-values are made.
    pub test: String,
}

impl Comparison {
    /// One line of JSON, numbers in full precision.
    ///
    /// # Errors
    /// None that a comparison made by this crate can cause.
    pub fn to_json(&self) -> Result<String, EvalError> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// The comparison for readers: a table per task, its slices, the queries that changed most.
    pub fn to_markdown(&self) -> String {
        markdown::comparison(self)
    }
}

/// One task of both reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskComparison {
    /// Queries that both reports score: all figures are over these.
    pub queries: usize,
    /// Scored queries that only `a` has.
    pub only_a: usize,
    /// Scored queries that only `b` has.
    pub only_b: usize,
    /// Names of the compared metrics, in the order to show them.
    pub order: Vec<String>,
    /// By name.
    pub metrics: BTreeMap<String, Difference>,
    /// Rank of the first relevant item, over the queries where both reports have one.
    pub first_rank: Option<RankDifference>,
    /// By column, then label; columns that both reports have.
    pub slices: BTreeMap<String, Vec<SliceDifference>>,
    /// The metric that `gained` and `lost` are by.
    pub changed_by: String,
    /// Queries with the largest rise, largest first.
    pub gained: Vec<QueryChange>,
    /// Queries with the largest fall, largest first.
    pub lost: Vec<QueryChange>,
}

/// One metric in both reports, over the same queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean in `a`.
    pub a: f64,
    /// Mean in `b`.
    pub b: f64,
    /// `b - a`.
    pub difference: f64,
    /// Confidence interval of `difference`, low and high, with the exceptions of
    /// [`MetricReport::interval`](crate::MetricReport::interval).
    pub interval: Option<[f64; 2]>,
    /// How likely a difference at least as large is, in either direction, if no query prefers a
    /// report.
    pub p_value: f64,
    /// `p_value` corrected for the number of tests at hand (Holm).
    pub p_adjusted: f64,
    /// Queries where `b` is higher.
    pub queries_better: usize,
    /// Queries where `b` is lower.
    pub queries_worse: usize,
}

/// Rank of the first relevant item in both reports, over the same queries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankDifference {
    /// Mean rank in `a`.
    pub a_mean: f64,
    /// Mean rank in `b`.
    pub b_mean: f64,
    /// Median rank in `a`.
    pub a_median: f64,
    /// Median rank in `b`.
    pub b_median: f64,
}

/// The queries that share a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceDifference {
    /// The label; `None` for the queries without one.
    pub label: Option<String>,
    /// Paired queries with it.
    pub queries: usize,
    /// By name.
    pub metrics: BTreeMap<String, Difference>,
}

/// One query in both reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryChange {
    /// Query id.
    pub query: String,
    /// Rank of its first relevant item in `a`.
    pub a_rank: Option<usize>,
    /// Rank of its first relevant item in `b`.
    pub b_rank: Option<usize>,
    /// Value in `a`.
    pub a: f64,
    /// Value in `b`.
    pub b: f64,
}
