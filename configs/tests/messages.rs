//! What a user reads when a configuration is wrong, word for word where words matter.

#![allow(clippy::unwrap_used)]

use configs::{ConfigError, RawConfig, RunConfig, Train};
use std::path::Path;

const GOOD: &str = "\
name: demo
duration: {steps: 100}
model:
  init: {pretrained: models/clip}
data:
  train: [shards/train]
batch:
  size: 64
  micro: 16
optim:
  lr: 1.0e-5
eval:
  items: [shards/val]
  every: {steps: 50}
";

fn load(text: &str, overrides: &[&str]) -> Result<RunConfig, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    RunConfig::parse(text, "run.yaml", &overrides)
}

fn message(text: &str, overrides: &[&str]) -> String {
    match load(text, overrides) {
        Ok(cfg) => panic!("accepted: {cfg:#?}"),
        Err(error) => error.to_string(),
    }
}

fn set(overrides: &[&str]) -> RunConfig {
    load(GOOD, overrides).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn an_unknown_key_gives_line_caret_valid_names_and_the_nearest() {
    let text = GOOD.replace("duration: {steps: 100}", "duration:\n  stpes: 100");
    assert_eq!(
        message(&text, &[]),
        "run.yaml:3:3: duration: expected one of `steps`, `epochs`, found `stpes`; \
         did you mean `steps`?\n  |\n3 |   stpes: 100\n  |   ^^^^^"
    );
    let text = GOOD.replace("  micro: 16", "  mirco: 16");
    assert_eq!(
        message(&text, &[]),
        "run.yaml:9:3: batch.mirco: unknown key `mirco`; valid keys: `size`, `micro`; \
         did you mean `micro`?\n  |\n9 |   mirco: 16\n  |   ^^^^^"
    );
    let found = message(&format!("{GOOD}learning_rate: 3\n"), &[]);
    assert!(found.starts_with("run.yaml:15:1: learning_rate: unknown key `learning_rate`"));
    assert!(found.contains("valid keys: `name`, `seed`, `duration`"), "{found}");
    assert!(!found.contains("did you mean"), "{found}");
}

#[test]
fn a_wrong_type_gives_place_expected_and_found() {
    let cases = [
        (
            "size: 64",
            "size: many",
            "run.yaml:8:9: batch.size: expected a whole number from 0 in plain digits, found `many`\n  |\n8 |   size: many\n  |         ^^^^",
        ),
        ("size: 64", "size: \"64\"", "found the quoted text \"64\""),
        ("size: 64", "size: 1_000", "found `1_000`"),
        ("size: 64", "size: 017", "found `017`"),
        ("size: 64", "size: -1", "found `-1`"),
        ("size: 64", "size: 64.0", "found `64.0`"),
        ("size: 64", "size: 1e3", "found `1e3`"),
        ("size: 64", "size:", "found nothing (null)"),
        (
            "lr: 1.0e-5",
            "lr: fast",
            "optim.lr: expected a finite number such as 0.1 or 1e-4, found `fast`",
        ),
        ("lr: 1.0e-5", "lr: .inf", "found `.inf`"),
        ("lr: 1.0e-5", "lr: 1e999", "found `1e999`"),
        ("lr: 1.0e-5", "lr: [1]", "found a list of 1"),
        (
            "lr: 1.0e-5",
            "lr: 1\n  betas: [0.9]",
            "optim.betas: expected a list of 2 values, found a list of 1",
        ),
        ("lr: 1.0e-5", "lr: 1\n  betas: [0.9, no]", "optim.betas.1: expected a finite number"),
        (
            "[shards/train]",
            "shards/train",
            "data.train: expected a list such as [a, b], found `shards/train`",
        ),
        ("{steps: 100}", "100", "duration: expected one of `steps`, `epochs`, found `100`"),
        ("{steps: 100}", "steps", "duration: `steps` needs a value: write {steps: ...}"),
        (
            "{steps: 100}",
            "{steps: 1, epochs: 1}",
            "duration: expected exactly one of `steps`, `epochs`, found `steps`, `epochs`; keep one",
        ),
        (
            "{steps: 100}",
            "{}",
            "duration: expected exactly one of `steps`, `epochs`, found none; keep one",
        ),
        ("name: demo", "name:", "name: expected text, found nothing (null)"),
        (
            "name: demo",
            "device: gpu\nname: a",
            "device: expected one of `auto`, `cpu`, `cuda`, found `gpu`",
        ),
        (
            "  train:",
            "  workers: some\n  train:",
            "data.workers: expected `auto` or a whole number in plain digits, found `some`",
        ),
        (
            "  train:",
            "  workers: 017\n  train:",
            "data.workers: expected `auto` or a whole number in plain digits",
        ),
        (
            "  train:",
            "  shuffle: {streams: yes}\n  train:",
            "data.shuffle.streams: expected `auto` or a whole number in plain digits, found `yes`",
        ),
        (
            "  train:",
            "  columns: {captions: [a, {template: \"a {b\"}]}\n  train:",
            "run.yaml:6:38: data.columns.captions.1.template: expected a column's name and `}` \
             after the `{` at character 3; write `{{` for a brace itself\n  |\n6 |   columns:",
        ),
        (
            "  train:",
            "  columns:\n    captions:\n      - {colum: b}\n  train:",
            "run.yaml:8:10: data.columns.captions.0.colum: unknown key `colum`; valid keys: \
             `column`, `template`, `weight`; did you mean `column`?",
        ),
        (
            "  train:",
            "  columns: {captions: {template: {b}}}\n  train:",
            "data.columns.captions.template: expected text in quotes with columns in braces, such \
             as \"a photo of {title}\", found a mapping",
        ),
        (
            "  train:",
            "  columns: {captions: {weight: 2}}\n  train:",
            "run.yaml:6:23: data.columns.captions: expected one of `column`, `template`, found \
             neither; add one",
        ),
        (
            "  train:",
            "  columns: {captions: [{column: a, template: \"{a}\"}]}\n  train:",
            "data.columns.captions.0: expected exactly one of `column`, `template`, found both",
        ),
        (
            "  train:",
            "  columns: {captions: [{column: a, weight: much}]}\n  train:",
            "data.columns.captions.0.weight: expected a finite number such as 0.1 or 1e-4, found \
             `much`",
        ),
        (
            "  train:",
            "  columns: {captions: }\n  train:",
            "data.columns.captions: expected a column's name, a mapping with `column` or \
             `template` and `weight`, or a list of these, found nothing (null)",
        ),
        ("  train:", "  columns: {captions: true}\n  train:", "found boolean `true`"),
        (
            "batch:\n  size: 64\n  micro: 16",
            "batch: 64",
            "run.yaml:7:8: batch: expected a mapping with the keys `size`, `micro`, found `64`",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let found = message(&GOOD.replacen(from, to, 1), &[]);
        assert!(found.contains(expected), "{to}\nexpected {expected}\nfound    {found}");
    }
}

#[test]
fn a_missing_key_is_named_with_the_section_that_lacks_it() {
    let found = message(&GOOD.replace("  size: 64\n", ""), &[]);
    assert!(
        found.starts_with("run.yaml:8:3: batch: required key `size` is missing; add it"),
        "{found}"
    );
    assert_eq!(message("", &[]), "run.yaml: the top level: required key `name` is missing; add it");
    let found = message("- a\n", &[]);
    assert!(found.contains("expected a mapping with the keys `name`"), "{found}");
}

#[test]
fn broken_yaml_and_duplicate_keys_name_line_and_column() {
    let found = message("name: [demo\nseed: 1\n", &[]);
    assert!(found.starts_with("the configuration file is not valid YAML:"), "{found}");
    assert!(found.contains("run.yaml:2"), "{found}");
    let found = message(&format!("{GOOD}batch:\n  size: 8\n"), &[]);
    assert!(found.contains("duplicate") && found.contains("batch"), "{found}");
    assert!(found.contains("run.yaml:15:1") && found.contains('^'), "{found}");
}

#[test]
fn a_missing_file_is_named() {
    let error = RunConfig::load(Path::new("nowhere/run.yaml"), &[]).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read the configuration file `nowhere/run.yaml`: "),
        "{error}"
    );
    assert!(error.ends_with("check the path"), "{error}");
}

#[test]
fn impossible_combinations_name_place_and_remedy() {
    let cases: [(&[&str], &str); 43] = [
        (
            &["batch.micro=7"],
            "batch.micro: expected a divisor of batch.size (64), so that the batch is cut into equal parts, found 7 (--set batch.micro=7)",
        ),
        (&["batch.micro=0"], "batch.micro: expected a divisor"),
        (&["batch.micro=128"], "batch.micro: expected a divisor"),
        (
            &["batch.size=0"],
            "batch.size: expected at least 2: a contrastive loss needs a negative, found 0",
        ),
        (
            &["batch.size=1", "batch.micro=1"],
            "batch.size: expected at least 2: a contrastive loss needs a negative, found 1",
        ),
        (
            &["data.shuffle.streams=48"],
            "data.shuffle.streams: expected `auto` or a divisor of batch.size (64), found 48",
        ),
        (&["data.shuffle.streams=0"], "data.shuffle.streams: expected"),
        (&["data.workers=0"], "data.workers: expected `auto` or at least 1, found 0"),
        (&["data.prefetch=0"], "data.prefetch: expected at least 1"),
        (&["data.train=[]"], "data.train: expected at least one file"),
        (
            &["data.train=['']"],
            "data.train.0: expected a file, folder, glob or URL, found empty text",
        ),
        (
            &["data.max_bad_fraction=1.5"],
            "data.max_bad_fraction: expected a fraction from 0 to 1, found 1.5",
        ),
        (
            &["data.augment.flip=-0.1"],
            "data.augment.flip: expected a fraction from 0 to 1, found -0.1",
        ),
        (
            &["data.augment.scale=[0.9, 0.5]"],
            "data.augment.scale: expected two shares of the area, 0 < least <= greatest <= 1, found [0.9, 0.5]",
        ),
        (&["data.augment.ratio=[0, 1]"], "data.augment.ratio: expected two aspect ratios"),
        (
            &["data.columns.captions=image"],
            "data.columns.captions: expected a column of its own, found `image`, which is the picture",
        ),
        (
            &["data.columns.captions={template: 'a {image}'}"],
            "data.columns.captions: expected a column of its own, found `image`, which is the picture (data.columns.image)",
        ),
        (&["data.columns.captions=[]"], "data.columns.captions: expected at least one column"),
        (
            &["data.columns.captions=[a, {column: b, weight: 0}]"],
            "data.columns.captions.1.weight: expected a number above 0 and at most 1e9, found 0 (--set",
        ),
        (
            &["data.columns.captions=[a, '']"],
            "data.columns.captions.1: expected a column name, found empty text (--set",
        ),
        (
            &["data.columns.captions=[{template: '{a}'}, b, {template: '{a}'}]"],
            "data.columns.captions.2: expected alternatives that differ; state a weight, found `{a}` twice",
        ),
        (
            &["data.text.caption_dropout=1"],
            "data.text.caption_dropout: expected a share from 0 to below 1, found 1",
        ),
        (&["data.text.word_dropout=-0.1"], "data.text.word_dropout: expected a share from 0"),
        (
            &["optim.betas=[0.9, 1.0]"],
            "optim.betas.1: expected a number from 0 to below 1, found 1",
        ),
        (&["optim.lr=0"], "optim.lr: expected a finite number above 0, found 0"),
        (&["optim.eps=-1e-8"], "optim.eps: expected a finite number above 0"),
        (&["optim.max_grad_norm=0"], "optim.max_grad_norm: expected a finite number above 0"),
        (
            &["schedule.warmup_steps=100"],
            "schedule.warmup_steps: expected fewer steps than the run has (duration.steps is 100), found 100",
        ),
        (&["schedule.final_fraction=2"], "schedule.final_fraction: expected a fraction"),
        (&["duration.epochs=0"], "duration: expected at least 1 step or epoch, found 0"),
        (
            &["duration.epochs=1000000001"],
            "duration: expected at most 1000000000 steps or epochs, found 1000000001",
        ),
        (&["eval.k=[5, 1, 5]"], "eval.k.2: expected cut-offs that differ, found 5 twice"),
        (
            &["eval.k=[]", "checkpoint.best=image_to_text/mrr"],
            "eval.k: expected at least one cut-off",
        ),
        (
            &["eval.k=[1, 10]"],
            "checkpoint.best: expected a cut-off after `@` that is in eval.k ([1, 10]), found `text_to_image/hits@5`",
        ),
        (
            &["checkpoint.best=text_to_image/accuracy"],
            "checkpoint.best: expected a metric of `precision@K`",
        ),
        (
            &["checkpoint.best=hits@5"],
            "checkpoint.best: expected `TASK/METRIC` with a task of `text_to_image` or `image_to_text`",
        ),
        (
            &["model.freeze={image: all, text: all}"],
            "model.freeze: expected something left to train, found both towers frozen whole",
        ),
        (
            &["loss.label_smoothing=1"],
            "loss.label_smoothing: expected a share from 0 to below 1, found 1",
        ),
        (&["model.patch_dropout=-0.5"], "model.patch_dropout: expected a share from 0 to below 1"),
        (
            &["dist.timeout_s=0"],
            "dist.timeout_s: expected from 1 to 604800 seconds (a week), found 0",
        ),
        (&["dist.heartbeat_s=0"], "dist.heartbeat_s: expected from 1 to 604800 seconds"),
        (&["name=a/b"], "name: expected a plain folder name"),
        (&["log.every.minutes=0"], "log.every: expected more than 0 minutes, found 0"),
    ];
    for (overrides, expected) in cases {
        let found = message(GOOD, overrides);
        assert!(found.starts_with("the configuration has 1 error:\n"), "{overrides:?}: {found}");
        assert!(found.contains(expected), "expected {expected}\nfound    {found}");
    }
    let without = GOOD.split("eval:").next().unwrap();
    let found = message(without, &["checkpoint.best=text_to_image/mrr"]);
    assert!(found.contains("checkpoint.best: expected an `eval` section"), "{found}");
    assert!(load(without, &[]).is_ok());
}

#[test]
fn all_problems_are_reported_at_once_with_their_places() {
    let text = GOOD.replace("micro: 16", "micro: 7").replace("1.0e-5", "-1");
    assert_eq!(
        message(&text, &["data.prefetch=0", "schedule.warmup_steps=500"]),
        "the configuration has 4 errors:\n  \
         data.prefetch: expected at least 1, found 0 (--set data.prefetch=0)\n  \
         batch.micro: expected a divisor of batch.size (64), so that the batch is cut into equal \
         parts, found 7 (run.yaml:9:10)\n  \
         optim.lr: expected a finite number above 0, found -1 (run.yaml:11:7)\n  \
         schedule.warmup_steps: expected fewer steps than the run has (duration.steps is 100), \
         found 500 (--set schedule.warmup_steps=500)"
    );
}

#[test]
fn a_bad_override_is_quoted_with_its_reason() {
    let cases = [
        ("batch.size", "--set batch.size: expected `key.path=value`, found no `=`"),
        ("=3", "--set =3: expected `key.path=value` with a key between all dots"),
        ("batch..size=3", "--set batch..size=3: expected `key.path=value` with a key"),
        ("data.train=[a", "--set data.train=[a: the value is not YAML"),
        (
            "data.train.5=a",
            "`data.train` is a list of 1: expected a position from 0 to 1, found `5`",
        ),
        (
            "data.train.x=a",
            "`data.train` is a list of 1: expected a position from 0 to 1, found `x`",
        ),
        (
            "batch.sise=3",
            "--set batch.sise=3: batch.sise: unknown key `sise`; valid keys: `size`, `micro`; did you mean `size`?",
        ),
        (
            "batch.size=017",
            "--set batch.size=017: batch.size: expected a whole number from 0 in plain digits, found `017`",
        ),
        ("batch.size=1_000", "found `1_000`"),
        ("batch.size=yes", "found `yes`"),
        ("batch.size=", "found nothing (null)"),
        (
            "duration.stpes=3",
            "--set duration.stpes=3: duration: expected one of `steps`, `epochs`, found `stpes`",
        ),
        ("name.x=1", "--set name.x=1: name: expected text, found a mapping"),
    ];
    for (text, expected) in cases {
        let found = message(GOOD, &[text]);
        assert!(found.contains(expected), "expected {expected}\nfound    {found}");
    }
}

#[test]
fn overrides_keep_their_spelling() {
    assert_eq!(set(&["name=017"]).name, "017");
    assert_eq!(set(&["name=yes"]).name, "yes");
    assert_eq!(set(&["name=1_000"]).name, "1_000");
    assert_eq!(set(&["name=1e-4"]).name, "1e-4");
    assert_eq!(set(&["name='a b'"]).name, "a b");
    assert_eq!(set(&["data.train.0=no"]).data.train, Train::Paths(vec!["no".into()]));
    assert_eq!(
        set(&["data.train.1=b=c"]).data.train,
        Train::Paths(vec!["shards/train".into(), "b=c".into()])
    );
    assert_eq!(set(&["data.train=[a,b]"]).data.train, Train::Paths(vec!["a".into(), "b".into()]));
    assert_eq!(set(&["optim.lr=1e-4"]).optim.lr, 1e-4);
    assert_eq!(set(&["optim.lr=3"]).optim.lr, 3.0);
    assert_eq!(set(&["batch.micro=null"]).batch.micro, None);
    assert_eq!(set(&["data.workers=auto"]).data.workers, configs::Workers::Auto);
    assert_eq!(set(&["seed=18446744073709551615"]).seed, u64::MAX);
}

#[test]
fn overrides_replace_choices_make_keys_and_the_last_wins() {
    use configs::{Cadence, Duration, FreezeTower, Init};
    assert_eq!(set(&["duration.epochs=2"]).duration, Duration::Epochs(2));
    assert_eq!(set(&["duration={epochs: 2}"]).duration, Duration::Epochs(2));
    assert_eq!(set(&["duration.epochs=2", "duration.steps=9"]).duration, Duration::Steps(9));
    assert_eq!(set(&["seed=1", "seed=2"]).seed, 2);
    assert_eq!(set(&["checkpoint.every.minutes=30"]).checkpoint.every, Cadence::Minutes(30.0));
    let captions = |sets: &[&str]| set(sets).data.columns.captions.clone();
    assert_eq!(captions(&["data.columns.captions=title"]), "title".into());
    assert_eq!(captions(&["data.columns.captions=2024"]), "2024".into());
    let weighted = captions(&["data.columns.captions=[a, b]", "data.columns.captions.1.column=c"]);
    assert_eq!(weighted, captions(&["data.columns.captions=[a, c]"]));
    let template = captions(&["data.columns.captions.template=a {b}"]);
    assert_eq!(template, captions(&["data.columns.captions=[{template: 'a {b}'}]"]));
    let frozen = set(&["model.freeze.image=all", "model.freeze.image.blocks=3"]);
    assert_eq!(frozen.model.freeze.image, FreezeTower::Blocks(3));
    let random = set(&["model.init.random.config=c.json", "model.init.random.tokenizer=t.json"]);
    assert!(matches!(&random.model.init, Init::Random(r) if r.tokenizer.ends_with("t.json")));
    // What the file leaves out may come from overrides alone.
    let keys = ["name=a", "duration.steps=9", "model.init.pretrained=p", "data.train=[t]"];
    let cfg = load("batch: {size: 4}", &[&keys[..], &["optim.lr=1e-3"]].concat()).unwrap();
    assert_eq!((cfg.name.as_str(), cfg.batch.size), ("a", 4));
}

#[test]
fn anchors_merges_comments_and_a_byte_order_mark_are_read() {
    let text = format!("\u{feff}{}", GOOD.replace("{steps: 50}", "&often {steps: 50} # here"));
    let cfg = load(&format!("{text}log: {{every: *often}}\n"), &[]).unwrap();
    assert_eq!(cfg.log.every, configs::Cadence::Steps(50));
    let found = message(&text.replace("size: 64", "size: é"), &[]);
    assert!(found.contains("run.yaml:8:9") && found.ends_with("|         ^"), "{found}");
}

#[test]
fn a_raw_configuration_is_checked_without_a_file() {
    let json = serde_json::to_value(set(&[])).unwrap();
    let mut raw: RawConfig = serde_json::from_value(json).unwrap();
    assert!(raw.clone().validate().is_ok());
    raw.batch.size = 0;
    let Err(ConfigError::Invalid { issues }) = raw.validate() else { panic!("accepted") };
    assert_eq!((issues[0].path.as_str(), issues[0].place.as_ref()), ("batch.size", None));
}
