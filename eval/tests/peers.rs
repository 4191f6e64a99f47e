//! Every metric equals what pytrec_eval and ranx compute from the dumped run and qrels, per query and
//! on average, on random cases with ties, several relevant items, grades, unjudged queries and
//! queries without relevant items; intervals and p-values equal scipy's.

use eval::{
    Bootstrap, CompareOptions, Embeddings, EvaluateOptions, Qrels, Ranking, Report, SearchOptions,
    SelfMatch, Subject, TaskReport, compare, evaluate, search,
};
use fastrand::Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const KS: [usize; 4] = [1, 3, 5, 10];

/// Rows drawn from few directions, so that many scores are equal.
fn embeddings(random: &mut Rng, ids: Vec<String>, distinct: usize, width: usize) -> Embeddings {
    let kinds: Vec<Vec<f32>> =
        (0..distinct).map(|_| (0..width).map(|_| random.f32() * 2.0 - 1.0).collect()).collect();
    let rows: Vec<f32> = ids.iter().flat_map(|_| kinds[random.usize(..distinct)].clone()).collect();
    Embeddings::normalised(ids, width, rows).expect("valid rows")
}

/// What a script of tests/peers prints about some files.
fn peer(script: &str, folder: &str, files: &[&Path], last: &[&str]) -> Value {
    assert!(
        Path::new(ROOT).join(folder).is_dir(),
        "no Python peers in {folder}: run `make test`, which installs them"
    );
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .current_dir(ROOT)
        .env("PYTHONPATH", format!("{folder}:.peers:.libtorch"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(Path::new("tests/peers").join(script))
        .args(files)
        .args(last)
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// Both tools' values of the dumps in a folder, by their names.
fn trec_tools(dir: &Path) -> [(&'static str, Value); 2] {
    let ks = KS.map(|k| k.to_string()).join(",");
    let (run, qrels) = (dir.join("run.trec"), dir.join("qrels.trec"));
    [("pytrec_eval", "trec_metrics.py", ".peers"), ("ranx", "ranx_metrics.py", ".peers-ranx")]
        .map(|(name, script, folder)| (name, peer(script, folder, &[&run, &qrels], &[&ks])))
}

fn assert_near(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("the peer lacks {what}"));
    assert!((found - expected).abs() < tolerance, "{what}: {found}, the peer has {expected}");
}

fn assert_parity(task: &TaskReport, prefix: &str, (tool, peer): &(&str, Value), means: bool) {
    for (metric, found) in task.metrics_in_order() {
        let name = metric.to_string();
        if means {
            assert_near(found.value, &peer["mean"][&name], 1e-6, &format!("{name} of {tool}"));
        }
        for (id, value) in task.per_query.ids.iter().zip(&task.per_query.values[&name]) {
            let id = format!("{prefix}{}", eval::trec_id(id));
            let what = format!("{name} of query {id} of {tool}");
            assert_near(*value, &peer["per_query"][&id][&name], 1e-6, &what);
        }
    }
}

struct Case {
    queries: usize,
    items: usize,
    /// Directions that the item rows are drawn from.
    distinct: usize,
    /// One item in so many is judged.
    rarity: usize,
    self_match: SelfMatch,
}

fn ranked(random: &mut Rng, case: &Case) -> Ranking {
    // Item names run against the alphabet: pytrec_eval breaks ties by name, we by index.
    let names = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("{prefix} {:03}", 999 - index)).collect()
    };
    // With self-match excluded, queries are items by another embedding.
    let prefix = if case.self_match == SelfMatch::Exclude { "item" } else { "query" };
    let queries = embeddings(random, names(prefix, case.queries), case.queries, 8);
    let items = embeddings(random, names("item", case.items), case.distinct, 8);
    let mut judged = Vec::new();
    for query in queries.ids() {
        if random.usize(..8) == 0 {
            continue;
        }
        for item in items.ids() {
            if random.usize(..case.rarity) == 0 {
                let grade = random.i32(-1..4);
                judged.push((query.clone(), item.clone(), grade));
            }
        }
    }
    let options = SearchOptions { self_match: case.self_match, ..SearchOptions::new(case.items) };
    search(&queries, &items, &Qrels::new(judged).expect("distinct pairs"), &options).expect("valid")
}

fn cases() -> Vec<Case> {
    [
        (40, 60, 60, 10, SelfMatch::Keep),
        (60, 50, 4, 8, SelfMatch::Keep),
        (30, 300, 40, 3, SelfMatch::Keep),
        (50, 12, 2, 5, SelfMatch::Keep),
        (25, 40, 1, 12, SelfMatch::Keep),
        (40, 40, 9, 6, SelfMatch::Exclude),
    ]
    .map(|(queries, items, distinct, rarity, self_match)| Case {
        queries,
        items,
        distinct,
        rarity,
        self_match,
    })
    .into()
}

#[test]
fn every_metric_equals_pytrec_eval_and_ranx() {
    let mut random = Rng::with_seed(7);
    for (index, case) in cases().iter().enumerate() {
        let ranking = ranked(&mut random, case);
        let task = evaluate(&ranking, &EvaluateOptions::new(&KS)).expect("valid");
        if index > 0 {
            assert!(task.ties.queries > 0, "case {index} is meant to have ties");
        }
        assert!(task.relevance.max > 1, "case {index} is meant to have several relevant items");
        let report = Report::new(
            Subject::default(),
            &Bootstrap::default(),
            BTreeMap::from([("task".into(), task)]),
        );
        let report = report.expect("usable name");
        let dir = tempfile::tempdir().expect("temporary folder");
        let rankings = BTreeMap::from([("task".into(), ranking)]);
        report.write(dir.path(), &rankings, &BTreeMap::new()).expect("writes");

        let task = &report.tasks["task"];
        let queries = &task.queries;
        assert!(queries.unjudged > 0 && queries.without_relevant > 0 || index != 3, "{queries:?}");
        for tool in trec_tools(dir.path()) {
            let scored = tool.1["per_query"].as_object().expect("object").len();
            assert_eq!(task.queries.scored, scored, "case {index}, {}", tool.0);
            assert_parity(task, "", &tool, true);
        }
    }
}

#[test]
fn two_tasks_share_the_files() {
    let mut random = Rng::with_seed(8);
    let cases = cases();
    let rankings: BTreeMap<String, Ranking> =
        [("text_to_image", &cases[1]), ("image_to_text", &cases[2])]
            .map(|(name, case)| (name.to_owned(), ranked(&mut random, case)))
            .into();
    let tasks = rankings
        .iter()
        .map(|(name, ranking)| {
            (name.clone(), evaluate(ranking, &EvaluateOptions::new(&KS)).expect("valid"))
        })
        .collect();
    let report =
        Report::new(Subject::default(), &Bootstrap::default(), tasks).expect("usable names");
    let dir = tempfile::tempdir().expect("temporary folder");
    report.write(dir.path(), &rankings, &BTreeMap::new()).expect("writes");
    for tool in trec_tools(dir.path()) {
        for (name, task) in &report.tasks {
            assert_parity(task, &format!("{name}/"), &tool, false);
        }
    }
}

/// Reports of two models on the same queries: half of them rank by other embeddings.
fn two_reports(queries: usize, seed: u64) -> [Report; 2] {
    let mut random = Rng::with_seed(seed);
    let names = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("{prefix}{index}")).collect()
    };
    let items = embeddings(&mut random, names("item", 40), 40, 6);
    let judged: Vec<_> = (0..queries)
        .flat_map(|query| {
            (0..3).map(move |at| (format!("query{query}"), (query * 7 + at * 5) % 40))
        })
        .map(|(query, item)| (query, format!("item{item}"), 1))
        .collect();
    let qrels = Qrels::new(judged).expect("distinct pairs");
    [0, 1].map(|_| {
        let rows = embeddings(&mut random, names("query", queries), queries, 6);
        let ranking = search(&rows, &items, &qrels, &SearchOptions::new(40)).expect("valid");
        let bootstrap = Bootstrap { resamples: 1000, confidence: 0.9, seed: 5 };
        let options = EvaluateOptions { bootstrap, ..EvaluateOptions::new(&KS) };
        let tasks = BTreeMap::from([("task".into(), evaluate(&ranking, &options).expect("valid"))]);
        Report::new(Subject::default(), &bootstrap, tasks).expect("usable name")
    })
}

