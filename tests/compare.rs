//! `vlclip compare`: what it prints and writes, and the exit codes that make it a gate.

use crate::support::{text, vlclip};
use eval::{Bootstrap, Embeddings, EvaluateOptions, Qrels, Report, SearchOptions, Subject};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a report on the first `queries` of 40 products, whose texts lie `noise` from their
/// pictures.
fn write_report(dir: &Path, queries: usize, noise: f32) {
    let wave = |seed: usize, at: usize| ((seed * 131 + at * 71) as f32).sin();
    let ids = |prefix: &str, count: usize| (0..count).map(|at| format!("{prefix}{at}")).collect();
    let pictures: Vec<f32> = (0..40 * 8).map(|at| wave(at / 8, at % 8)).collect();
    let texts = (0..queries * 8).map(|at| pictures[at] + noise * wave(at / 8 + 500, at % 8));
    let pictures = Embeddings::normalised(ids("picture", 40), 8, pictures.clone()).unwrap();
    let texts = Embeddings::normalised(ids("text", queries), 8, texts.collect()).unwrap();
    let qrels = (0..queries).map(|at| (format!("text{at}"), format!("picture{at}"), 1));
    let qrels = Qrels::new(qrels).unwrap();
    let ranking = eval::search(&texts, &pictures, &qrels, &SearchOptions::new(40)).unwrap();
    let options = EvaluateOptions::new(&[1, 5]);
    let task = eval::evaluate(&ranking, &options).unwrap();
    let tasks = BTreeMap::from([("text_to_image".to_owned(), task)]);
    let subject = Subject { model: format!("noise {noise}"), ..Subject::default() };
    let report = Report::new(subject, &Bootstrap::default(), tasks).unwrap();
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("report.json"), report.to_json().unwrap()).unwrap();
}

#[test]
fn gates_by_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (good, bad) = (path("good"), path("bad"));
    write_report(Path::new(&good), 40, 0.3);
    write_report(Path::new(&bad), 40, 1.5);

    let out = path("out");
    let passed = vlclip(&[
        "compare",
        &bad,
        &format!("{good}/report.json"),
        "--out",
        &out,
        "--fail-below",
        "text_to_image/hits@5=-0.01",
        "--fail-below",
        "mrr=0",
    ]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
    let shown = String::from_utf8(passed.stdout.clone()).unwrap();
    assert!(shown.contains("- A: noise 1.5\n- B: noise 0.3\n"), "{shown}");
    assert!(shown.contains("\n## text_to_image\n\n40 queries\n\n| metric"), "{shown}");
    assert!(text(&passed).contains("passed: no difference is below its bound\n"));
    assert_eq!(std::fs::read_to_string(format!("{out}/compare.md")).unwrap(), shown);
    let written: eval::Comparison =
        serde_json::from_slice(&std::fs::read(format!("{out}/compare.json")).unwrap()).unwrap();
    assert!(written.tasks["text_to_image"].metrics["hits@5"].difference > 0.0);

    let failed = vlclip(&["compare", &good, &bad, "--json", "--fail-below", "hits@5=-0.01"]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert!(errors.starts_with("failed: text_to_image/hits@5 "), "{errors}");
    assert!(errors.contains(", below the bound -0.01 by "), "{errors}");
    let printed: eval::Comparison = serde_json::from_slice(&failed.stdout).unwrap();
    let hits = printed.tasks["text_to_image"].metrics["hits@5"];
    assert!(errors.contains(&format!("a difference of {:+.4}", hits.difference)), "{errors}");
    // A lower bound lets the same fall pass.
    let wide = vlclip(&["compare", &good, &bad, "--metric", "mrr", "--fail-below", "hits@5=-1"]);
    assert_eq!(wide.status.code(), Some(0), "{}", text(&wide));
}

#[test]
fn refuses_what_does_not_compare_unless_forced() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (all, some) = (path("eval/step-00000005"), path("some"));
    write_report(Path::new(&all), 40, 0.3);
    write_report(Path::new(&some), 30, 0.3);

    let refused = |args: &[&str]| {
        let output = vlclip(&[&["compare"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let message = refused(&[&all, &some]);
    assert!(
        message.contains(
            "the reports do not compare:\n- text_to_image: of the scored queries 30 are in both, \
             10 only in A, 0 only in B\n"
        ),
        "{message}"
    );
    let forced = vlclip(&["compare", &all, &some, "--force", "--fail-below", "mrr=0"]);
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced));
    assert!(text(&forced).contains("\nForced: the reports were made in different ways.\n"));

    let above = path("eval");
    let message = refused(&[&above, &some]);
    let expected = format!(
        "error: `{above}` holds no report.json, but these folders in it do: `step-00000005`; name \
         one\n"
    );
    assert_eq!(message, expected);
    assert!(refused(&[&all, &all, "--metric", "hits@7"]).contains("no metric `hits@7` to compare"));
    assert!(
        refused(&[&all, &all, "--fail-below", "hits@5"]).contains("expected METRIC=DIFFERENCE")
    );
    std::fs::write(
        home.path().join("old.json"),
        r#"{"schema":"vlclip.eval.report","schema_version":1}"#,
    )
    .unwrap();
    let message = refused(&[&path("old.json"), &all]);
    assert!(message.contains("old.json`: report has schema `vlclip.eval.report 1`"), "{message}");
}
