//! Metrics over parts of the queries: labels, and the report of each part.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A label for every query of a ranking, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// What the labels are: the name of a column.
    pub column: String,
    /// One label per query; `None` where a query has none.
    pub values: Vec<Option<String>>,
}

/// The scored queries that share a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceReport {
    /// The label; `None` for the queries without one.
    pub label: Option<String>,
    /// Scored queries with it.
    pub queries: usize,
    /// Mean number of candidates of these queries.
    pub pool_mean: f64,
    /// By name.
    pub metrics: BTreeMap<String, SliceMetric>,
}

/// One metric over one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceMetric {
    /// Mean over the slice.
    pub value: f64,
    /// Confidence interval of `value`, with the exceptions of
    /// [`MetricReport::interval`](crate::MetricReport::interval).
    pub interval: Option<[f64; 2]>,
    /// What a random order of the slice's pools scores on average.
    pub chance: f64,
    /// `value` less the mean over all other scored queries; 0 where there are none.
    pub gap: f64,
}
