//! The sample as other people's libraries see it: pyarrow, DuckDB, Polars, Hugging Face datasets
//! and transformers open what `write_sample` wrote.

use std::path::Path;
use std::process::Command;

use prepare::{SampleSpec, write_sample};

#[test]
fn python_libraries_open_the_sample() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let peers = root.join(".peers");
    assert!(
        peers.is_dir(),
        "no {}: run `make test`, which installs the Python peers",
        peers.display()
    );
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &SampleSpec { products: 240, seed: 5 }, |_, _| {}).unwrap();
    let checked = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .arg(root.join("tests/peers/check_sample.py"))
        .arg(&out)
        .env("PYTHONPATH", format!("{}:{}", peers.display(), root.join(".libtorch").display()))
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("python3 must be on the PATH: run `make test`, which checks for it");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success() && stdout.trim_end().ends_with("ok"), "{stdout}\n{stderr}");
}
