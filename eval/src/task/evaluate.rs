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
    let fillable = match options.candidates {
        Candidates::All => ranking.smallest_pool(),
        Candidates::Within { .. } => largest,
    };
    let ks = cut_offs(&options.ks, fillable)?;
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
        for (metric, found) in found.metrics_in_order() {
            // The relevant item last of 50, or first.
            let (worst, best) = match (metric.measure, metric.k) {
                (crate::Measure::Mrr | crate::Measure::Map, None) => (1.0 / 50.0, 1.0),
                (crate::Measure::Precision, Some(k)) => (0.0, 1.0 / k as f64),
                _ => (0.0, 1.0),
            };
            assert!((found.pessimistic - worst).abs() < 1e-12, "{metric}: {found:?}");
            assert!((found.optimistic - best).abs() < 1e-12, "{metric}: {found:?}");
            assert!((found.value - found.chance).abs() < 1e-12, "{metric}: {found:?}");
        }
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
            // All queries agree: resampling says nothing.
            assert_eq!(found.interval, None);
        }
        let others = random_rows(&mut random, 400, 16);
        let shuffled = report(&rows, &others, &[1, 5, 10]);
        for (metric, found) in shuffled.metrics_in_order() {
            assert!((found.value - found.chance).abs() < 0.02, "{metric}: {found:?}");
        }
        for bin in &shuffled.rank_histogram {
            let spread = 4.0 * bin.chance.sqrt().max(1.0);
            assert!((bin.queries as f64 - bin.chance).abs() < spread, "{bin:?}");
        }
        let chance: f64 = shuffled.rank_histogram.iter().map(|bin| bin.chance).sum();
        assert!((chance - 400.0).abs() < 1e-6, "{chance}");
        for (name, curve) in &shuffled.curves {
            for point in curve {
                assert!((point.value - point.chance).abs() < 0.05, "{name}: {point:?}");
            }
            assert!(name == "precision" || curve[curve.len() - 1].value > 0.1);
        }
    }

    /// Some relevant items each, graded, with ties: what the invariances are shown on.
    fn graded(order: &[usize], rename: impl Fn(usize) -> String) -> TaskReport {
        let mut random = Random::new(8);
        let rows = random_rows(&mut random, 30, 5);
        let items = crate::testing::repeated_rows(&mut random, 40, 25, 5);
        let queries = Embeddings::normalised(
            order.iter().map(|row| rename(*row)).collect(),
            5,
            order.iter().flat_map(|row| rows[*row].clone()).collect(),
        );
        let judged = (0..30).flat_map(|query| {
            (0..4).map(move |at| (query, (query * 3 + at * 11) % 40, (at % 3) as i32))
        });
        let judged = judged.map(|(query, item, grade)| (rename(query), format!("d{item}"), grade));
        let ranking = search(
            &queries.expect("valid"),
            &embeddings("d", &items),
            &Qrels::new(judged).expect("distinct"),
            &SearchOptions::new(40),
        );
        evaluate(&ranking.expect("valid"), &EvaluateOptions::new(&[1, 5])).expect("valid")
    }

    #[test]
    fn neither_order_nor_names_of_queries_matter() {
        let forward: Vec<usize> = (0..30).collect();
        let backward: Vec<usize> = (0..30).rev().collect();
        let plain = graded(&forward, |query| format!("q{query}"));
        let reversed = graded(&backward, |query| format!("q{query}"));
        let renamed = graded(&forward, |query| format!("{}", 99 - query));
        assert!(plain.ties.queries > 0);
        assert_eq!(plain.digests, reversed.digests);
        assert_eq!(plain.digests.items, renamed.digests.items);
        assert_ne!(plain.digests.relevance, renamed.digests.relevance);
        assert_eq!(plain.metrics, renamed.metrics);
        for (name, metric) in &plain.metrics {
            let other = reversed.metrics[name];
            for (a, b) in [
                (metric.value, other.value),
                (metric.chance, other.chance),
                (metric.pessimistic, other.pessimistic),
                (metric.optimistic, other.optimistic),
            ] {
                assert!((a - b).abs() < 1e-12, "{name}: {a} {b}");
            }
            let [low, high] = metric.interval.expect("they differ");
            assert!(low < metric.value && metric.value < high, "{name}: {metric:?}");
            assert!(metric.pessimistic <= metric.value && metric.value <= metric.optimistic);
        }
        for (name, curve) in &plain.curves {
            for point in curve.iter().filter(|point| [1, 5].contains(&point.k)) {
                let metric = plain.metrics[&format!("{name}@{}", point.k)];
                assert!((point.value - metric.value).abs() < 1e-12, "{name} {point:?}");
                assert!((point.chance - metric.chance).abs() < 1e-12, "{name} {point:?}");
            }
        }
    }

    fn labels(column: &str, values: &[Option<&str>]) -> Labels {
        let values = values.iter().map(|value| value.map(str::to_owned)).collect();
        Labels { column: column.into(), values }
    }

    /// Four queries with their own item at ranks 1, 2, 1 and 2 of 4.
    fn four() -> Ranking {
        let queries: Vec<Vec<f32>> =
            (0..4).map(|at| (0..4).map(|i| f32::from(u8::from(i == at))).collect()).collect();
        let items = [
            vec![0.9, 0.1, 0.0, 0.0],
            vec![0.3, 0.5, 0.8, 0.1],
            vec![0.0, 0.2, 0.5, 0.1],
            vec![0.2, 0.9, 0.0, 0.1],
        ];
        let (queries, items) = (embeddings("q", &queries), embeddings("d", &items));
        let qrels = one_to_one(&queries, &items);
        search(&queries, &items, &qrels, &SearchOptions::new(4)).expect("valid")
    }

    #[test]
    fn slices_classes_and_examples_by_eye() {
        let options = EvaluateOptions {
            slices: vec![labels("kind", &[Some("mug"), Some("mug"), Some("bowl"), None])],
            classes: Some(labels("class", &[Some("a"), Some("a"), Some("a"), Some("b")])),
            examples: 1,
            ..EvaluateOptions::new(&[1])
        };
        let found = evaluate(&four(), &options).expect("valid");
        let slices = &found.slices["kind"];
        let shown: Vec<_> = slices
            .iter()
            .map(|slice| {
                let hits = slice.metrics["hits@1"];
                (slice.label.as_deref(), slice.queries, hits.value, hits.gap, hits.chance)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (Some("bowl"), 1, 1.0, 1.0 - 1.0 / 3.0, 0.25),
                (Some("mug"), 2, 0.5, 0.0, 0.25),
                (None, 1, 0.0, -2.0 / 3.0, 0.25)
            ]
        );
        assert_eq!(slices[1].pool_mean, 4.0);
        assert!(slices[1].metrics["hits@1"].interval.is_some());
        assert_eq!(slices[0].metrics["hits@1"].interval, None);
        // Class a: 2 of 3, class b: 0 of 1.
        let means = found.mean_per_class.expect("asked for");
        assert!((means["hits@1"] - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.per_query.labels["kind"][2].as_deref(), Some("bowl"));

        let worst = &found.examples.worst[0];
        assert_eq!((&worst.query[..], worst.value, worst.first_rank), ("q3", 0.5, Some(2)));
        let retrieved: Vec<_> =
            worst.retrieved.iter().map(|item| (&item.item[..], item.rank, item.relevant)).collect();
        assert_eq!(retrieved[..2], [("d2", 1, false), ("d3", 2, true)]);
        assert_eq!((&worst.relevant[0].item[..], worst.relevant[0].rank), ("d3", 2));
        assert_eq!(found.examples.best[0].query, "q0");
        let bins: Vec<_> =
            found.rank_histogram.iter().map(|bin| (bin.from, bin.to, bin.queries)).collect();
        assert_eq!(bins, [(1, 1, 2), (2, 3, 2), (4, 4, 0)]);
        let hits: Vec<_> = found.curves["hits"].iter().map(|at| (at.k, at.value)).collect();
        assert_eq!(hits, [(1, 0.5), (2, 1.0), (3, 1.0), (4, 1.0)]);
    }

    #[test]
    fn refuses_labels_that_slice_nothing() {
        let refused = |slices: Vec<Labels>| {
            let options = EvaluateOptions { slices, ..EvaluateOptions::new(&[1]) };
            evaluate(&four(), &options).expect_err("refused").to_string()
        };
        assert_eq!(
            refused(vec![labels("kind", &[None; 4])]),
            "slice column `kind` is empty: none of the 4 scored queries has a value in it; leave \
             it out or fill it"
        );
        assert_eq!(
            refused(vec![labels("kind", &[Some("mug")])]),
            "slice column `kind` has 1 labels for 4 queries: give one per query"
        );
        let kind = labels("kind", &[Some("mug"); 4]);
        assert_eq!(
            refused(vec![kind.clone(), kind]),
            "slice column `kind` is given twice: name each column once"
        );
        let bootstrap = |resamples, confidence| {
            let bootstrap = Bootstrap { resamples, confidence, seed: 0 };
            let options = EvaluateOptions { bootstrap, ..EvaluateOptions::new(&[1]) };
            evaluate(&four(), &options).map_err(|error| error.to_string())
        };
        assert_eq!(
            bootstrap(7, 0.95).expect_err("refused"),
            "7 resamples are too few for an interval: choose at least 100, or 0 for no intervals"
        );
        assert_eq!(
            bootstrap(100, 1.0).expect_err("refused"),
            "confidence 1 is not possible: choose a number between 0 and 1, such as 0.95"
        );
        let without = bootstrap(0, 0.95).expect("valid");
        assert!(without.metrics.values().all(|metric| metric.interval.is_none()));
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
