//! The configuration of `vlclip ablate`: what loads, and what a user reads when it does not.

#![allow(clippy::unwrap_used)]

use configs::ablation::AblationConfig;
use configs::prepare::PrepareConfig;
use configs::{ConfigError, RunConfig};
use std::path::Path;

const GOOD: &str = "\
name: small
run: run.yaml
arms:
  - {name: full, factors: [a, b]}
  - {name: less, factors: [b], set: [data.columns.image=image_raw], columns: {image: image_raw}}
reference: full
evaluate: {items: [shards/test]}
metrics: [text_to_image/hits@5]
reported: {source: someone, removals: [{factor: a, changes: {hits@5: -15 %}}]}
out: runs/small
";

fn load(text: &str, overrides: &[&str]) -> Result<AblationConfig, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    AblationConfig::parse(text, "ablation.yaml", &overrides)
}

fn message(overrides: &[&str]) -> String {
    match load(GOOD, overrides) {
        Ok(cfg) => panic!("accepted: {cfg:#?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn little_is_needed_and_the_rest_has_defaults() {
    let cfg = load(GOOD, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(cfg.seeds, [0, 1, 2]);
    assert_eq!(cfg.evaluate.k, [1, 5, 10]);
    assert_eq!(cfg.evaluate.parts.len(), 1);
    assert_eq!(cfg.evaluate.parts[0].tasks.len(), 2);
    assert_eq!(cfg.evaluate.columns.product_id.as_deref(), Some("product_id"));
    assert_eq!(cfg.arms[1].columns.image.as_deref(), Some("image_raw"));
    let again = AblationConfig::parse(&cfg.to_yaml().unwrap(), "again", &[]).unwrap();
    assert_eq!(again, cfg);
}

#[test]
fn what_does_not_go_together_is_said() {
    for (overrides, expected) in [
        (&["seeds=[]"][..], "seeds: expected at least one seed, found none; write [0, 1, 2]"),
        (&["seeds=[1, 2, 1]"], "seeds.2: expected entries that differ, found `1` twice"),
        (&["arms=[{name: full}]"], "arms: expected at least 2 arms to compare, found 1"),
        (&["arms.1.name=full"], "arms.1.name: expected names that differ, found `full` twice"),
        (&["arms.1.name=../x"], "arms.1.name: expected letters, digits, `_`, `-` and `.`, found"),
        (
            &["arms.1.factors=[b, a]"],
            "arms.1.factors: expected other factors than those of arm `full`, or no effect could be \
             told from them, found the same",
        ),
        (
            &["reference=none"],
            "reference: expected the name of an arm (`full`, `less`), found `none`",
        ),
        (&["metrics=[]"], "metrics: expected at least one metric, found none"),
        (
            &["metrics.0=text_to_image/hits@3"],
            "metrics.0: expected a cut-off after `@` that is in evaluate.k ([1, 5, 10]), found \
             `text_to_image/hits@3`",
        ),
        (
            &[
                "evaluate.parts=[{tasks: [{kind: text_to_image}]}, {tasks: [{kind: text_to_image}]}]",
            ],
            "evaluate.parts.1.tasks.0.name: expected names that differ, found `text_to_image` in an \
             earlier part; give each its own",
        ),
        (
            &["evaluate.parts=[{tasks: [{kind: query_to_item}]}]"],
            "evaluate.parts.0.tasks.0.queries: query_to_item needs a file of queries",
        ),
        (
            &["reported.removals.0.factor=c"],
            "reported.removals.0.factor: expected a factor of an arm (`a`, `b`), found `c`",
        ),
        (&["arms.0.colums={}"], "unknown key `colums`; valid keys: `name`, `factors`, `set`"),
    ] {
        let found = message(overrides);
        assert!(found.contains(expected), "{overrides:?}: {found}");
    }
}

#[test]
fn the_recipe_and_all_it_names_load() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cfg = AblationConfig::load(&root.join("configs/ablation/sample.yaml"), &[]);
    let cfg = cfg.unwrap_or_else(|e| panic!("{e}"));
    let shards = PrepareConfig::load(&root.join("configs/prepare/ablation.yaml"), &[]);
    let shards = shards.unwrap_or_else(|e| panic!("{e}")).output.dir.clone();
    assert_eq!(cfg.evaluate.items, [format!("{shards}/test")]);
    let mut columns = Vec::new();
    for arm in &cfg.arms {
        let overrides: Vec<String> = cfg.set.iter().chain(&arm.set).cloned().collect();
        let run = RunConfig::load(&root.join(&cfg.run), &overrides);
        let run = run.unwrap_or_else(|e| panic!("{}: {e}", arm.name));
        assert_eq!(run.data.train, configs::Train::Paths(vec![format!("{shards}/train")]));
        // An arm is measured with the pictures that it was trained with.
        assert_eq!(Some(&run.data.columns.image), arm.columns.image.as_ref());
        columns.push((run.data.columns.image.clone(), run.data.columns.captions.clone()));
    }
    let distinct = |i: usize| !columns[..i].contains(&columns[i]);
    assert!((0..4).all(distinct) && columns.len() == 4, "{columns:?}");
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = configs::ablation::schema();
    let places = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for place in places {
        for (key, property) in place["properties"].as_object().into_iter().flatten() {
            assert!(property.get("description").is_some(), "{key}");
        }
    }
}
