//! A Hugging Face CLIP directory: what is read from it, and how it is written.

use crate::model::{Clip, ClipSpec, Source};
use crate::tensors;
use anyhow::{Context, Result, ensure};
use checkpoints::{TensorFile, TensorView, write_safetensors};
use configs::{Clean, Init, Precision, RandomInit};
use data::{EndToken, PadId, Preprocessor, Tokenizer};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind};

/// Files that describe a tokenizer. All but the first are optional.
const COMPANIONS: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
];

/// Everything about a model but its weights, and where those come from.
#[derive(Clone)]
pub struct ModelDir {
    /// The model's shape.
    pub spec: ClipSpec,
    /// How pictures become pixels.
    pub picture: Preprocessor,
    /// How captions become token ids.
    pub tokenizer: Arc<Tokenizer>,
    /// Files that travel with the model as they are: name and content. Held in memory, because a
    /// run may remove the checkpoint that it started from.
    companions: Vec<(&'static str, Vec<u8>)>,
    weights: Option<PathBuf>,
}

impl ModelDir {
    /// What a run starts from.
    ///
    /// # Errors
    /// When a file is missing, cannot be read, or does not fit the others.
    pub fn initial(init: &Init, clean: Clean) -> Result<Self> {
        match init {
            Init::Pretrained(dir) => Self::open(dir, clean),
            Init::Random(RandomInit { config, tokenizer }) => {
                let spec = ClipSpec::read(config)?;
                let picture = Preprocessor::clip(usize::try_from(spec.vision.image_size)?);
                Self::assemble(spec, picture, tokenizer.clone(), None, clean)
            }
        }
    }

    /// A directory with `config.json`, `model.safetensors` (or its shards and index),
    /// `tokenizer.json` and `preprocessor_config.json`.
    ///
    /// # Errors
    /// When a file is missing, cannot be read, or does not fit the others.
    pub fn open(dir: &Path, clean: Clean) -> Result<Self> {
        ensure!(
            dir.is_dir(),
            "model directory `{}` does not exist; expected a Hugging Face CLIP directory with \
             config.json, model.safetensors, tokenizer.json and preprocessor_config.json",
            dir.display()
        );
        let spec = ClipSpec::read(&dir.join("config.json"))?;
        let picture = Preprocessor::open(dir.join("preprocessor_config.json"))?;
        Self::assemble(spec, picture, dir.join("tokenizer.json"), Some(dir.into()), clean)
    }

    fn assemble(
        spec: ClipSpec,
        picture: Preprocessor,
        tokenizer_path: PathBuf,
        weights: Option<PathBuf>,
        clean: Clean,
    ) -> Result<Self> {
        let side = usize::try_from(spec.vision.image_size)?;
        ensure!(
            picture.size == side,
            "preprocessor_config.json gives pictures of {} px, config.json \
             (vision_config.image_size) expects {side} px: make them equal",
            picture.size
        );
        let context = usize::try_from(spec.text.max_position_embeddings)?;
        let tokenizer = Tokenizer::open(&tokenizer_path, context, clean, PadId::End)?;
        // The first published configurations say 2 and mean the greatest id.
        let end = match spec.text.eos_token_id {
            2 => EndToken::Greatest,
            id => EndToken::Id(u32::try_from(id).context("config.json, text_config.eos_token_id")?),
        };
        tokenizer.check(usize::try_from(spec.text.vocab_size)?, end)?;
        let mut companions = Vec::new();
        for name in COMPANIONS {
            let path = match name {
                "tokenizer.json" => tokenizer_path.clone(),
                other => tokenizer_path.with_file_name(other),
            };
            if path.is_file() {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                companions.push((name, bytes));
            }
        }
        Ok(Self { spec, picture, tokenizer: Arc::new(tokenizer), companions, weights })
    }

    /// The model with its initial weights on `device`, in f32.
    ///
    /// # Errors
    /// Names every tensor of the checkpoint that is missing, extra or misshapen.
    pub fn load(&self, device: Device) -> Result<Clip> {
        self.load_for(device, Precision::F32)
    }

    /// The model with its initial weights on `device`, in the dtype that training in `precision`
    /// keeps them in.
    ///
    /// # Errors
    /// Names every tensor of the checkpoint that is missing, extra or misshapen.
    pub fn load_for(&self, device: Device, precision: Precision) -> Result<Clip> {
        let kind = match precision {
            Precision::PureBf16 => Kind::BFloat16,
            Precision::F32 | Precision::Tf32 | Precision::Bf16 | Precision::Fp16 => Kind::Float,
        };
        let Some(dir) = &self.weights else {
            let source = Source::Random;
            return Ok(Clip::new(self.spec.clone(), source, &self.picture, device, kind)?);
        };
        let file = TensorFile::open(dir)?;
        Clip::new(self.spec.clone(), Source::Stored(&file), &self.picture, device, kind)
            .with_context(|| format!("model directory `{}`", dir.display()))
    }

    /// Writes `model` and everything that belongs to it into `dir`, so that
    /// `transformers.CLIPModel.from_pretrained` and `CLIPProcessor.from_pretrained` load it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, model: &Clip, dir: &Path) -> Result<()> {
        let stored = model
            .params()
            .iter()
            .map(|param| Ok((param.name.as_str(), tensors::to_stored(param.exact())?)))
            .collect::<Result<Vec<_>>>()?;
        let views: Vec<TensorView> =
            stored.iter().map(|(name, t)| tensors::named(name, t)).collect();
        let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        write_safetensors(&dir.join("model.safetensors"), &views, &format)?;

        let mut config = self.spec.json.clone();
        if let Some(keys) = config.as_object_mut() {
            keys.insert("model_type".into(), "clip".into());
            keys.insert("architectures".into(), vec!["CLIPModel"].into());
            keys.insert("dtype".into(), "float32".into());
            keys.remove("torch_dtype"); // the older name of `dtype`
        }
        let text = serde_json::to_string_pretty(&config)? + "\n";
        write(&dir.join("config.json"), text.as_bytes())?;
        write(&dir.join("preprocessor_config.json"), self.picture.to_json().as_bytes())?;
        for (name, bytes) in &self.companions {
            write(&dir.join(name), bytes)?;
        }
        let path = dir.join("tokenizer_config.json");
        if !path.is_file() {
            // Without it transformers' `truncation=True` never truncates.
            let context = self.spec.text.max_position_embeddings;
            let config = json!({"tokenizer_class": "CLIPTokenizer", "model_max_length": context});
            write(&path, (serde_json::to_string_pretty(&config)? + "\n").as_bytes())?;
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
