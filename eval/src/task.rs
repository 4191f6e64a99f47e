//! One task's evaluation: every metric per query and on average, beside chance and under the best
//! and worst resolution of ties. Owns the report's per-task part.

use crate::chance::{Chance, expected_first_rank};
use crate::metrics::{Metric, metrics, value};
use crate::ranking::{Place, cut_offs};
use crate::{EvalError, Ranking, SelfMatch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A retrieval task's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Items in the pool. With [`SelfMatch::Exclude`] a query's own item is no candidate.
    pub pool: usize,
    /// What becomes of an item that has the query's own id.
    pub self_match: SelfMatch,
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
    /// What each scored query got.
    pub per_query: PerQuery,
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// With ties broken by lower item index first.
    pub value: f64,
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

/// Computes every metric at every cut-off of `ks` from the exact ranks in `ranking`.
///
/// # Errors
/// No cut-offs or a cut-off of 0; a cut-off beyond the pool; no judged query.
pub fn evaluate(ranking: &Ranking, ks: &[usize]) -> Result<TaskReport, EvalError> {
    let ks = cut_offs(ks, ranking.largest_k())?;
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
            chance: self.chance / count,
            pessimistic: self.pessimistic / count,
            optimistic: self.optimistic / count,
        }
    }
}

impl Default for MetricReport {
    fn default() -> Self {
        Self { value: 0.0, chance: 0.0, pessimistic: 0.0, optimistic: 0.0 }
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
        evaluate(&ranking, ks).expect("valid")
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
        let found = evaluate(&ranking, &[2]).expect("valid");
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
        let found = evaluate(&ranking, &[1]).expect("valid");
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
        let message = |ks: &[usize]| evaluate(&ranking, ks).expect_err("refused").to_string();
        assert_eq!(
            message(&[1, 5]),
            "k = 5 is larger than the pool of 2 candidates: choose k of at most 2"
        );
        let expected = "cut-offs k must be a list of one or more numbers of at least 1, found ";
        assert_eq!(message(&[]), format!("{expected}[]"));
        assert_eq!(message(&[0, 1]), format!("{expected}[0, 1]"));
        let unjudged = search(&queries, &items, &Qrels::default(), &SearchOptions::new(1));
        assert_eq!(
            evaluate(&unjudged.expect("valid"), &[1]).expect_err("refused").to_string(),
            "none of the 2 queries is judged in the qrels: there is nothing to average"
        );
    }
}
