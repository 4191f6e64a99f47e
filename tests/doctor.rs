//! `vlclip doctor` says before a run what would end it.

use crate::support::{TinyRun, command, sample, text, vlclip};
use serde_json::Value;

/// Exit code and findings for a tiny run with these changes.
fn doctor(run: &TinyRun, args: &[&str]) -> (i32, Vec<Value>) {
    let mut command = command(&["doctor", "--json"]);
    let output = command.arg(run.dir.path().join("run.yaml")).args(args).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", text(&output));
    });
    (output.status.code().unwrap(), found["findings"].as_array().unwrap().clone())
}

/// What was found of one check at one level.
fn of<'a>(findings: &'a [Value], check: &str, level: &str) -> Vec<&'a str> {
    let wanted = |finding: &&Value| finding["check"] == check && finding["level"] == level;
    findings.iter().filter(wanted).map(|finding| finding["found"].as_str().unwrap()).collect()
}

#[test]
fn a_sound_run_passes_every_check_and_leaves_nothing_behind() {
    let run = TinyRun::new();
    let (code, found) = doctor(&run, &[]);
    assert_eq!(code, 0, "{found:#?}");
    assert!(found.iter().all(|finding| finding["level"] != "failure"), "{found:#?}");
    let ok = |check: &str| of(&found, check, "ok").join("; ");
    assert!(ok("libtorch").contains(" threads"), "{found:#?}");
    assert!(ok("model").contains("pictures of 32 px in patches of 8"), "{found:#?}");
    assert!(ok("weights").contains("M parameters"), "{found:#?}");
    assert!(ok("data.train").starts_with("1 shards, 245 rows, "), "{found:#?}");
    assert_eq!(ok("order"), "7 batches an epoch, 40 steps");
    assert_eq!(ok("eval.items"), "30 rows, 30 products");
    assert!(ok("checkpoint").contains("5 checkpoints of"), "{found:#?}");
    assert_eq!(ok("eval.tasks"), "");
    assert!(!run.folder().exists(), "nothing was trained");

    // The files of its tasks are read.
    let (queries, qrels) = (run.dir.path().join("queries.csv"), run.dir.path().join("qrels"));
    std::fs::write(&queries, "id,text\nq1,a red mug\nq2,a lamp\n").unwrap();
    std::fs::write(&qrels, "q1 0 some-product 1\n").unwrap();
    let (queries, qrels) = (queries.display(), qrels.display().to_string());
    let task = format!("kind: query_to_item, queries: '{queries}', qrels: '{qrels}'");
    let asked = |more: &str| {
        let tasks = format!("eval.tasks=[{{kind: text_to_image}}, {{{task}{more}}}]");
        doctor(&run, &["--set", &tasks])
    };
    let (code, found) = asked("");
    let [said] = of(&found, "eval.tasks", "failure")[..] else { panic!("{found:#?}") };
    let expected = "task `query_to_item`: the qrels name item `some-product` for query `q1`, which is \
                    not among the 30 items of the pool";
    assert_eq!((code, said), (1, expected));
    let whole_sample: String = (0..300).map(|n| format!("q1 0 vlclip-{n:06} 1\n")).collect();
    std::fs::write(&qrels, whole_sample).unwrap();
    let (_, found) = asked(", missing_items: drop");
    let said = "query_to_item: 2 queries, judgements for 1 queries";
    assert_eq!(of(&found, "eval.tasks", "ok"), [said]);

    // The checkpoints have the size that was foretold, and the run can go on.
    run.train_to_the_end(&["--set", "duration.steps=10"]);
    let (code, found) = doctor(&run, &[]);
    assert_eq!((code, of(&found, "resume", "ok")), (0, vec!["the run goes on from step 10"]));
    let size = |name: &str| {
        std::fs::metadata(run.folder().join("step-00000010").join(name)).unwrap().len() as f64
    };
    let stored = size("model.safetensors") + size("train_state.safetensors");
    let said = of(&found, "checkpoint", "ok")[0];
    let foretold = said.split("checkpoints of ").nth(1).unwrap().split(" MB").next().unwrap();
    let foretold = foretold.parse::<f64>().unwrap() * 1e6;
    assert!((stored / foretold - 1.0).abs() < 0.05, "{stored} {said}");
    let (code, found) = doctor(&run, &["--set", "seed=4"]);
    assert_eq!(code, 1);
    assert!(of(&found, "resume", "failure")[0].contains("another `seed`"), "{found:#?}");
}

