//! The report of one task: every metric beside chance, interval and tie bounds, and what is needed
//! to understand them. Owns the schema of the report's per-task part; `evaluate` fills it.

mod digests;
mod evaluate;
mod examples;
mod tally;

pub use evaluate::{EvaluateOptions, evaluate};
pub(crate) use evaluate::{mean, median};

use crate::SelfMatch;
use crate::metrics::{Metric, metrics};
use crate::scores::ScoreReport;
use crate::slices::SliceReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A retrieval task's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// What is searched with what, in one line of the caller's.
    pub description: String,
    /// Items in the pool. With [`SelfMatch::Exclude`] a query's own item is no candidate.
    pub pool: usize,
    /// Which items of the pool are candidates of a query.
    pub candidates: Candidates,
    /// What becomes of an item that has the query's own id.
    pub self_match: SelfMatch,
    /// What identifies pool and judgements: compared before two reports are.
    pub digests: Digests,
    /// How many queries were scored, and how many not.
    pub queries: QueryCounts,
    /// How many relevant items (R) the scored queries have.
    pub relevance: RelevanceCounts,
    /// How many relevant items have exactly the score of another item.
    pub ties: TieCounts,
    /// Items listed per query in the dumped run.
    pub run_depth: usize,
    /// Cut-offs, ascending.
    pub ks: Vec<usize>,
    /// Each metric's mean over the scored queries, by name.
    pub metrics: BTreeMap<String, MetricReport>,
    /// Rank of the first relevant item, over the scored queries that have one.
    pub first_rank: Option<RankReport>,
    /// Means of precision, recall, hits and ndcg, by these names, at cut-offs 1, 2, 3, 5, 10, 20, 30,
    /// 50, 100, ... and the largest pool.
    pub curves: BTreeMap<String, Vec<CurvePoint>>,
    /// Queries by the rank of their first relevant item: 1, 2-3, 4-7, ... up to the largest pool.
    /// Queries without a relevant item are in no bin.
    pub rank_histogram: Vec<RankBin>,
    /// Scores of relevant and other items, where the caller has sampled them.
    pub scores: Option<ScoreReport>,
    /// The metrics over parts of the queries, by column.
    pub slices: BTreeMap<String, Vec<SliceReport>>,
    /// Each metric's mean over the means of the classes (of hits@1: balanced accuracy), by name,
    /// where the queries have classes.
    pub mean_per_class: Option<BTreeMap<String, f64>>,
    /// The queries that did worst and best.
    pub examples: Examples,
    /// What each scored query got.
    pub per_query: PerQuery,
}

/// Which items of the pool are candidates of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidates {
    /// All of them.
    #[default]
    All,
    /// Those that have the query's value of a column.
    Within {
        /// The column, such as `product_type`.
        column: String,
    },
}

/// SHA-256 digests, in hexadecimal, of what a task was scored against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Ids of the pool's items in byte order, a line feed after each: `sort ids | sha256sum`.
    pub items: String,
    /// Each scored query's id and number of candidates, and after it its relevant items and their
    /// grades, one per line, both in byte order of the ids.
    pub relevance: String,
}

/// How many queries there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCounts {
    /// All queries that were searched.
    pub given: usize,
    /// Queries with at least one judgement: the means are over these.
    pub scored: usize,
    /// Of these, queries without a relevant item: 0 in every metric, as in trec_eval.
    pub without_relevant: usize,
    /// Queries without any judgement: not scored, as in trec_eval.
    pub unjudged: usize,
}

/// The distribution of R, the number of relevant items, over the scored queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelevanceCounts {
    /// Smallest R.
    pub min: usize,
    /// Median R.
    pub median: f64,
    /// Mean R.
    pub mean: f64,
    /// Largest R.
    pub max: usize,
    /// Number of queries by R.
    pub histogram: BTreeMap<usize, usize>,
}

/// Relevant items whose score another item of the pool shares exactly, in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TieCounts {
    /// Such relevant items.
    pub relevant_items: usize,
    /// Queries that have one.
    pub queries: usize,
}

/// One metric of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// With ties broken by lower item index first.
    pub value: f64,
    /// Confidence interval of `value`, low and high, by bootstrap over the queries. `None` where
    /// resampling says nothing: fewer than two scored queries, all of the same value, or no
    /// resamples asked for.
    pub interval: Option<[f64; 2]>,
    /// What a random order of the pool scores on average; exact, not simulated.
    pub chance: f64,
    /// With every tie broken for the worse.
    pub pessimistic: f64,
    /// With every tie broken for the better.
    pub optimistic: f64,
}

/// Where the first relevant item stands, ties broken by lower item index first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankReport {
    /// Mean rank.
    pub mean: f64,
    /// Median rank: the mean of the two middle ones when their number is even.
    pub median: f64,
    /// Mean rank that a random order gives on average.
    pub chance_mean: f64,
}

/// A measure's mean at one cut-off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The cut-off.
    pub k: usize,
    /// Mean over the scored queries.
    pub value: f64,
    /// What a random order scores on average.
    pub chance: f64,
}

/// Queries whose first relevant item has a rank in `from..=to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankBin {
    /// Lowest rank.
    pub from: usize,
    /// Highest rank.
    pub to: usize,
    /// Such queries.
    pub queries: usize,
    /// How many of them a random order gives on average.
    pub chance: f64,
}

/// The queries at both ends of a metric, ties broken by the rank of the first relevant item and then
/// the order of the queries. Queries without a relevant item are at neither end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// The metric.
    pub metric: String,
    /// The worst, worst first.
    pub worst: Vec<Example>,
    /// The best, best first, none of which is among the worst.
    pub best: Vec<Example>,
}

/// One query, what was retrieved for it and what was right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Query id.
    pub query: String,
    /// Its value of the examples' metric.
    pub value: f64,
    /// Rank of its first relevant item.
    pub first_rank: Option<usize>,
    /// The first 5 items, or as many as the ranking keeps.
    pub retrieved: Vec<ExampleItem>,
    /// The 3 relevant items that stand first.
    pub relevant: Vec<ExampleItem>,
}

/// An item of an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleItem {
    /// Item id.
    pub item: String,
    /// Its rank, from 1.
    pub rank: usize,
    /// Its score.
    pub score: f32,
    /// Whether it is relevant.
    pub relevant: bool,
}

/// The scored queries' values, in the order of the query embeddings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerQuery {
    /// Query ids.
    pub ids: Vec<String>,
    /// Number of relevant items.
    pub relevant: Vec<usize>,
    /// Rank of the first relevant item, if there is one.
    pub first_rank: Vec<Option<usize>>,
    /// Each metric's values, by name.
    pub values: BTreeMap<String, Vec<f64>>,
    /// Labels that the queries are sliced by, by column; `None` where a query has none.
    pub labels: BTreeMap<String, Vec<Option<String>>>,
}

impl TaskReport {
    /// The mean of the metric called `name`, such as `hits@5`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).map(|metric| metric.value)
    }

    /// The metrics of this report in the order to show them.
    pub fn metrics_in_order(&self) -> impl Iterator<Item = (Metric, &MetricReport)> {
        metrics(&self.ks)
            .into_iter()
            .filter_map(|metric| Some((metric, self.metrics.get(&metric.to_string())?)))
    }
}
