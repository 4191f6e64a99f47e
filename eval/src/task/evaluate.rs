//! Computes a task's report from the exact ranks of its relevant items.

use super::examples::examples;
use super::tally::Tally;
use super::{
    Candidates, Digests, MetricReport, PerQuery, QueryCounts, RankReport, RelevanceCounts,
    TaskReport,
};
use crate::bootstrap::Bootstrap;
use crate::metrics::metrics;
use crate::ranking::cut_offs;
use crate::slices::{Labels, Scores, mean_per_class};
use crate::{EvalError, Ranking};
use std::collections::BTreeMap;

/// What to compute.
#[derive(Clone, Debug, Default)]
pub struct EvaluateOptions {
    /// Cut-offs of the metrics.
    pub ks: Vec<usize>,
    /// Labels that the queries are sliced by.
    pub slices: Vec<Labels>,
    /// Each query's class, for means over classes.
    pub classes: Option<Labels>,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Queries to show of the worst, and of the best.
    pub examples: usize,
    /// What is searched with what, in one line.
    pub description: String,
    /// Which items of the pool are candidates, as the search was told.
    pub candidates: Candidates,
}

impl EvaluateOptions {
    /// Cut-offs `ks`, everything else as by default: no slices, no classes, no examples.
    pub fn new(ks: &[usize]) -> Self {
        Self { ks: ks.to_vec(), ..Self::default() }
    }
}

/// Computes every metric at every cut-off from the exact ranks in `ranking`, and what a report says
/// of them: intervals, curves, slices, examples.
///
/// # Errors
/// No cut-offs or a cut-off of 0; a cut-off beyond the pool (beyond the largest, where queries have
/// different pools); no judged query; labels that are not one per query, a slice column without any
/// value, or given twice; impossible bootstrap settings.
pub fn evaluate(ranking: &Ranking, options: &EvaluateOptions) -> Result<TaskReport, EvalError> {
    options.bootstrap.check()?;
    let largest = ranking.queries.iter().map(|query| query.pool).max().unwrap_or(0);
    let ks = cut_offs(&options.ks, ranking.largest_k())?;
    let tally = Tally::of(ranking, &metrics(&ks), largest);
    let (given, scored) = (ranking.queries.len(), tally.rows.len());
    if scored == 0 {
        return Err(EvalError::NothingJudged { queries: given });
    }
    let labels = scored_labels(&options.slices, &tally.rows, given)?;
    let classes = match &options.classes {
        Some(classes) => scored_labels(std::slice::from_ref(classes), &tally.rows, given)?,
        None => BTreeMap::new(),
    };

    let columns: Vec<&[f64]> = tally.values.iter().map(Vec::as_slice).collect();
    let scores = Scores {
        names: &tally.names,
        values: &columns,
        chance: &tally.chance,
        pools: &tally.pools,
    };
    let slices = labels
        .iter()
        .map(|(column, labels)| (column.clone(), scores.slice(labels, &options.bootstrap)))
        .collect();
    let intervals = options.bootstrap.intervals(&columns);
    let named = |at: usize| tally.names[at].clone();
    let mean_of = |values: &[f64]| values.iter().sum::<f64>() / scored as f64;
    let metrics = intervals
        .into_iter()
        .enumerate()
        .map(|(at, interval)| {
            let report = MetricReport {
                value: mean_of(columns[at]),
                interval,
                chance: mean_of(&tally.chance[at]),
                pessimistic: tally.pessimistic[at] / scored as f64,
                optimistic: tally.optimistic[at] / scored as f64,
            };
            (named(at), report)
        })
        .collect();
    let mean_per_class = classes.values().next().map(|classes| {
        columns.iter().enumerate().map(|(at, c)| (named(at), mean_per_class(c, classes))).collect()
    });

    let first_ranks: Vec<usize> = tally.first_rank.iter().flatten().copied().collect();
    let first_rank = (!first_ranks.is_empty()).then(|| RankReport {
        mean: mean(&first_ranks),
        median: median(&first_ranks),
        chance_mean: tally.chance_ranks / first_ranks.len() as f64,
    });
    Ok(TaskReport {
        description: options.description.clone(),
        pool: ranking.item_ids.len(),
        candidates: options.candidates.clone(),
        self_match: ranking.self_match,
        digests: Digests::of(ranking),
        queries: QueryCounts {
            given,
            scored,
            without_relevant: scored - first_ranks.len(),
            unjudged: given - scored,
        },
        relevance: RelevanceCounts::new(&tally.relevant),
        ties: tally.ties,
        run_depth: ranking.depth,
        ks,
        metrics,
        first_rank,
        curves: tally.curves(),
        rank_histogram: tally.rank_histogram(),
        scores: None,
        slices,
        mean_per_class,
        examples: examples(ranking, &tally, options.examples),
        per_query: PerQuery {
            ids: tally.rows.iter().map(|row| ranking.query_ids[*row].clone()).collect(),
            relevant: tally.relevant,
            first_rank: tally.first_rank,
            values: tally.names.into_iter().zip(tally.values).collect(),
            labels,
        },
    })
}

/// The labels of the scored queries, by column.
fn scored_labels(
    slices: &[Labels],
    rows: &[usize],
    queries: usize,
) -> Result<BTreeMap<String, Vec<Option<String>>>, EvalError> {
    let mut columns = BTreeMap::new();
    for Labels { column, values } in slices {
        let column = column.clone();
        if values.len() != queries {
            return Err(EvalError::LabelCount { column, found: values.len(), queries });
        }
        let labels: Vec<Option<String>> = rows.iter().map(|row| values[*row].clone()).collect();
        if labels.iter().all(Option::is_none) {
            return Err(EvalError::EmptySlices { column, queries: rows.len() });
        }
        if columns.insert(column.clone(), labels).is_some() {
            return Err(EvalError::DuplicateSlices { column });
        }
    }
    Ok(columns)
}

impl RelevanceCounts {
    fn new(relevant: &[usize]) -> Self {
        let mut histogram = BTreeMap::new();
        for count in relevant {
            *histogram.entry(*count).or_insert(0) += 1;
        }
        Self {
            min: relevant.iter().copied().min().unwrap_or(0),
            median: median(relevant),
            mean: mean(relevant),
            max: relevant.iter().copied().max().unwrap_or(0),
            histogram,
        }
    }
}

pub(crate) fn mean(numbers: &[usize]) -> f64 {
    numbers.iter().map(|number| *number as f64).sum::<f64>() / numbers.len() as f64
}

pub(crate) fn median(numbers: &[usize]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    (low as f64 + high as f64) / 2.0
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
