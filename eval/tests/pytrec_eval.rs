//! Every metric equals what pytrec_eval computes from the dumped run and qrels, per query and on
//! average, on random cases with ties, several relevant items, grades and unjudged queries.

use eval::{
    Bootstrap, Embeddings, EvaluateOptions, Qrels, Ranking, Report, SearchOptions, SelfMatch,
    Subject, TaskReport, evaluate, search,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const KS: [usize; 4] = [1, 3, 5, 10];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// Rows drawn from few directions, so that many scores are equal.
    fn embeddings(&mut self, ids: Vec<String>, distinct: usize, width: usize) -> Embeddings {
        let kinds: Vec<Vec<f32>> = (0..distinct)
            .map(|_| (0..width).map(|_| self.below(2001) as f32 / 1000.0 - 1.0).collect())
            .collect();
        let rows: Vec<f32> = ids.iter().flat_map(|_| kinds[self.below(distinct)].clone()).collect();
        Embeddings::normalised(ids, width, rows).expect("valid rows")
    }
}

fn pytrec_eval(dir: &Path) -> Value {
    assert!(
        Path::new(ROOT).join(".peers/pytrec_eval").is_dir(),
        "pytrec_eval is not installed in .peers: run `make test`, which installs the Python peers"
    );
    let ks = KS.map(|k| k.to_string()).join(",");
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .current_dir(ROOT)
        .env("PYTHONPATH", ".peers:.libtorch")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("tests/peers/trec_metrics.py")
        .args([dir.join("run.trec"), dir.join("qrels.trec")])
        .arg(ks)
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "trec_metrics.py failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("trec_metrics.py prints JSON")
}

fn assert_equal(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("pytrec_eval lacks {what}"));
    assert!((found - expected).abs() < 1e-6, "{what}: {found}, pytrec_eval {expected}");
}

fn assert_parity(task: &TaskReport, prefix: &str, peer: &Value, means: bool) {
    for (metric, found) in task.metrics_in_order() {
        let name = metric.to_string();
        if means {
            assert_equal(found.value, &peer["mean"][&name], &name);
        }
        for (id, value) in task.per_query.ids.iter().zip(&task.per_query.values[&name]) {
            let id = format!("{prefix}{}", eval::trec_id(id));
            assert_equal(*value, &peer["per_query"][&id][&name], &format!("{name} of query {id}"));
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

fn ranked(random: &mut Random, case: &Case) -> Ranking {
    // Item names run against the alphabet: pytrec_eval breaks ties by name, we by index.
    let names = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("{prefix} {:03}", 999 - index)).collect()
    };
    // With self-match excluded, queries are items by another embedding.
    let prefix = if case.self_match == SelfMatch::Exclude { "item" } else { "query" };
    let queries = random.embeddings(names(prefix, case.queries), case.queries, 8);
    let items = random.embeddings(names("item", case.items), case.distinct, 8);
    let mut judged = Vec::new();
    for query in queries.ids() {
        if random.below(8) == 0 {
            continue;
        }
        for item in items.ids() {
            if random.below(case.rarity) == 0 {
                let grade = i32::try_from(random.below(5)).expect("small") - 1;
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
fn every_metric_equals_pytrec_eval() {
    let mut random = Random(7);
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

        let peer = pytrec_eval(dir.path());
        let task = &report.tasks["task"];
        let scored = peer["per_query"].as_object().expect("object").len();
        assert_eq!(task.queries.scored, scored, "case {index}");
        assert_parity(task, "", &peer, true);
    }
}

#[test]
fn two_tasks_share_the_files() {
    let mut random = Random(8);
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
    let peer = pytrec_eval(dir.path());
    for (name, task) in &report.tasks {
        assert_parity(task, &format!("{name}/"), &peer, false);
    }
}
