//! Every mistake of a user ends in one readable chain that says what, where, expected and found.

use crate::support::{TinyRun, python, refused, sample, vlclip};
use std::path::Path;
use std::process::Command;

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected `{part}` in:\n{text}");
    }
}

#[test]
fn configuration_mistakes() {
    let run = TinyRun::new();
    let path = run.dir.path().join("run.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let with = |from: &str, to: &str| {
        let path = run.dir.path().join("wrong.yaml");
        std::fs::write(&path, yaml.replace(from, to)).unwrap();
        refused(&vlclip(&["train", path.to_str().unwrap()]))
    };
    contains_all(&with("\nlog:", "\nlgo:"), &["wrong.yaml:16", "lgo", "log", "^"]);
    contains_all(&with("seed: 3", "seed: three"), &["wrong.yaml:2", "seed"]);
    contains_all(&with("micro: 16", "micro: 12"), &["batch.micro", "12", "32"]);
    contains_all(&run.train_fails(&["--set", "optim.lr=-1"]), &["optim.lr", "-1"]);
    contains_all(&refused(&vlclip(&["train", "/nowhere.yaml"])), &["/nowhere.yaml"]);
    contains_all(&refused(&vlclip(&["config", "check", "/nowhere.yaml"])), &["/nowhere.yaml"]);
}

#[test]
fn shards_that_cannot_be_used() {
    let run = TinyRun::new();
    let dir = run.dir.path();
    python("bad_shards.py", &["--out", dir.to_str().unwrap()]);
    let train_on = |name: &str, more: &[&str]| {
        let shard = format!("data.train=[{}]", dir.join(name).display());
        run.train_fails(&[&["--set", shard.as_str()], more].concat())
    };
    contains_all(&train_on("nowhere/*.parquet", &[]), &["nowhere/*.parquet"]);
    contains_all(&train_on("run.yaml", &[]), &["run.yaml", "not", "Parquet"]);
    contains_all(&train_on("no_image.parquet", &[]), &["no_image.parquet", "`image`", "picture"]);
    contains_all(
        &train_on("text_image.parquet", &[]),
        &["text_image.parquet", "`image`", "binary"],
    );
    contains_all(&train_on("empty.parquet", &[]), &["empty.parquet", "row"]);
    contains_all(&train_on("few.parquet", &[]), &["8", "32"]);
    let cap = ["--set", "data.max_bad_fraction=0.01"];
    contains_all(
        &train_on("undecodable.parquet", &cap),
        &["undecodable.parquet", "row 7", "undecodable image", "max_bad_fraction"],
    );
}

#[test]
fn undecodable_pictures_below_the_cap_are_skipped_and_counted() {
    let run = TinyRun::new();
    let dir = run.dir.path();
    python("bad_shards.py", &["--out", dir.to_str().unwrap()]);
    let shard = format!("data.train=[{}]", dir.join("undecodable.parquet").display());
    let text = run.train_to_the_end(&[
        "--set",
        &shard,
        "--set",
        "data.max_bad_fraction=0.5",
        "--set",
        "duration.steps=6",
    ]);
    contains_all(&text, &["warning", "undecodable.parquet` row 7", "undecodable image"]);
    assert!(
        text.lines().any(|l| l.contains("finished after step 6") && l.contains("bad")),
        "{text}"
    );
}

