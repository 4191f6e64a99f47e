//! What the tests share: the project's root, the Python peers, temporary folders.

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a script of `tests/peers` with the pinned Python peers and returns what it printed.
pub fn python(script: &str, args: &[&str]) -> String {
    let peers = root().join(".peers");
    assert!(peers.is_dir(), "no Python peers: run `make test`, which installs them");
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .arg(root().join("tests/peers").join(script))
        .args(args)
        .env("PYTHONPATH", format!("{}:{}", peers.display(), root().join(".libtorch").display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script} {args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `vlclip` from the project's root.
pub fn vlclip(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// `vlclip`, ready to start from the project's root.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vlclip"));
    command.args(args).current_dir(root());
    command
}

/// Everything a process printed.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Shards of a small synthetic catalogue with their tokenizer, drawn and prepared once for all tests.
pub fn sample() -> &'static Path {
    static SAMPLE: OnceLock<PathBuf> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (catalogue, shards) = (home.join("catalogue"), home.join("shards"));
        let drawn = vlclip(&["sample", "--products", "300", "--out", catalogue.to_str().unwrap()]);
        assert!(drawn.status.success(), "{}", text(&drawn));
        let paths = format!("catalogue.paths={}/catalogue.parquet", catalogue.display());
        let dir = format!("output.dir={}", shards.display());
        let config = "configs/prepare/sample.yaml";
        let prepared = vlclip(&["prepare", config, "--set", &paths, "--set", &dir]);
        assert!(prepared.status.success(), "{}", text(&prepared));
        std::fs::copy(catalogue.join("tokenizer.json"), shards.join("tokenizer.json")).unwrap();
        shards
    })
}

/// `data.train` as two sources of [`sample`], the second with other captions: of four pairs three
/// come from `shop` and one from `raw`.
pub fn mixture() -> String {
    let sample = sample().display();
    format!(
        "data.train=[{{name: shop, paths: [{sample}/train], weight: 3}}, {{name: raw, paths: \
         [{sample}/test], weight: 1, columns: {{captions: caption_raw}}}}]"
    )
}

/// A folder with a configuration of a tiny run on [`sample`]: 40 steps of 32 pairs, which cross
/// epochs, a checkpoint every 5 steps, an evaluation every 20.
pub struct TinyRun {
    /// Removed when dropped.
    pub dir: tempfile::TempDir,
}

impl TinyRun {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sample = sample();
        let tokenizer: serde_json::Value =
            serde_json::from_slice(&std::fs::read(sample.join("tokenizer.json")).unwrap()).unwrap();
        let vocab = tokenizer["model"]["vocab"].as_object().unwrap().len();
        let model = json!({
            "projection_dim": 24,
            "text_config": {
                "vocab_size": vocab, "max_position_embeddings": 24, "eos_token_id": vocab - 1,
                "bos_token_id": vocab - 2, "hidden_size": 32, "intermediate_size": 64,
                "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu",
            },
            "vision_config": {
                "image_size": 32, "patch_size": 8, "hidden_size": 32, "intermediate_size": 64,
                "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu",
            },
        });
        std::fs::write(dir.path().join("model.json"), model.to_string()).unwrap();
        let (here, sample) = (dir.path().display(), sample.display());
        let yaml = format!(
            "name: tiny
seed: 3
duration: {{steps: 40}}
device: cpu
model:
  init:
    random: {{config: {here}/model.json, tokenizer: {sample}/tokenizer.json}}
data:
  train: [{sample}/train]
  workers: 2
  shuffle: {{streams: 4, window_rows: 16}}
batch: {{size: 32, micro: 16}}
optim: {{lr: 1.0e-3, max_grad_norm: 1.0}}
eval: {{items: ['{sample}/val'], every: {{steps: 20}}, k: [1, 5]}}
checkpoint: {{dir: {here}/runs, every: {{steps: 5}}, keep: 3}}
log: {{every: {{steps: 1}}}}
"
        );
        std::fs::write(dir.path().join("run.yaml"), yaml).unwrap();
        Self { dir }
    }

    /// `vlclip train` with the given arguments, ready to start.
    pub fn train(&self, args: &[&str]) -> Command {
        let mut command = command(&["train"]);
        command.arg(self.dir.path().join("run.yaml")).args(args).env("OMP_NUM_THREADS", "1");
        command
    }

    /// The same on several processes, one thread each.
    pub fn launch(&self, processes: usize, args: &[&str]) -> Command {
        let mut command = command(&["launch", "--nproc-per-node", &processes.to_string()]);
        command.args(["--grace", "10", "--", "train"]).arg(self.dir.path().join("run.yaml"));
        command.args(args).env("OMP_NUM_THREADS", "1");
        command
    }

    /// Runs it to its end, which must be a good one.
    pub fn train_to_the_end(&self, args: &[&str]) -> String {
        let output = self.train(args).output().unwrap();
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        text
    }

    /// Runs it to its end, which must be an error without panic, backtrace or C++ frames.
    pub fn train_fails(&self, args: &[&str]) -> String {
        refused(&self.train(args).output().unwrap())
    }

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("runs/tiny")
    }

    /// `metrics.jsonl` without what depends on the clock.
    pub fn metrics(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder().join("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| {
                let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
                for timing in ["samples_per_s", "data_wait"] {
                    record.as_object_mut().unwrap().remove(timing);
                }
                record
            })
            .collect()
    }
}

/// What a refused command printed.
pub fn refused(output: &Output) -> String {
    let text = text(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for technical in ["panicked", "RUST_BACKTRACE", "frame #", "Exception raised"] {
        assert!(!text.contains(technical), "{text}");
    }
    text
}