#[test]
fn what_would_end_a_run_is_a_failure_with_the_runs_own_message() {
    let run = TinyRun::new();
    let blocked = run.dir.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let blocked = blocked.display();
    let cases = [
        ("data.train=[/no/such/shards]", "data.train", "`/no/such/shards`: no such file or folder"),
        ("data.columns.captions=title", "data.train", "no column `title` for `captions`"),
        ("data.train=['s3://']", "data.train", "s3://"),
        ("eval.items=[/no/such/items]", "eval.items", "`/no/such/items`: no such file or folder"),
        (
            "eval.k=[5, 31]",
            "eval.items",
            "eval.k: expected cut-offs of at most the number of products",
        ),
        ("eval.slices=[brand]", "eval.items", "no column `brand`"),
        (
            "eval.tasks=[{kind: text_to_image}, {kind: query_to_item, queries: /no/queries.tsv, qrels: /no/qrels}]",
            "eval.tasks",
            "task `query_to_item`: `/no/queries.tsv`: no such file",
        ),
        (
            "eval.tasks=[{kind: text_to_image}, {kind: item_to_item, qrels: /no/qrels}]",
            "eval.tasks",
            "task `item_to_item`: cannot read `/no/qrels`",
        ),
        (
            "eval.tasks=[{kind: text_to_image}, {kind: item_to_item, relevant: product_id}]",
            "eval.tasks",
            "task `item_to_item`: no two of the 30 products have an equal value of `product_id`",
        ),
        (
            "eval.tasks=[{kind: text_to_image}, {kind: zero_shot, attribute: attributes.wheels}]",
            "eval.tasks",
            "task `zero_shot`: column `attributes.wheels` has 0 distinct values over 30 products",
        ),
        ("model.init.pretrained=/no/model", "model", "model directory `/no/model` does not exist"),
        ("batch={size: 256}", "order", "fewer rows (245) than one batch (256)"),
        ("duration={epochs: 1}", "order", "schedule.warmup_steps: expected fewer steps"),
        ("dist.backend=nccl", "device", "dist.backend: nccl exchanges tensors between GPUs"),
        ("batch.sise=3", "config", "unknown key `sise`"),
    ];
    let warm = ["--set", "schedule.warmup_steps=7", "--set"];
    let own = [
        (format!("checkpoint.dir={blocked}/runs"), "checkpoint", "cannot write into `"),
        (format!("data.cache={{dir: '{blocked}/cache', max_gb: 1}}"), "data.cache", "`"),
    ];
    let own = own.iter().map(|(set, check, said)| (set.as_str(), *check, *said));
    for (set, check, said) in cases.into_iter().chain(own) {
        let (code, found) = doctor(&run, &[&warm[..], &[set]].concat());
        let failures = of(&found, check, "failure");
        assert!(failures.iter().any(|found| found.contains(said)), "{set}: {found:#?}");
        assert_eq!(code, 1, "{set}");
    }
    let (code, found) = doctor(&run, &["--processes", "3"]);
    let failures = of(&found, "processes", "failure");
    assert_eq!(
        failures,
        ["batch.size: expected a multiple of the 3 processes (--processes), found 32"]
    );
    assert_eq!(code, 1);
    let (_, found) = doctor(&run, &["--processes", "8"]);
    assert!(of(&found, "order", "failure")[0].contains("a divisor of the number of streams (4)"));
}

#[test]
fn what_could_go_better_is_a_warning_and_no_failure() {
    let run = TinyRun::new();
    let cache = format!("data.cache={{dir: '{}/cache', max_gb: 1e9}}", run.dir.path().display());
    let (code, found) = doctor(&run, &["--set", &cache]);
    assert_eq!(code, 0, "{found:#?}");
    assert!(of(&found, "data.cache", "warning")[0].contains("lower data.cache.max_gb"));
    let said = text(&command(&["doctor"]).output().unwrap());
    let jpeg = if data::jpeg_is_exact() { "ok       jpeg" } else { "warning  jpeg" };
    assert!(said.lines().any(|line| line.starts_with(jpeg)), "{said}");
    assert!(said.lines().last().unwrap().contains("no failures"), "{said}");
}

#[test]
fn a_damaged_shard_and_a_damaged_tokenizer_are_named() {
    let run = TinyRun::new();
    let (shards, tokenizer) =
        (run.dir.path().join("shards"), run.dir.path().join("tokenizer.json"));
    std::fs::create_dir(&shards).unwrap();
    let bytes = std::fs::read(sample().join("train/part-00000.parquet")).unwrap();
    std::fs::write(shards.join("a.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(&tokenizer, "{}").unwrap();
    let train = format!("data.train=[{}]", shards.display());
    let init = format!("model.init.random.tokenizer={}", tokenizer.display());
    let (code, found) = doctor(&run, &["--set", &train, "--set", &init]);
    assert_eq!(code, 1);
    assert!(of(&found, "data.train", "failure")[0].contains("a.parquet`: not a readable Parquet"));
    assert!(of(&found, "model", "failure")[0].contains("tokenizer.json`"), "{found:#?}");
}

#[test]
fn without_a_configuration_it_looks_at_the_machine() {
    let output = vlclip(&["doctor"]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for check in ["libtorch", "gpu", "exchange", "memory", "jpeg"] {
        assert!(said.lines().any(|line| line[9..].starts_with(check)), "{check}: {said}");
    }
    let output = vlclip(&["doctor", "/no/such.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("FAILURE  config       cannot read the configuration file"));
}
