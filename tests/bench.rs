//! `vlclip bench data` measures the loader that training uses.

use crate::support::{TinyRun, text, vlclip};

#[test]
fn the_loader_is_measured_stage_by_stage() {
    let run = TinyRun::new();
    let config = run.dir.path().join("run.yaml");
    let config = config.to_str().unwrap();
    let output = vlclip(&["bench", "data", config, "--batches", "6", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| found[key].as_f64().unwrap();
    assert_eq!((number("batches"), number("samples"), number("workers")), (6.0, 192.0, 2.0));
    let rate = number("samples") / number("wall_s");
    assert!((number("samples_per_s") / rate - 1.0).abs() < 1e-6, "{found}");
    assert!(number("first_batch_s") > number("open_s"), "{found}");
    assert!(number("encoded_mb_per_s") > 0.0 && number("cpu_s") > 0.0, "{found}");
    let stages = found["stage_s"].as_object().unwrap();
    let names: Vec<&str> = stages.keys().map(String::as_str).collect();
    assert_eq!(names, ["read", "decode", "transform", "tokenise", "gather"]);
    let all: f64 = stages.values().map(|seconds| seconds.as_f64().unwrap()).sum();
    // A reading thread, two workers and a gathering one cannot have spent more than all their time.
    assert!(all > 0.0 && all <= 4.0 * (number("wall_s") + number("first_batch_s")), "{found}");
}

#[test]
fn a_duration_that_is_none_is_refused() {
    let run = TinyRun::new();
    let config = run.dir.path().join("run.yaml");
    let output = vlclip(&["bench", "data", config.to_str().unwrap(), "--seconds", "0"]);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("--seconds: expected a number above 0, found 0"), "{said}");
}
