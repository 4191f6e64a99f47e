//! The shape of a CLIP model: Hugging Face's `config.json`, read and checked.

use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// The shape of both towers and what surrounds them.
#[derive(Clone, Debug)]
pub struct ClipSpec {
    /// Width of the shared embedding space (D).
    pub projection_dim: i64,
    /// Initial value of `logit_scale`, a natural logarithm.
    pub logit_scale_init_value: f64,
    /// The text tower.
    pub text: TextSpec,
    /// The image tower.
    pub vision: VisionSpec,
    /// The file as it was, with every key that this program does not read: checkpoints keep it.
    pub json: Value,
}

/// The text tower.
#[derive(Clone, Debug, Deserialize)]
pub struct TextSpec {
    /// Rows of the token embedding.
    #[serde(default = "vocab_size")]
    pub vocab_size: i64,
    /// Context length in tokens, start and end token included.
    #[serde(default = "context_length")]
    pub max_position_embeddings: i64,
    /// Id whose first occurrence is pooled; 2 stands for "the highest id", as in the first
    /// published configurations.
    #[serde(default = "eos_token_id")]
    pub eos_token_id: i64,
    /// Width, blocks, heads.
    #[serde(flatten)]
    pub blocks: BlocksSpec,
}

/// The image tower.
#[derive(Clone, Debug, Deserialize)]
pub struct VisionSpec {
    /// Side of the picture in px.
    #[serde(default = "image_size")]
    pub image_size: i64,
    /// Side of a patch in px.
    #[serde(default = "patch_size")]
    pub patch_size: i64,
    /// Width, blocks, heads.
    #[serde(flatten)]
    pub blocks: BlocksSpec,
}

/// What both towers have: a stack of transformer blocks.
#[derive(Clone, Debug, Deserialize)]
pub struct BlocksSpec {
    /// Width of the residual stream.
    pub hidden_size: i64,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: i64,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of attention heads (H).
    pub num_attention_heads: i64,
    /// The MLP's activation.
    #[serde(default = "quick_gelu")]
    pub hidden_act: Activation,
    /// Added to the variance in LayerNorm.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Attention dropout; CLIP has none, and a value above 0 is refused.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Multiplies every standard deviation of the random initialisation.
    #[serde(default = "one")]
    pub initializer_factor: f64,
    /// Standard deviation of the patch and position embeddings at random initialisation.
    #[serde(default = "initializer_range")]
    pub initializer_range: f64,
}

/// The MLP's activation. OpenAI's weights need `quick_gelu`, most LAION weights `gelu`; the wrong
/// one runs without error and ruins a fine-tune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(1.702 x).
    QuickGelu,
    /// x · Φ(x), with the exact normal distribution function.
    Gelu,
}

impl fmt::Display for Activation {
    /// As `config.json` writes it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
        })
    }
}

// The defaults of transformers' CLIPTextConfig and CLIPVisionConfig.
fn vocab_size() -> i64 {
    49408
}
fn context_length() -> i64 {
    77
}
fn eos_token_id() -> i64 {
    49407
}
fn image_size() -> i64 {
    224
}
fn patch_size() -> i64 {
    32
}
fn quick_gelu() -> Activation {
    Activation::QuickGelu
}
fn layer_norm_eps() -> f64 {
    1e-5
}
fn one() -> f64 {
    1.0
}
fn initializer_range() -> f64 {
    0.02
}

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file could not be read.
    #[error("model config `{path}`: {source}; a Hugging Face CLIP directory holds a `config.json`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not JSON, or a key is missing or of another type.
    #[error("model config `{path}`{section}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// ` in `text_config`` and the like, or nothing.
        section: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A shape that no CLIP has.
    #[error("model config `{path}`, `{key}`: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Expected and found.
        problem: String,
    },
}

