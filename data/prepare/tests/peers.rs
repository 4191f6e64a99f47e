//! What other people's libraries make of ours: pyarrow, DuckDB, Polars, Hugging Face datasets and
//! transformers open prepared shards; imagehash computes the same perceptual hashes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use configs::prepare::PrepareConfig;
use prepare::pipeline::{Inputs, prepare};
use prepare::{SampleSpec, write_sample};

/// Runs a script of `tests/peers` with the Python peers, and returns what it prints.
fn python(script: &str, args: &[&Path]) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let peers = root.join(".peers");
    assert!(
        peers.is_dir(),
        "no {}: run `make test`, which installs the Python peers",
        peers.display()
    );
    let ran = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .arg(root.join("tests/peers").join(script))
        .args(args)
        .env("PYTHONPATH", format!("{}:{}", peers.display(), root.join(".libtorch").display()))
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("python3 must be on the PATH: run `make test`, which checks for it");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(
        ran.status.success(),
        "{script} failed (run `make test`, which installs the Python peers):\n{stdout}\n{stderr}"
    );
    stdout.into_owned()
}

#[test]
fn python_libraries_open_prepared_shards() {
    let home = tempfile::tempdir().unwrap();
    let (sample, shards) = (home.path().join("sample"), home.path().join("shards"));
    write_sample(&sample, &SampleSpec { products: 240, seed: 5 }, |_, _| {}).unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/prepare/sample.yaml");
    let overrides = [
        format!("catalogue.paths={}/catalogue.parquet", sample.display()),
        format!("output.dir={}", shards.display()),
    ];
    let cfg = PrepareConfig::load(Path::new(config), &overrides).unwrap();
    let inputs = Inputs::offline(cfg.to_yaml().unwrap());
    let outcome = prepare(&cfg, inputs, &Arc::default(), &AtomicBool::new(false)).unwrap();
    assert_eq!((outcome.index.counts.rows, outcome.written), (240, true));
    let printed = python("check_shards.py", &[&shards, &sample]);
    assert!(printed.trim_end().ends_with("ok"), "{printed}");
}

#[test]
fn hashes_are_those_of_imagehash() {
    let out = tempfile::tempdir().unwrap();
    python("phashes.py", &[Path::new("--out"), out.path()]);
    let json = std::fs::read(out.path().join("phashes.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
    assert!(cases.len() >= 300);
    let mut distances = [0; 65];
    for case in &cases {
        let side = |name: &str| case[name].as_u64().unwrap() as usize;
        let pixels = std::fs::read(out.path().join(case["file"].as_str().unwrap())).unwrap();
        let hash = prepare::phash(&pixels, side("width") * 3, side("width"), side("height"));
        let expected = u64::from_str_radix(case["hash"].as_str().unwrap(), 16).unwrap();
        let distance = (hash.unwrap() ^ expected).count_ones();
        distances[distance as usize] += 1;
    }
    assert_eq!(distances[0], cases.len(), "{distances:?}");
}