#[test]
fn model_directories_that_do_not_fit() {
    let run = TinyRun::new();
    run.train_to_the_end(&["--set", "duration.steps=1"]);
    let model = run.dir.path().join("model");
    let fresh = || {
        let _ = std::fs::remove_dir_all(&model);
        std::fs::create_dir(&model).unwrap();
        for entry in std::fs::read_dir(run.folder().join("step-00000001")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "MANIFEST.json" {
                std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
            }
        }
    };
    let edit = |name: &str, from: &str, to: &str| {
        let path = model.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    let from_model = || {
        let init = format!("model.init={{pretrained: {}}}", model.display());
        run.train_fails(&["--set", &init, "--set", "name=other"])
    };

    fresh();
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    std::fs::write(model.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    contains_all(&from_model(), &["model.safetensors", "bytes"]);

    fresh();
    edit("config.json", "\"projection_dim\": 24", "\"projection_dim\": 20");
    contains_all(
        &from_model(),
        &["`visual_projection.weight`: expected shape [20, 32], found [24, 32]", "text_projection"],
    );

    fresh();
    edit("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    contains_all(&from_model(), &["extra tensor `text_model.encoder.layers.1."]);

    fresh();
    edit("config.json", "\"vocab_size\": ", "\"vocab_size\": 1");
    edit("config.json", "\"eos_token_id\": ", "\"eos_token_id\": 1");
    contains_all(&from_model(), &["tokenizer.json", "does not fit the model", "eos_token_id"]);

    fresh();
    edit("preprocessor_config.json", "32", "48");
    contains_all(&from_model(), &["preprocessor_config.json", "48 px", "32 px"]);

    fresh();
    std::fs::remove_file(model.join("tokenizer.json")).unwrap();
    contains_all(&from_model(), &["tokenizer.json"]);

    std::fs::remove_dir_all(&model).unwrap();
    contains_all(&from_model(), &["does not exist", "Hugging Face CLIP directory"]);
}

/// A limit on the size of files stands in for a disk that fills up while a checkpoint is written.
#[test]
fn a_save_that_fails_keeps_what_was_saved() {
    let run = TinyRun::new();
    run.train_to_the_end(&["--set", "duration.steps=5"]);
    let mut limited = Command::new("sh");
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_vlclip"),
        ])
        .args(["train", run.dir.path().join("run.yaml").to_str().unwrap()]);
    let text = refused(&limited.output().unwrap());
    contains_all(
        &text,
        &["cannot save step 10", "earlier checkpoints are untouched", "safetensors"],
    );
    let entries: Vec<String> = std::fs::read_dir(run.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("step-"))
        .collect();
    assert_eq!(entries, ["step-00000005"], "nothing half-written is left");
    run.train_to_the_end(&[]);
}

#[test]
fn a_folder_without_write_permission() {
    let run = TinyRun::new();
    // The root user passes every permission bit, but nobody makes folders in /sys or /dev/null.
    for dir in ["/sys/vlclip-runs", "/dev/null/runs"] {
        let text = run.train_fails(&["--set", &format!("checkpoint.dir={dir}")]);
        contains_all(&text, &[dir]);
    }
}

#[test]
fn evaluation_mistakes() {
    let run = TinyRun::new();
    run.train_to_the_end(&["--set", "duration.steps=1"]);
    let (out, val) = (run.dir.path().join("report"), sample().join("val"));
    let eval = |model: &Path, more: &[&str]| {
        let mut args =
            vec!["eval", "--model", model.to_str().unwrap(), "--items", val.to_str().unwrap()];
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        vlclip(&args)
    };
    let model = run.folder().join("latest");
    contains_all(&refused(&eval(&model, &["--k", "1,5000"])), &["5000"]);
    contains_all(
        &refused(&eval(&model, &["--columns", "picture=image"])),
        &["picture", "roles are"],
    );
    contains_all(&refused(&eval(&model, &["--columns", "image=picture"])), &["`picture`"]);
    contains_all(&refused(&eval(Path::new("/nowhere"), &[])), &["/nowhere", "does not exist"]);
    let config = run.folder().join("config.yaml");
    contains_all(&refused(&eval(&config, &[])), &["config.yaml", "expected a model directory"]);

    let good = eval(&model, &["--json"]);
    assert!(good.status.success());
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert!(report["tasks"]["text_to_image"].is_object());
    for name in ["report.json", "report.md", "run.trec", "qrels.trec"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let weights = run.folder().join("step-00000001/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    contains_all(&refused(&eval(&model, &[])), &["model.safetensors", "sha256"]);
}
