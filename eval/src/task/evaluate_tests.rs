//! Reports of small cases that can be checked by eye, of collapsed, shuffled and perfect models.

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