#[test]
fn intervals_and_p_values_equal_scipy() {
    // Few queries, whose test is exact, and many.
    for (queries, seed, permutations, p_tolerance) in
        [(11, 11, 1 << 11, 1e-12), (11, 12, 1 << 11, 1e-12), (300, 11, 9999, 0.04)]
    {
        let [a, b] = two_reports(queries, seed);
        let options = CompareOptions {
            bootstrap: Bootstrap { resamples: 1000, confidence: 0.9, seed: 5 },
            permutations,
            ..CompareOptions::default()
        };
        let comparison = compare(&a, &b, &options).expect("same protocol");
        let dir = tempfile::tempdir().expect("temporary folder");
        let texts =
            [a.to_json(), b.to_json(), comparison.to_json()].map(|text| text.expect("JSON"));
        let paths = ["a", "b", "comparison"].map(|name| dir.path().join(name));
        for (path, text) in paths.iter().zip(texts) {
            std::fs::write(path, text).expect("writes");
        }
        let files = paths.each_ref().map(|path| path.as_path());
        let found = peer("scipy_statistics.py", ".peers", &files, &[]);
        let mut num_intervals = 0;
        let mut check = |interval: Option<[f64; 2]>, peer: &Value, what: &str| {
            let Some(interval) = interval else { return assert!(peer.is_null(), "{what}: {peer}") };
            num_intervals += 1;
            let error = peer["standard_error"].as_f64().expect("number");
            for (end, bound) in interval.iter().enumerate() {
                assert_near(*bound, &peer["same"][end], 1e-12, &format!("{what}, same resamples"));
                // The ends of 1,000 resamples scatter by a tenth of the standard error; steps of
                // 1 / queries come on top.
                let tolerance = 0.4 * error + 1.0 / queries as f64;
                assert_near(
                    *bound,
                    &peer["own"][end],
                    tolerance,
                    &format!("{what}, other resamples"),
                );
            }
        };
        for (name, metric) in &a.tasks["task"].metrics {
            check(metric.interval, &found["intervals"]["task"][name], name);
        }
        for (name, difference) in &comparison.tasks["task"].metrics {
            let peer = &found["differences"]["task"][name];
            check(difference.interval, &peer["interval"], &format!("difference of {name}"));
            assert_near(difference.p_value, &peer["p_value"], p_tolerance, &format!("p of {name}"));
        }
        assert!(num_intervals > 40, "{num_intervals}");
    }
}
