//! What a model directory or a checkpoint is, without loading it.

use super::super::eval::behind;
use anyhow::Result;
use checkpoints::{Dtype, MANIFEST, TensorFile};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use train::model::{BlocksSpec, ClipSpec};

/// A model directory or a step folder of a run.
#[derive(Debug, Serialize)]
pub struct Described {
    /// The folder.
    path: PathBuf,
    /// The step of a checkpoint.
    step: Option<u64>,
    /// Whether every file is what the manifest says: `valid`, `none` (no checkpoint of ours), or
    /// what is wrong.
    manifest: String,
    /// Bytes of all files of the folder.
    bytes: u64,
    /// Both towers' shapes, as `config.json` states them.
    image: Tower,
    text: Tower,
    image_px: i64,
    patch_px: i64,
    context_length: i64,
    vocab_size: i64,
    embedding_dim: i64,
    activation: String,
    /// Numbers that are learnt.
    parameters: u64,
    /// Their types.
    dtypes: Vec<String>,
    /// The folder's files.
    files: Vec<String>,
}

/// The shape of a tower.
#[derive(Debug, Serialize)]
struct Tower {
    layers: usize,
    width: i64,
    heads: i64,
}

impl Tower {
    fn of(blocks: &BlocksSpec) -> Self {
        let (layers, width) = (blocks.num_hidden_layers, blocks.hidden_size);
        Self { layers, width, heads: blocks.num_attention_heads }
    }
}

/// Describes what lies at `path`, if it is a model and not shards.
///
/// # Errors
/// When `config.json` or the weights cannot be read.
pub fn describe(path: &Path) -> Result<Option<Described>> {
    let pointer = path.file_name().is_some_and(|name| name == "best" || name == "latest");
    let dir = if pointer && path.is_file() { behind(path)? } else { path.to_owned() };
    if !dir.join("config.json").is_file() && !dir.join(MANIFEST).is_file() {
        return Ok(None);
    }
    let (step, manifest) = if dir.join(MANIFEST).is_file() {
        match checkpoints::verify(&dir) {
            Ok(found) => (found.meta.get("step").and_then(|step| step.as_u64()), "valid".into()),
            Err(error) => (None, error.to_string()),
        }
    } else {
        (None, "none".into())
    };
    let spec = ClipSpec::read(&dir.join("config.json"))?;
    let tensors = TensorFile::open(&dir)?;
    let (mut parameters, mut dtypes) = (0, BTreeSet::new());
    for name in tensors.names() {
        let info = tensors.info(name)?;
        // Hugging Face stores the integers `position_ids`, too, which nothing learns.
        if matches!(info.dtype, Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16) {
            parameters += info.shape.iter().product::<usize>() as u64;
            dtypes.insert(info.dtype.to_string());
        }
    }
    let (mut files, mut bytes) = (Vec::new(), 0);
    for entry in std::fs::read_dir(&dir)? {
        let entry = entry?;
        bytes += entry.metadata()?.len();
        files.push(entry.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    Ok(Some(Described {
        path: dir,
        step,
        manifest,
        bytes,
        image: Tower::of(&spec.vision.blocks),
        text: Tower::of(&spec.text.blocks),
        image_px: spec.vision.image_size,
        patch_px: spec.vision.patch_size,
        context_length: spec.text.max_position_embeddings,
        vocab_size: spec.text.vocab_size,
        embedding_dim: spec.projection_dim,
        activation: spec.activation().to_string(),
        parameters,
        dtypes: dtypes.into_iter().collect(),
        files,
    }))
}

impl Described {
    /// Whether the manifest, if there is one, holds.
    pub fn is_valid(&self) -> bool {
        self.manifest == "valid" || self.manifest == "none"
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let manifest = match self.manifest.as_str() {
            "valid" => "valid: every file has the size and sha256 that MANIFEST.json states",
            "none" => "none: a model from elsewhere",
            wrong => wrong,
        };
        let tower = |tower: &Tower| {
            let Tower { layers, width, heads } = tower;
            format!("{layers} layers, {width} wide, {heads} heads")
        };
        let (image, text) = (tower(&self.image), tower(&self.text));
        let millions = self.parameters as f64 / 1e6;
        writeln!(f, "model       {}", self.path.display())?;
        if let Some(step) = self.step {
            writeln!(f, "step        {step}")?;
        }
        writeln!(f, "manifest    {manifest}")?;
        writeln!(f, "image       {image}; {} px in patches of {}", self.image_px, self.patch_px)?;
        writeln!(f, "text        {text}; {} tokens of {}", self.context_length, self.vocab_size)?;
        writeln!(f, "embedding   {} wide; {}", self.embedding_dim, self.activation)?;
        writeln!(f, "parameters  {millions:.1} M, {}", self.dtypes.join(", "))?;
        writeln!(f, "files       {}: {}", super::table::bytes(self.bytes), self.files.join(", "))
    }
}
