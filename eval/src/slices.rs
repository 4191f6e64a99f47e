//! Metrics over parts of the queries: labels, and the report of each part.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bins of [`Labels::binned`].
const BINS: usize = 4;

/// A label for every query of a ranking, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// What the labels are: the name of a column.
    pub column: String,
    /// One label per query; `None` where a query has none.
    pub values: Vec<Option<String>>,
}

impl Labels {
    /// Labels numbers by quartile, such as `3-8`: every label holds about as many queries, equal
    /// numbers share one. `values` has one number per query, `None` where a query has none.
    pub fn binned(column: impl Into<String>, values: &[Option<f64>]) -> Self {
        let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut bins: Vec<(f64, f64)> = Vec::new();
        for quarter in 0..BINS {
            let part = &sorted[sorted.len() * quarter / BINS..sorted.len() * (quarter + 1) / BINS];
            // Numbers that the bin before has taken are not divided.
            let taken = bins.last().map_or(f64::NEG_INFINITY, |(_, high)| *high);
            let Some(high) = part.last().filter(|high| **high > taken) else { continue };
            if let Some(low) = part.iter().find(|low| **low > taken) {
                bins.push((*low, *high));
            }
        }
        let names = bin_names(&bins);
        let label = |value: f64| {
            let at = bins.partition_point(|(_, high)| *high < value);
            names.get(at).cloned()
        };
        let values = values.iter().map(|value| value.and_then(label)).collect();
        Self { column: column.into(), values }
    }
}

/// Names of bins with as few decimals as tell them apart.
fn bin_names(bins: &[(f64, f64)]) -> Vec<String> {
    let name = |(low, high): &(f64, f64), decimals: usize| {
        let (low_text, high_text) = (format!("{low:.decimals$}"), format!("{high:.decimals$}"));
        match () {
            () if low_text == high_text => low_text,
            () if *low < 0.0 => format!("{low_text} to {high_text}"),
            () => format!("{low_text}-{high_text}"),
        }
    };
    let whole = bins.iter().all(|(low, high)| low.fract() == 0.0 && high.fract() == 0.0);
    let mut names = Vec::new();
    for decimals in if whole { 0..=0 } else { 2..=17 } {
        names = bins.iter().map(|bin| name(bin, decimals)).collect();
        if names.windows(2).all(|pair| pair[0] != pair[1]) {
            break;
        }
    }
    names
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
