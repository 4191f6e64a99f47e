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
mod tests {
    use super::*;
    use crate::testing::{Random, embeddings, random_rows};
    use crate::{Embeddings, Qrels, SearchOptions, TieCounts, search};

    fn one_to_one(queries: &Embeddings, items: &Embeddings) -> Qrels {
        let pairs = queries.ids().iter().zip(items.ids());
        Qrels::new(pairs.map(|(query, item)| (query.clone(), item.clone(), 1))).expect("distinct")
    }

    fn report(queries: &[Vec<f32>], items: &[Vec<f32>], ks: &[usize]) -> TaskReport {
        let (queries, items) = (embeddings("q", queries), embeddings("d", items));
        let qrels = one_to_one(&queries, &items);
        let ranking = search(&queries, &items, &qrels, &SearchOptions::new(1)).expect("valid");
        evaluate(&ranking, &EvaluateOptions::new(ks)).expect("valid")
    }

    /// Four queries, four items: the scores are the items' components, so ranks can be read off.
    #[test]
    fn by_eye() {
        let queries: Vec<Vec<f32>> =
            (0..4).map(|at| (0..4).map(|i| f32::from(u8::from(i == at))).collect()).collect();
        let items = [
            vec![0.9, 0.1, 0.0, 0.0], // query 0: itself first
            vec![0.3, 0.5, 0.8, 0.1], // query 1: second, after item 3
            vec![0.0, 0.2, 0.5, 0.1], // query 2: first, 0.91 normalised against 0.80
            vec![0.2, 0.9, 0.0, 0.1], // query 3: second, 0.108 against item 2's 0.183
        ];
        let found = report(&queries, &items, &[1, 2]);
        assert_eq!(found.per_query.first_rank, [Some(1), Some(2), Some(1), Some(2)]);
        assert_eq!(found.metric("hits@1"), Some(0.5));
        assert_eq!(found.metric("hits@2"), Some(1.0));
        assert_eq!(found.metric("precision@2"), Some(0.5));
        assert_eq!(found.metric("mrr"), Some(0.75));
        assert_eq!(found.metrics["hits@1"].chance, 0.25);
        let rank = found.first_rank.expect("relevant items");
        assert_eq!((rank.mean, rank.median, rank.chance_mean), (1.5, 1.5, 2.5));
        assert_eq!(found.ties, TieCounts { relevant_items: 0, queries: 0 });
        assert_eq!((found.relevance.min, found.relevance.max), (1, 1));
        assert_eq!(found.relevance.histogram, BTreeMap::from([(1, 4)]));
    }

    #[test]
    fn a_collapsed_model_looks_as_bad_as_it_is() {
        let rows = vec![vec![0.3, 0.4, 0.5]; 50];
        let found = report(&rows, &rows, &[1, 5]);
        let hits = found.metrics["hits@5"];
        // By index, the first five queries find their item and the others do not.
        assert_eq!((hits.value, hits.pessimistic, hits.optimistic), (0.1, 0.0, 1.0));
        assert!((hits.chance - 0.1).abs() < 1e-12);
        let mrr = found.metrics["mrr"];
        assert_eq!(mrr.optimistic, 1.0);
        assert!((mrr.pessimistic - 1.0 / 50.0).abs() < 1e-12);
        assert!((mrr.value - mrr.chance).abs() < 1e-12);
        assert_eq!(found.ties, TieCounts { relevant_items: 50, queries: 50 });
    }

    #[test]
    fn an_oracle_scores_one_and_a_shuffled_model_scores_chance() {
        let mut random = Random::new(21);
        let rows = random_rows(&mut random, 400, 16);
        let oracle = report(&rows, &rows, &[1, 5, 10]);
        for (metric, found) in oracle.metrics_in_order() {
            let perfect = match (metric.measure, metric.k) {
                (crate::Measure::Precision, Some(k)) => 1.0 / k as f64,
                _ => 1.0,
            };
            assert!((found.value - perfect).abs() < 1e-12, "{metric}: {found:?}");
        }
        let others = random_rows(&mut random, 400, 16);
        for (metric, found) in report(&rows, &others, &[1, 5, 10]).metrics_in_order() {
            assert!((found.value - found.chance).abs() < 0.02, "{metric}: {found:?}");
        }
    }

    #[test]
    fn ties_are_bounded_with_several_grades() {
        // One query; items 0..3 tie at the top, of which 1 (grade 1) and 2 (grade 3) are relevant.
        let (up, side) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let items = embeddings("d", &[up.clone(), up.clone(), up.clone(), side]);
        let queries = embeddings("q", &[up]);
        let qrels = Qrels::new([("q0", "d1", 1), ("q0", "d2", 3)]).expect("valid");
        let ranking = search(&queries, &items, &qrels, &SearchOptions::new(4)).expect("valid");
        let found = evaluate(&ranking, &EvaluateOptions::new(&[2])).expect("valid");
        let (log3, hits, ndcg) = (3f64.log2(), found.metrics["hits@2"], found.metrics["ndcg@2"]);
        assert_eq!((hits.value, hits.pessimistic, hits.optimistic), (1.0, 1.0, 1.0));
        let ideal = 3.0 + 1.0 / log3;
        assert!((ndcg.value - 1.0 / log3 / ideal).abs() < 1e-12);
        assert!((ndcg.pessimistic - 1.0 / log3 / ideal).abs() < 1e-12);
        assert!((ndcg.optimistic - 1.0).abs() < 1e-12);
        assert_eq!(found.metrics["mrr"].pessimistic, 0.5);
    }

    #[test]
    fn queries_without_relevant_items_are_counted_as_trec_eval_does() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.6, 0.8]];
        let (queries, items) = (embeddings("q", &rows), embeddings("d", &rows));
        let qrels = Qrels::new([("q0", "d0", 1), ("q1", "d0", 0)]).expect("valid");
        let ranking = search(&queries, &items, &qrels, &SearchOptions::new(3)).expect("valid");
        let found = evaluate(&ranking, &EvaluateOptions::new(&[1])).expect("valid");
        let expected = QueryCounts { given: 3, scored: 2, without_relevant: 1, unjudged: 1 };
        assert_eq!(found.queries, expected);
        assert_eq!(found.metric("hits@1"), Some(0.5));
        assert_eq!(found.per_query.first_rank, [Some(1), None]);
        assert_eq!(found.relevance.histogram, BTreeMap::from([(0, 1), (1, 1)]));
        assert_eq!(found.first_rank.expect("one").mean, 1.0);
    }

    #[test]
    fn refuses_cut_offs_beyond_the_pool() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let (queries, items) = (embeddings("q", &rows), embeddings("d", &rows));
        let qrels = one_to_one(&queries, &items);
        let ranking = search(&queries, &items, &qrels, &SearchOptions::new(1)).expect("valid");
        let message = |ks: &[usize]| {
            evaluate(&ranking, &EvaluateOptions::new(ks)).expect_err("refused").to_string()
        };
        assert_eq!(
            message(&[1, 5]),
            "k = 5 is larger than the pool of 2 candidates: choose k of at most 2"
        );
        let expected = "cut-offs k must be a list of one or more numbers of at least 1, found ";
        assert_eq!(message(&[]), format!("{expected}[]"));
        assert_eq!(message(&[0, 1]), format!("{expected}[0, 1]"));
        let unjudged = search(&queries, &items, &Qrels::default(), &SearchOptions::new(1));
        assert_eq!(
            evaluate(&unjudged.expect("valid"), &EvaluateOptions::new(&[1]))
                .expect_err("refused")
                .to_string(),
            "none of the 2 queries is judged in the qrels: there is nothing to average"
        );
    }
}
