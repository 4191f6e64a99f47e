//! GroundingDINO as `prepare` uses detectors.

use crate::device;
use anyhow::Result;
use configs::Precision;
use configs::prepare::Grounding;
use grounding::RgbPicture;
use prepare::BoxPx;
use prepare::grounding::{DetectError, Detector, Found, Query};
use std::path::{Path, PathBuf};
use tch::Kind;

/// A box of a lower score than this is nothing found; one below the configured threshold is a doubt.
const LEAST_SCORE: f32 = 0.05;

/// A loaded model and its thresholds.
pub struct GroundingDino {
    model: grounding::Detector,
    least_score: f32,
    text_threshold: f32,
}

impl GroundingDino {
    /// Loads the model of a Hugging Face directory, where and with the arithmetic that `cfg` says.
    ///
    /// # Errors
    /// A directory that cannot be used; a GPU that is asked for and not there.
    pub fn open(dir: &Path, cfg: &Grounding) -> Result<Self> {
        let kind = match cfg.precision {
            Precision::F32 | Precision::Tf32 => Kind::Float,
            // The configuration is checked: bf16 is the only other one.
            Precision::Bf16 | Precision::PureBf16 | Precision::Fp16 => Kind::BFloat16,
        };
        Ok(Self {
            model: grounding::Detector::load(dir, device::pick(cfg.device, 0)?, kind)?,
            least_score: LEAST_SCORE.min(cfg.box_threshold as f32),
            text_threshold: cfg.text_threshold as f32,
        })
    }

    /// The files of a directory that boxes follow from.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && (name.ends_with(".json") || name.ends_with(".safetensors")) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

impl Detector for GroundingDino {
    fn detect(&self, batch: &[Query<'_>]) -> Result<Vec<Vec<Found>>, DetectError> {
        let picture = |query: &Query<'_>| RgbPicture {
            width: query.width,
            height: query.height,
            pixels: query.rgb.to_vec(),
        };
        let pictures: Vec<RgbPicture> = batch.iter().map(picture).collect();
        let phrases: Vec<&str> = batch.iter().map(|query| query.phrase).collect();
        let found =
            self.model.detect(&pictures, &phrases, self.least_score, self.text_threshold)?;
        let as_found = |found: grounding::Detection| {
            let [x0, y0, x1, y1] = found.xyxy;
            let box_px = BoxPx { x0, y0, x1, y1 };
            Found { box_px, score: found.score, phrase: found.phrase }
        };
        Ok(found.into_iter().map(|boxes| boxes.into_iter().map(as_found).collect()).collect())
    }
}
