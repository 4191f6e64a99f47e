//! Two small reports, compared.

use super::*;
use crate::testing::{Random, embeddings, random_rows};
use crate::{
    Bootstrap, Embeddings, EvaluateOptions, Labels, Qrels, Report, SearchOptions, SelfMatch,
    evaluate, search,
};

const KS: [usize; 2] = [1, 5];

struct Case {
    queries: Vec<usize>,
    items: usize,
    self_match: SelfMatch,
    ks: Vec<usize>,
    /// How far the queries' embeddings lie from those of their items.
    noise: f32,
}

impl Default for Case {
    fn default() -> Self {
        let (queries, ks) = ((0..40).collect(), KS.to_vec());
        Self { queries, items: 40, self_match: SelfMatch::Keep, ks, noise: 0.0 }
    }
}

impl Case {
    fn report(&self) -> Report {
        let mut random = Random::new(5);
        let rows = random_rows(&mut random, 60, 8);
        let noise = random_rows(&mut random, 60, 8);
        let items = embeddings("d", &rows[..self.items]);
        let moved = self.queries.iter().flat_map(|at| {
            rows[*at].iter().zip(&noise[*at]).map(|(x, noise)| x + self.noise * noise)
        });
        let ids = self.queries.iter().map(|at| format!("q{at}")).collect();
        let queries = Embeddings::normalised(ids, 8, moved.collect()).expect("valid");
        let qrels =
            Qrels::new(self.queries.iter().map(|at| (format!("q{at}"), format!("d{at}"), 1)));
        let options = SearchOptions { self_match: self.self_match, ..SearchOptions::new(5) };
        let ranking = search(&queries, &items, &qrels.expect("distinct"), &options).expect("valid");
        let half = |at: &usize| Some(if at.is_multiple_of(2) { "even" } else { "odd" }.to_owned());
        let options = EvaluateOptions {
            slices: vec![Labels {
                column: "half".into(),
                values: self.queries.iter().map(half).collect(),
            }],
            bootstrap: Bootstrap { resamples: 200, ..Bootstrap::default() },
            ..EvaluateOptions::new(&self.ks)
        };
        let task = evaluate(&ranking, &options).expect("valid");
        let subject = Subject { model: format!("noise {}", self.noise), ..Subject::default() };
        let tasks = BTreeMap::from([("find".to_owned(), task)]);
        Report::new(subject, &options.bootstrap, tasks).expect("usable name")
    }
}

fn noisy(noise: f32) -> Report {
    Case { noise, ..Case::default() }.report()
}

