//! `vlclip prepare`: what of it needs libtorch.

use anyhow::{Context, Result};
use cli::prepare::{Models, caption_limit};
use configs::Clean;
use configs::prepare::Grounding;
use prepare::{grounding::Detector, pipeline::sha256_of, refine::CaptionLimit};
use std::path::Path;
use std::process::ExitCode;
use train::{GroundingDino, ModelDir};

pub use cli::prepare::Args;

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    cli::prepare::run(args, Some(&OnLibtorch))?.context("vlclip-torch opens every model")
}

struct OnLibtorch;

impl Models for OnLibtorch {
    fn detector(&self, cfg: &Grounding) -> Result<(Box<dyn Detector>, String)> {
        let dir = cfg.model.as_deref().context("grounding.model is needed")?;
        let detector = GroundingDino::open(dir, cfg)?;
        Ok((Box::new(detector), sha256_of(&GroundingDino::files(dir)?)?))
    }

    fn caption_limit(&self, dir: &Path) -> Result<(CaptionLimit, String)> {
        let model = ModelDir::open(dir, Clean::default())?;
        Ok((caption_limit(model.tokenizer), sha256_of(&[dir.join("tokenizer.json")])?))
    }
}
