//! `vlclip ground`.

mod draw;

use super::model::{DeviceArg, PrecisionArg};
use anyhow::{Context, Result};
use data::Picture;
use grounding::{Detection, Detector, RgbPicture};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tch::Kind;
use train::device;

/// Find what a phrase names in a picture, with a GroundingDINO.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip ground --model grounding-dino-tiny --phrase \"handbag\" \
                        picture.jpg --out boxes.png"
)]
pub struct Args {
    /// JPEG, PNG or WebP.
    picture: PathBuf,
    /// A Hugging Face GroundingDINO directory, such as IDEA-Research/grounding-dino-tiny.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// What to look for; may be repeated.
    #[arg(long, required = true, value_name = "TEXT")]
    phrase: Vec<String>,
    /// Draw the boxes on the picture, into a PNG.
    #[arg(long, value_name = "PNG")]
    out: Option<PathBuf>,
    /// Leave out boxes that the model is not surer of than this.
    #[arg(long, default_value_t = 0.35, value_name = "SCORE", value_parser = share)]
    box_threshold: f32,
    /// Leave out words of a box that the model is not surer of than this.
    #[arg(long, default_value_t = 0.25, value_name = "SCORE", value_parser = share)]
    text_threshold: f32,
    /// Where the model runs.
    #[arg(long, default_value = "auto")]
    device: DeviceArg,
    /// Arithmetic of the model.
    #[arg(long, default_value = "f32")]
    precision: PrecisionArg,
    /// Print JSON instead of a line for each box.
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let path = args.picture.display();
    let bytes = std::fs::read(&args.picture).with_context(|| format!("cannot read `{path}`"))?;
    let picture = Picture::decode(&bytes).with_context(|| format!("picture `{path}`"))?;
    let picture =
        RgbPicture { width: picture.width, height: picture.height, pixels: picture.pixels };
    let kind = match args.precision {
        PrecisionArg::F32 => Kind::Float,
        PrecisionArg::Bf16 => Kind::BFloat16,
    };
    let detector = Detector::load(&args.model, device::pick(args.device.into(), 0)?, kind)?;
    let phrase = args.phrase.join(". ");
    let (box_threshold, text_threshold) = (args.box_threshold, args.text_threshold);
    let pictures = std::slice::from_ref(&picture);
    let found = detector.detect(pictures, &[&phrase], box_threshold, text_threshold)?;
    let found = found.first().context("the detector gave no answer")?;
    if let Some(out) = &args.out {
        let png = draw::boxes(&picture, found).context("cannot draw the boxes")?;
        std::fs::write(out, png).with_context(|| format!("cannot write `{}`", out.display()))?;
    }
    super::print(&if args.json { as_json(args, &picture, found)? } else { as_lines(found)? })?;
    if found.is_empty() {
        eprintln!("no box above {box_threshold}: lower --box-threshold, or try other words");
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(args: &Args, picture: &RgbPicture, found: &[Detection]) -> Result<String> {
    let boxes: Vec<_> = found
        .iter()
        .map(|d| json!({"phrase": d.phrase, "score": d.score, "box": d.xyxy}))
        .collect();
    let all = json!({
        "picture": args.picture.to_string_lossy(),
        "width": picture.width,
        "height": picture.height,
        "boxes": boxes,
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

fn as_lines(found: &[Detection]) -> Result<String> {
    let mut text = String::new();
    for Detection { xyxy: [left, top, right, bottom], score, phrase } in found {
        writeln!(text, "{score:.3}  {left:.1} {top:.1} {right:.1} {bottom:.1}  {phrase}")?;
    }
    Ok(text)
}