fn refused(a: &Report, b: &Report) -> Vec<String> {
    match compare(a, b, &CompareOptions::default()) {
        Err(EvalError::ProtocolsDiffer { differences }) => differences,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn a_report_has_nothing_over_itself() {
    let report = noisy(0.5);
    let found = compare(&report, &report, &CompareOptions::default()).expect("same protocol");
    let task = &found.tasks["find"];
    assert_eq!((task.queries, task.only_a, task.only_b), (40, 0, 0));
    assert_eq!(task.order.len(), 15);
    for (name, difference) in &task.metrics {
        let same = Difference {
            a: report.tasks["find"].metrics[name].value,
            b: report.tasks["find"].metrics[name].value,
            p_value: 1.0,
            p_adjusted: 1.0,
            ..Difference::default()
        };
        assert_eq!(*difference, same, "{name}");
    }
    assert!(task.gained.is_empty() && task.lost.is_empty());
    assert!(found.breaches(&["hits@5=0".parse().expect("valid")]).expect("known").is_empty());
}

#[test]
fn a_worse_model_loses_by_what_the_reports_say() {
    let (good, bad) = (noisy(0.3), noisy(2.0));
    let options = CompareOptions {
        metrics: vec!["mrr".into(), "find/hits@1".into()],
        ..CompareOptions::default()
    };
    let found = compare(&good, &bad, &options).expect("same protocol");
    let task = &found.tasks["find"];
    assert_eq!(task.order, ["hits@1", "mrr"]);
    for (name, difference) in &task.metrics {
        let fall = bad.metric(&format!("find/{name}")).expect("known")
            - good.metric(&format!("find/{name}")).expect("known");
        assert!((difference.difference - fall).abs() < 1e-12);
        let [low, high] = difference.interval.expect("they differ");
        assert!(low < fall && fall < high && high < 0.0, "{difference:?}");
        assert!(difference.p_value < 0.01 && difference.p_adjusted >= difference.p_value);
        assert!(difference.queries_worse > difference.queries_better);
    }
    // Two tests: Holm doubles the smaller p-value.
    let mut p: Vec<_> = task.metrics.values().map(|d| (d.p_value, d.p_adjusted)).collect();
    p.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!((p[0].1 - 2.0 * p[0].0).abs() < 1e-12 && (p[1].1 - p[1].0.max(p[0].1)).abs() < 1e-12);
    let halves: Vec<_> =
        task.slices["half"].iter().map(|slice| (slice.label.as_deref(), slice.queries)).collect();
    assert_eq!(halves, [(Some("even"), 20), (Some("odd"), 20)]);
    let mean: f64 = task.slices["half"].iter().map(|slice| slice.metrics["mrr"].difference).sum();
    assert!((mean / 2.0 - task.metrics["mrr"].difference).abs() < 1e-12);
    assert!(task.lost.windows(2).all(|pair| pair[0].b - pair[0].a <= pair[1].b - pair[1].a));
    assert!(task.lost[0].b_rank > task.lost[0].a_rank);
    let ranks = task.first_rank.expect("all have one");
    assert!(ranks.a_mean < ranks.b_mean && ranks.a_median <= ranks.b_median);

    // The same the other way round, with the other sign.
    let back = compare(&bad, &good, &options).expect("same protocol");
    let (there, here) = (task.metrics["mrr"], back.tasks["find"].metrics["mrr"]);
    assert!((there.difference + here.difference).abs() < 1e-12);
    assert!((there.p_value - here.p_value).abs() < 1e-12);
    assert_eq!(
        (there.queries_better, there.queries_worse),
        (here.queries_worse, here.queries_better)
    );

    let breaches = |bound: &str| found.breaches(&[bound.parse().expect("valid")]);
    assert_eq!(breaches("mrr=-1").expect("known"), []);
    let broken = breaches("find/hits@1=-0.01").expect("known");
    assert_eq!(broken.len(), 1);
    assert_eq!((&broken[0].metric[..], broken[0].lowest), ("find/hits@1", -0.01));
    assert_eq!(
        breaches("hits@5=0").expect_err("not compared").to_string(),
        "no metric `hits@5` to compare; there are `find/hits@1`, `find/mrr`"
    );
    let text = found.to_markdown();
    for expected in [
        "- A: noise 0.3\n",
        "| metric |      A |      B |   B - A |              95% |",
        "### find by half: mrr",
        "### find: queries that lost most (mrr)",
    ] {
        assert!(text.contains(expected), "missing `{expected}` in\n{text}");
    }
    let json = found.to_json().expect("serialises");
    assert_eq!(serde_json::from_str::<Comparison>(&json).expect("reads back"), found);
}

#[test]
fn refuses_other_protocols_and_says_what_differs() {
    let plain = noisy(0.5);
    let of = |case: Case| refused(&plain, &case.report());
    assert_eq!(
        of(Case { items: 50, ..Case::default() }),
        [
            "find: pool: 40 items in A, 50 items in B",
            "find: other items or grades are relevant, or queries have other candidates"
        ]
    );
    assert_eq!(
        of(Case { ks: vec![1], ..Case::default() }),
        ["find: cut-offs k: [1, 5] in A, [1] in B"]
    );
    assert_eq!(
        of(Case { self_match: SelfMatch::Exclude, ..Case::default() }),
        ["find: a query's own item: is a candidate in A, is no candidate in B"]
    );
    assert_eq!(
        of(Case { queries: (3..40).collect(), ..Case::default() }),
        ["find: of the scored queries 37 are in both, 3 only in A, 0 only in B"]
    );
    let mut other = plain.clone();
    other.protocol.subject.data_hashes.insert("test.parquet".into(), "0123456789abcdef".into());
    other.protocol.averaging = "otherwise".into();
    let task = other.tasks.get_mut("find").expect("present");
    task.candidates = crate::Candidates::Within { column: "kind".into() };
    task.per_query.relevant[2] = 3;
    task.per_query.labels.get_mut("half").expect("present")[7] = None;
    task.digests.items = "other".into();
    let differences = refused(&plain, &other);
    let averaging = &plain.protocol.averaging;
    assert_eq!(
        differences,
        [
            &format!("averaging: {averaging} in A, otherwise in B"),
            "data: `test.parquet` is not named in A and has digest 0123456789ab in B",
            "find: candidates: the whole pool in A, items of the same `kind` in B",
            "find: the pools have the same size, but not the same item ids",
            "find: 1 of the 40 shared queries have another number of relevant items",
            "find: 1 of the 40 shared queries have another `half`",
        ]
    );
    let task = other.tasks.remove("find").expect("present");
    other.tasks.insert("seek".into(), task);
    let differences = refused(&plain, &other);
    assert_eq!(differences[2..], ["task `find` is only in A", "task `seek` is only in B"]);
    let forced = CompareOptions { force: true, ..CompareOptions::default() };
    assert_eq!(
        compare(&plain, &other, &forced).expect_err("nothing shared").to_string(),
        "the reports have nothing to compare: no task is in both"
    );
    let message =
        compare(&plain, &other, &CompareOptions::default()).expect_err("refused").to_string();
    assert!(message.starts_with("the reports do not compare:\n- averaging: "), "{message}");
    assert!(
        message
            .ends_with("\nevaluate both in the same way, or compare what they share with --force")
    );
}

#[test]
fn forced_it_pairs_the_queries_that_both_score() {
    let a = noisy(0.5);
    let b = Case {
        queries: (3..45).rev().filter(|at| *at < 40).collect(),
        noise: 1.0,
        ..Case::default()
    };
    let b = b.report();
    let forced = CompareOptions { force: true, ..CompareOptions::default() };
    let found = compare(&a, &b, &forced).expect("forced");
    assert_eq!(found.protocol_differences.len(), 1);
    let task = &found.tasks["find"];
    assert_eq!((task.queries, task.only_a, task.only_b), (37, 3, 0));
    let mrr = &a.tasks["find"].per_query.values["mrr"];
    let expected = mrr[3..].iter().sum::<f64>() / 37.0;
    assert!((task.metrics["mrr"].a - expected).abs() < 1e-12);
    assert!((task.metrics["mrr"].b - b.metric("find/mrr").expect("known")).abs() < 1e-12);
    let text = found.to_markdown();
    assert!(text.contains("37 queries (3 only in A and 0 only in B are left out)"), "{text}");
    assert!(text.contains("\nForced: the reports were made in different ways.\n"), "{text}");
}

#[test]
fn refuses_unknown_metrics_and_too_few_permutations() {
    let report = noisy(0.5);
    let message = |options: CompareOptions| {
        compare(&report, &report, &options).expect_err("refused").to_string()
    };
    let unknown = CompareOptions { metrics: vec!["hits@7".into()], ..CompareOptions::default() };
    let message_of_unknown = message(unknown);
    assert!(
        message_of_unknown
            .starts_with("no metric `hits@7` to compare; there are `find/precision@1`, "),
        "{message_of_unknown}"
    );
    assert_eq!(
        message(CompareOptions { permutations: 5, ..CompareOptions::default() }),
        "5 permutations are too few for a test: choose at least 100"
    );
}
