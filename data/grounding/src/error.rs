//! Errors of loading a detector and of detecting, each naming file, field, expected and found.

use checkpoints::CheckpointError;
use native::NativeError;
use std::path::PathBuf;

/// Why a detector cannot be loaded, or pictures cannot be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroundingError {
    /// A model directory that is not there.
    #[error(
        "model directory `{}` does not exist; expected a Hugging Face GroundingDINO directory with \
         config.json, model.safetensors, tokenizer.json and preprocessor_config.json",
        path.display()
    )]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the model directory cannot be read.
    #[error("cannot read `{}`, which should hold {holds}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        holds: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Not JSON, or a key is missing or of another type.
    #[error("`{}`: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A setting that no GroundingDINO has, or that this program does not run.
    #[error("`{}`, `{key}`: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Expected and found.
        problem: String,
    },
    /// Weights that are not the weights of this configuration.
    #[error(
        "the weights in `{}` do not fit config.json:\n  {}\ncheck that both belong to one model",
        path.display(), listed(problems)
    )]
    Weights {
        /// The model directory.
        path: PathBuf,
        /// One line per tensor that is missing, extra or misshapen.
        problems: Vec<String>,
    },
    /// Weights that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A `tokenizer.json` that cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// A phrase that cannot be searched for.
    #[error("phrase {index} (`{phrase}`): {reason}")]
    Phrase {
        /// Its place in the batch, from 0.
        index: usize,
        /// The phrase as it was given.
        phrase: String,
        /// Why.
        reason: String,
    },
    /// A picture that cannot be searched.
    #[error("picture {index}: {reason}")]
    Picture {
        /// Its place in the batch, from 0.
        index: usize,
        /// Expected and found.
        reason: String,
    },
    /// Arguments that do not belong together.
    #[error("{0}")]
    Argument(String),
    /// libtorch refused something, such as memory.
    #[error(transparent)]
    Torch(#[from] NativeError),
}

/// A checkpoint of another model misses every tensor; the first few say so.
const LISTED: usize = 10;

fn listed(problems: &[String]) -> String {
    let mut text = problems.iter().take(LISTED).cloned().collect::<Vec<_>>().join("\n  ");
    if problems.len() > LISTED {
        text += &format!("\n  and {} more", problems.len() - LISTED);
    }
    text
}
