//! Training on several sources: each gives its weight's share, on any number of processes.

use crate::support::{TinyRun, mixture, text};
use std::collections::BTreeMap;

/// The counts by source of every record of a run.
fn sources(run: &TinyRun) -> Vec<(u64, BTreeMap<String, u64>)> {
    let metrics = run.metrics();
    let steps = metrics.iter().filter(|record| record["kind"] == "step");
    let counts = |record: &serde_json::Value| {
        let counts = serde_json::from_value(record["sources"].clone()).unwrap();
        (record["step"].as_u64().unwrap(), counts)
    };
    steps.map(counts).collect()
}

#[test]
fn sources_have_their_shares_on_any_number_of_processes() {
    let mixture = mixture();
    let sets = [&mixture, "log={every: {steps: 4}, samples: true}", "duration={steps: 14}"];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let alone = TinyRun::new();
    alone.train_to_the_end(&args);
    let found = sources(&alone);
    let steps: Vec<u64> = found.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [4, 8, 12, 14], "every fourth step, and the last");
    let (mut since, mut shop) = (0, 0);
    for (step, counts) in &found {
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["raw", "shop"]);
        assert_eq!(counts.values().sum::<u64>(), 32 * (step - since), "step {step}: {counts:?}");
        since = *step;
        shop += counts["shop"];
        // Each of the 4 streams is less than one pair away from its share.
        assert!(shop.abs_diff(32 * step * 3 / 4) <= 4, "{shop} of {} by step {step}", 32 * step);
    }

    let two = TinyRun::new();
    let output = two.launch(2, &args).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(found, sources(&two));
    let samples =
        |run: &TinyRun| std::fs::read_to_string(run.folder().join("samples.jsonl")).unwrap();
    assert_eq!(samples(&alone), samples(&two), "the same rows in the same order");
    let losses = |run: &TinyRun| -> Vec<f64> {
        run.metrics().iter().filter_map(|record| record["loss"].as_f64()).collect()
    };
    for (alone, two) in losses(&alone).into_iter().zip(losses(&two)) {
        assert!((alone - two).abs() < 1e-5 * alone, "{alone} {two}");
    }
}

#[test]
fn config_show_gives_back_the_sources() {
    let run = TinyRun::new();
    let config = run.dir.path().join("run.yaml");
    let show = |config: &std::path::Path, args: &[&str]| {
        let mut command = crate::support::command(&["config", "show"]);
        let output = command.arg(config).args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = show(&config, &["--set", &mixture()]);
    assert!(shown.contains("name: shop") && shown.contains("caption_raw"), "{shown}");
    let again = run.dir.path().join("shown.yaml");
    std::fs::write(&again, &shown).unwrap();
    assert_eq!(show(&again, &[]), shown);
}

#[test]
fn a_source_without_shards_is_named() {
    let run = TinyRun::new();
    let sources = "data.train=[{name: shop, paths: [/no/such/shards], weight: 1}]";
    let said = run.train_fails(&["--set", sources]);
    assert!(said.contains("shards `/no/such/shards`: no such file or folder"), "{said}");
}
