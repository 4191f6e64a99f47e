//! What the tests share: the Python peers and what they wrote.
#![allow(dead_code)] // each test binary uses a part

use checkpoints::TensorFile;
use grounding::RgbPicture;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Kind, Tensor};

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a script of `tests/peers` with the pinned Python peers.
pub fn python(script: &str, args: &[&str]) {
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {args:?}: {said}");
}

/// Tensors that a script wrote.
pub struct Golden(TensorFile);

impl Golden {
    pub fn open(path: &Path) -> Self {
        Self(TensorFile::open(path).unwrap())
    }

    pub fn get(&self, name: &str) -> Tensor {
        let stored = self.0.tensor(name).unwrap();
        let shape: Vec<i64> = stored.shape.iter().map(|&d| d as i64).collect();
        let kind = match stored.dtype {
            checkpoints::Dtype::F64 => Kind::Double,
            checkpoints::Dtype::F32 => Kind::Float,
            checkpoints::Dtype::I64 => Kind::Int64,
            checkpoints::Dtype::U8 => Kind::Uint8,
            other => panic!("{name}: {other:?}"),
        };
        Tensor::from_data_size(&stored.bytes, &shape, kind)
    }

    /// `picture.N`.
    pub fn picture(&self, number: &serde_json::Value) -> RgbPicture {
        let stored = self.0.tensor(&format!("picture.{number}")).unwrap();
        let (height, width) = (stored.shape[0], stored.shape[1]);
        RgbPicture { width, height, pixels: stored.bytes }
    }
}

/// The largest difference of two tensors.
pub fn diff(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!((a.size(), a.kind()), (b.size(), b.kind()));
    f64::try_from((a - b).to_kind(Kind::Double).abs().max()).unwrap()
}
