//! Computes a task's report from the exact ranks of its relevant items.

use super::{
    Candidates, Digests, Examples, MetricReport, PerQuery, QueryCounts, RankReport,
    RelevanceCounts, TaskReport, TieCounts,
};
use crate::bootstrap::Bootstrap;
use crate::chance::{Chance, expected_first_rank};
use crate::metrics::{Metric, metrics, value};
use crate::ranking::{Place, cut_offs};
use crate::slices::Labels;
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

/// Computes every metric at every cut-off from the exact ranks in `ranking`.
///
/// # Errors
/// No cut-offs or a cut-off of 0; a cut-off beyond the pool; no judged query.
pub fn evaluate(ranking: &Ranking, options: &EvaluateOptions) -> Result<TaskReport, EvalError> {
    let ks = cut_offs(&options.ks, ranking.largest_k())?;
    let metrics = metrics(&ks);
    let mut chance = Chance::default();
    let mut sums = vec![MetricReport::default(); metrics.len()];
    let mut columns = vec![Vec::new(); metrics.len()];
    let mut per_query = PerQuery::default();
    let mut ties = TieCounts { relevant_items: 0, queries: 0 };
    let mut chance_ranks = 0.0;

    for (query, id) in ranking.queries.iter().zip(ranking.query_ids.iter()) {
        let Some(places) = &query.relevant else { continue };
        let mut grades: Vec<u32> = places.iter().map(|place| place.grade).collect();
        grades.sort_unstable_by(|a, b| b.cmp(a));
        let ranks: Vec<_> = places.iter().map(|place| (place.rank, place.grade)).collect();
        let (worst, best) = (untied(places, Resolve::Worst), untied(places, Resolve::Best));
        for ((metric, sum), column) in metrics.iter().zip(&mut sums).zip(&mut columns) {
            let found = value(*metric, &ranks, &grades);
            column.push(found);
            sum.value += found;
            sum.chance += chance.expected(*metric, query.pool, &grades);
            sum.pessimistic += value(*metric, &worst, &grades);
            sum.optimistic += value(*metric, &best, &grades);
        }
        let tied = places.iter().filter(|place| place.pessimistic > place.optimistic).count();
        ties.relevant_items += tied;
        ties.queries += usize::from(tied > 0);
        if !places.is_empty() {
            chance_ranks += expected_first_rank(query.pool, places.len());
        }
        per_query.ids.push(id.clone());
        per_query.relevant.push(places.len());
        per_query.first_rank.push(places.first().map(|place| place.rank));
    }

    let (given, scored) = (ranking.queries.len(), per_query.ids.len());
    if scored == 0 {
        return Err(EvalError::NothingJudged { queries: given });
    }
    let first_ranks: Vec<usize> = per_query.first_rank.iter().flatten().copied().collect();
    let first_rank = (!first_ranks.is_empty()).then(|| RankReport {
        mean: mean(&first_ranks),
        median: median(&first_ranks),
        chance_mean: chance_ranks / first_ranks.len() as f64,
    });
    let names = || metrics.iter().map(Metric::to_string);
    per_query.values = names().zip(columns).collect();
    Ok(TaskReport {
        description: options.description.clone(),
        candidates: options.candidates.clone(),
        digests: Digests::default(),
        curves: BTreeMap::new(),
        rank_histogram: Vec::new(),
        scores: None,
        slices: BTreeMap::new(),
        mean_per_class: None,
        examples: Examples::default(),
        pool: ranking.item_ids.len(),
        self_match: ranking.self_match,
        queries: QueryCounts {
            given,
            scored,
            without_relevant: scored - first_ranks.len(),
            unjudged: given - scored,
        },
        relevance: RelevanceCounts::new(&per_query.relevant),
        ties,
        run_depth: ranking.depth,
        ks,
        metrics: names().zip(sums.iter().map(|sum| sum.over(scored))).collect(),
        first_rank,
        per_query,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Resolve {
    Best,
    Worst,
}

/// Ranks and grades of the relevant items when every group of equal scores puts its relevant items
/// first, highest grade first, or last, lowest grade first.
fn untied(places: &[Place], resolve: Resolve) -> Vec<(usize, u32)> {
    let mut ranks = Vec::with_capacity(places.len());
    for group in places.chunk_by(|a, b| a.optimistic == b.optimistic) {
        let mut grades: Vec<u32> = group.iter().map(|place| place.grade).collect();
        grades.sort_unstable();
        let first = match resolve {
            Resolve::Best => {
                grades.reverse();
                group[0].optimistic
            }
            Resolve::Worst => group[0].pessimistic + 1 - group.len(),
        };
        ranks.extend((first..).zip(grades));
    }
    ranks
}

impl MetricReport {
    fn over(self, count: usize) -> Self {
        let count = count as f64;
        Self {
            value: self.value / count,
            interval: None,
            chance: self.chance / count,
            pessimistic: self.pessimistic / count,
            optimistic: self.optimistic / count,
        }
    }
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

fn mean(numbers: &[usize]) -> f64 {
    numbers.iter().map(|number| *number as f64).sum::<f64>() / numbers.len() as f64
}

fn median(numbers: &[usize]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    (low as f64 + high as f64) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, embeddings, random_rows};
    use crate::{Embeddings, Qrels, SearchOptions, search};

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
