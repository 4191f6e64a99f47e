//! The model that a command embeds with: its options, its folder, and what tells it from others.

use anyhow::{Context, Result, ensure};
use checkpoints::MANIFEST;
use clap::ValueEnum;
use configs::{Clean, Device, Precision};
use eval::ModelFiles;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use train::model::Clip;
use train::{CLEAN, ModelDir, device};

/// Files beside the weights that decide what an embedding is.
const FILES: [&str; 3] = ["config.json", "preprocessor_config.json", "tokenizer.json"];

/// Which model, and how it runs.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A Hugging Face CLIP directory, a step folder of a run, or a run's `best` or `latest`.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// How captions are cleaned before tokenising; left out, as in the run that made the
    /// checkpoint, or `hf` for a model from elsewhere.
    #[arg(long)]
    clean: Option<CleanArg>,
    /// Where the model runs.
    #[arg(long, default_value = "auto")]
    device: DeviceArg,
    /// Arithmetic of the towers.
    #[arg(long, default_value = "f32")]
    precision: PrecisionArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CleanArg {
    Hf,
    #[value(name = "open_clip")]
    OpenClip,
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DeviceArg {
    Auto,
    Cpu,
    Cuda,
}

/// Arithmetic of a model.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionArg {
    F32,
    Bf16,
}

impl From<DeviceArg> for Device {
    fn from(device: DeviceArg) -> Self {
        match device {
            DeviceArg::Auto => Self::Auto,
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Cuda => Self::Cuda,
        }
    }
}

/// A model ready to embed.
pub struct Opened {
    /// Everything but the weights.
    pub dir: ModelDir,
    /// The towers.
    pub model: Clip,
    /// How captions are cleaned, as a configuration says it.
    pub clean: String,
    /// What tells it from others.
    pub files: ModelFiles,
    /// Arithmetic of the towers.
    pub precision: Precision,
}

impl ModelArgs {
    /// What tells the model from others, and how its run cleaned captions if it is a checkpoint. Reads
    /// every file of it.
    pub fn files(&self) -> Result<(PathBuf, ModelFiles, Option<Value>)> {
        let dir = super::eval::behind(&self.model)?;
        let (mut hashes, mut clean) = (BTreeMap::new(), None);
        if dir.join(MANIFEST).is_file() {
            let manifest = checkpoints::verify(&dir)?;
            clean = manifest.meta.get(CLEAN).cloned();
            hashes.extend(manifest.files.into_iter().map(|(name, file)| (name, file.sha256)));
            hashes.retain(|name, _| decides(name));
        } else {
            ensure!(dir.is_dir(), "model directory `{}` does not exist", dir.display());
            for entry in std::fs::read_dir(&dir)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if decides(&name) {
                    hashes.insert(name.clone(), checkpoints::measure(&dir.join(name))?.sha256);
                }
            }
        }
        Ok((dir.clone(), ModelFiles { path: dir.display().to_string(), hashes }, clean))
    }

    /// Loads the model. `clean`: how captions are cleaned where neither the options nor the model's
    /// run say.
    pub fn open(&self, clean: Option<&str>) -> Result<Opened> {
        let (dir, files, trained_with) = self.files()?;
        let stated = |value: &Value, of: &Path| {
            Clean::deserialize(value).with_context(|| format!("`{}`, {CLEAN}", of.display()))
        };
        let clean = match (self.clean, &trained_with, clean) {
            (Some(CleanArg::Hf), ..) | (None, None, None) => Clean::Hf,
            (Some(CleanArg::OpenClip), ..) => Clean::OpenClip,
            (None, Some(value), _) => stated(value, &dir.join(MANIFEST))?,
            (None, None, Some(text)) => stated(&text.into(), &dir)?,
        };
        let precision = match self.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Bf16 => Precision::Bf16,
        };
        let dir = ModelDir::open(&dir, clean)?;
        let model = dir.load(device::pick(self.device.into(), 0)?)?;
        let clean = serde_json::to_value(clean)?.as_str().unwrap_or_default().to_owned();
        Ok(Opened { dir, model, clean, files, precision })
    }
}

/// Whether embeddings depend on the file.
fn decides(name: &str) -> bool {
    FILES.contains(&name) || (name.ends_with(".safetensors") && !name.starts_with("train_state"))
}
