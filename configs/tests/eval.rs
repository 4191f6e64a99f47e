//! The `eval` section and the task file: what loads, and what is said of what does not.

use configs::{
    CaptionsUsed, Checked, ConfigError, EvalTasks, MissingItems, RunConfig, Sides, Task, TaskKind,
};

const RUN: &str = "
name: demo
duration: {steps: 100}
model: {init: {pretrained: model}}
data: {train: [train]}
batch: {size: 64}
optim: {lr: 1e-5}
eval:
  items: [val]
  every: {steps: 10}
  tasks:
    - {kind: text_to_image, captions: all, within: product_type}
    - {kind: query_to_item, name: head, queries: q.tsv, qrels: q.trec, missing_items: drop,
       items: {image: 0.7, text: 0.3}}
    - {kind: item_to_item, relevant: group, items: {image: 1}}
    - {kind: zero_shot, attribute: attributes.color, templates: ['a {} product', 'in {}']}
  slices: [product_type, caption_length]
  early_stopping: {patience: 3}
  guard: {max_drop: 0.02, metric: head/mrr}
checkpoint: {best: item_to_item/r_precision}
";

fn run(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    RunConfig::parse(RUN, "run.yaml", &overrides)
}

fn tasks(yaml: &str) -> Result<Checked<EvalTasks>, String> {
    Checked::parse(yaml, "tasks.yaml", &[]).map_err(|error| error.to_string())
}

#[test]
fn every_kind_of_task_loads() {
    let cfg = run(&[]).unwrap();
    let eval = cfg.eval.as_ref().unwrap();
    let [pairs, queries, similar, colours] = &eval.tasks[..] else { panic!("four tasks") };
    assert_eq!((pairs.name(), pairs.captions), ("text_to_image", Some(CaptionsUsed::All)));
    assert_eq!(pairs.within.as_deref(), Some("product_type"));
    assert_eq!(queries.name(), "head");
    assert_eq!(queries.items, Some(Sides { image: 0.7, text: 0.3 }));
    assert_eq!(queries.missing_items, Some(MissingItems::Drop));
    assert_eq!(similar.items, Some(Sides::IMAGE));
    assert_eq!(colours.templates.as_ref().map(Vec::len), Some(2));
    let again = RunConfig::parse(&cfg.to_yaml().unwrap(), "again", &[]).unwrap();
    assert_eq!(again, cfg);
}

#[test]
fn the_recipes_of_tasks_load() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
    let files: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let found = Checked::<EvalTasks>::load(&file, &[]);
        assert!(!found.unwrap_or_else(|error| panic!("{error}")).tasks.is_empty());
    }
}

#[test]
fn without_tasks_captions_and_pictures_find_one_another() {
    let found = tasks("slices: [grounding]").unwrap();
    assert_eq!(found.tasks, [TaskKind::TextToImage, TaskKind::ImageToText].map(Task::new));
    assert_eq!(found.slices, ["grounding"]);
}

#[test]
fn problems_of_tasks_are_named() {
    for (yaml, expected) in [
        ("tasks: []", "tasks: expected at least one task"),
        ("tasks: [{kind: zero_shot}]", "tasks.0.attribute: zero_shot needs a column of classes"),
        (
            "tasks: [{kind: text_to_image, relevant: group}]",
            "tasks.0.relevant: not a key of text_to_image; take it out",
        ),
        (
            "tasks: [{kind: query_to_item, queries: q.tsv}]",
            "tasks.0.qrels: query_to_item needs a file of judgements",
        ),
        ("tasks: [{kind: item_to_item}]", "tasks.0.relevant: item_to_item needs either `relevant`"),
        (
            "tasks: [{kind: item_to_item, relevant: a, qrels: b}]",
            "tasks.0.relevant: item_to_item needs either `relevant`",
        ),
        (
            "tasks: [{kind: text_to_image}, {kind: text_to_image}]",
            "tasks.1.name: expected names that differ, found `text_to_image` twice",
        ),
        (
            "tasks: [{kind: text_to_image, name: a/b}]",
            "tasks.0.name: expected letters, digits, `_`, `-` and `.` only, found `a/b`",
        ),
        (
            "tasks: [{kind: zero_shot, attribute: a, templates: [a photo]}]",
            "tasks.0.templates.0: expected a text with `{}` once, found `a photo`",
        ),
        (
            "tasks: [{kind: item_to_item, relevant: a, items: {image: 0}}]",
            "tasks.0.items: expected a weight above 0, found none",
        ),
        (
            "tasks: [{kind: item_to_item, relevant: a, items: {text: -1}}]",
            "tasks.0.items.text: expected a finite number of at least 0, found -1",
        ),
        ("slices: [a, a]", "slices.1: expected columns that differ, found `a` twice"),
    ] {
        let found = tasks(yaml).expect_err(yaml);
        assert!(found.contains(expected), "expected {expected}\nfound    {found}");
    }
    let unknown = tasks("tasks: [{kind: text_to_video}]").unwrap_err();
    assert!(unknown.contains("query_to_item"), "{unknown}");
}

#[test]
fn stopping_rules_are_checked() {
    for (override_, expected) in [
        ("eval.guard.metric=mrr", "eval.guard.metric: expected `TASK/METRIC` with a task of"),
        ("eval.guard.metric=head/hits@7", "eval.guard.metric: expected a cut-off after `@`"),
        ("eval.guard.max_drop=-1", "eval.guard.max_drop: expected a finite number of at least 0"),
        ("eval.early_stopping.patience=0", "eval.early_stopping.patience: expected at least 1"),
        ("checkpoint.best=text_to_image/accuracy", "or `r_precision`"),
        ("checkpoint.best=image_to_text/mrr", "`text_to_image` or `head` or `item_to_item`"),
    ] {
        let found = run(&[override_]).unwrap_err().to_string();
        assert!(found.contains(expected), "expected {expected}\nfound    {found}");
    }
}