impl ClipSpec {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When the file is missing, is not a CLIP configuration, or states an impossible shape.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SpecError::Read { path: path.into(), source })?;
        let parse = |section: &str| {
            let (path, section) = (path.to_path_buf(), section.to_owned());
            move |source| SpecError::Parse { path, section, source }
        };
        let json: Value = serde_json::from_str(&text).map_err(parse(""))?;
        let value = |key: &str, problem: String| SpecError::Value {
            path: path.into(),
            key: key.into(),
            problem,
        };
        let model_type = json.get("model_type").and_then(Value::as_str).unwrap_or("clip");
        if model_type != "clip" {
            return Err(value("model_type", format!("expected `clip`, found `{model_type}`")));
        }
        for section in ["text_config", "vision_config"] {
            if !json.get(section).is_some_and(Value::is_object) {
                return Err(value(section, "expected a section of this name, found none".into()));
            }
        }
        let spec = Self {
            projection_dim: json.get("projection_dim").and_then(Value::as_i64).unwrap_or(512),
            logit_scale_init_value: json
                .get("logit_scale_init_value")
                .and_then(Value::as_f64)
                .unwrap_or(2.6592),
            text: TextSpec::deserialize(&json["text_config"])
                .map_err(parse(" in `text_config`"))?,
            vision: VisionSpec::deserialize(&json["vision_config"])
                .map_err(parse(" in `vision_config`"))?,
            json,
        };
        match spec.impossible() {
            Some((key, problem)) => Err(value(key, problem)),
            None => Ok(spec),
        }
    }

    /// The first key that no model can have, with expected and found.
    fn impossible(&self) -> Option<(&'static str, String)> {
        let towers = [
            ("text_config.num_attention_heads", "text_config.attention_dropout", &self.text.blocks),
            (
                "vision_config.num_attention_heads",
                "vision_config.attention_dropout",
                &self.vision.blocks,
            ),
        ];
        let sizes = [
            ("projection_dim", self.projection_dim),
            ("text_config.vocab_size", self.text.vocab_size),
            ("text_config.hidden_size", self.text.blocks.hidden_size),
            ("text_config.intermediate_size", self.text.blocks.intermediate_size),
            ("vision_config.hidden_size", self.vision.blocks.hidden_size),
            ("vision_config.intermediate_size", self.vision.blocks.intermediate_size),
        ];
        if let Some((key, found)) = sizes.into_iter().find(|(_, size)| *size < 1) {
            return Some((key, format!("expected at least 1, found {found}")));
        }
        for (heads_key, dropout_key, b) in towers {
            let (width, heads) = (b.hidden_size, b.num_attention_heads);
            if heads < 1 || width % heads != 0 {
                return Some((
                    heads_key,
                    format!("{heads} heads do not divide hidden_size {width}"),
                ));
            }
            if b.attention_dropout != 0.0 {
                let found = b.attention_dropout;
                return Some((dropout_key, format!("expected 0, as CLIP has it, found {found}")));
            }
        }
        let (image, patch) = (self.vision.image_size, self.vision.patch_size);
        if patch < 1 || image < patch {
            let problem = format!("patches of {patch} px do not fit a picture of {image} px");
            return Some(("vision_config.patch_size", problem));
        }
        if self.text.max_position_embeddings < 2 {
            let found = self.text.max_position_embeddings;
            let problem = format!("expected at least 2 (start and end token), found {found}");
            return Some(("text_config.max_position_embeddings", problem));
        }
        if self.text.blocks.hidden_act != self.vision.blocks.hidden_act {
            let problem = "both towers of a CLIP have one activation (`quick_gelu` in OpenAI's \
                           weights, `gelu` in most others), found one of each"
                .to_owned();
            return Some(("hidden_act", problem));
        }
        None
    }

    /// The activation of both towers.
    pub fn activation(&self) -> Activation {
        self.text.blocks.hidden_act
    }
}

impl VisionSpec {
    /// Number of patches (P) of a picture.
    pub fn num_patches(&self) -> i64 {
        (self.image_size / self.patch_size).pow(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ClipSpec, SpecError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        ClipSpec::read(&path)
    }

    fn tower(extra: &str) -> String {
        format!(
            r#"{{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                "num_attention_heads": 4{extra}}}"#
        )
    }

    fn config(text: &str, vision: &str) -> String {
        format!(r#"{{"text_config": {}, "vision_config": {}}}"#, tower(text), tower(vision))
    }

    #[test]
    fn missing_keys_take_the_defaults_of_transformers() {
        let spec = read(&config("", "")).unwrap();
        assert_eq!((spec.projection_dim, spec.text.vocab_size), (512, 49408));
        assert_eq!((spec.vision.image_size, spec.vision.num_patches()), (224, 49));
        assert_eq!(spec.activation(), Activation::QuickGelu);
    }

    #[test]
    fn impossible_shapes_name_the_key() {
        let case = |text: &str, vision: &str| read(&config(text, vision)).unwrap_err().to_string();
        let text = case(r#", "hidden_act": "gelu""#, "");
        assert!(text.contains("`hidden_act`: both towers"), "{text}");
        let text = case(r#", "attention_dropout": 0.1"#, "");
        assert!(text.contains("text_config.attention_dropout`: expected 0"), "{text}");
        let text = case("", r#", "patch_size": 300"#);
        assert!(text.contains("patches of 300 px do not fit a picture of 224 px"), "{text}");
        let text = case("", r#", "hidden_act": "relu""#);
        assert!(text.contains("in `vision_config`: unknown variant `relu`"), "{text}");
    }

    #[test]
    fn other_models_and_missing_files_are_refused() {
        let text = read(r#"{"model_type": "siglip"}"#).unwrap_err().to_string();
        assert!(text.contains("`model_type`: expected `clip`, found `siglip`"), "{text}");
        let text = ClipSpec::read(Path::new("/nowhere/config.json")).unwrap_err().to_string();
        assert!(text.contains("`/nowhere/config.json`"), "{text}");
    }
}
