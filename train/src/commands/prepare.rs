//! `vlclip prepare`.

use anyhow::{Context, Result};
use configs::prepare::{GroundingKind, PrepareConfig, RefineKind};
use data::{PadId, Tokenizer};
use indicatif::{HumanDuration, ProgressBar};
use prepare::pipeline::{Inputs, Progress, prepare, sha256_of};
use prepare::refine::CaptionLimit;
use prepare::{PrepareError, grounding::Detector};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use train::{GroundingDino, ModelDir, StopSignal};

/// How often the bar is drawn, and how often a line is printed where there is no terminal.
const GLANCE: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The context length of a tokenizer that comes without its model.
const CLIP_TOKENS: usize = 77;

/// Turn a catalogue into training shards of grounded crops and refined captions.
///
/// What an interrupted run has done is kept: the same command goes on from there. Shards of the same
/// configuration and catalogue that are there already are left as they are.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip prepare configs/prepare/sample.yaml --set output.dir=shards --set grounding.kind=none"
)]
pub struct Args {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cfg = PrepareConfig::load(&args.config, &args.overrides)?;
    native::keep_freed_memory();
    let inputs = inputs(&cfg)?;
    let stop = StopSignal::listen("stopping; what is done is kept")?;
    let progress = Arc::new(Progress::default());
    let ended = AtomicBool::new(false);
    let start = Instant::now();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| show(&progress, &ended));
        let outcome = prepare(&cfg, inputs, &progress, stop.flag());
        ended.store(true, Ordering::Relaxed);
        outcome
    });
    warnings(&progress, |line| eprintln!("{line}"));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ PrepareError::Interrupted { .. }) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    };
    if outcome.written {
        eprintln!("wrote `{}` in {}\n{outcome}", cfg.output.dir, HumanDuration(start.elapsed()));
    } else {
        eprintln!("found, left as it is: `{}`\n{outcome}", cfg.output.dir);
    }
    super::print(&format!("shards: {}\n", cfg.output.dir))?;
    // All is written: what remains is 0.1 s of libtorch's destructors.
    native::exit_now(0)
}

/// What the configuration needs beside itself.
fn inputs(cfg: &PrepareConfig) -> Result<Inputs> {
    let detector =
        (cfg.grounding.kind == GroundingKind::GroundingDino).then(|| detector(cfg)).transpose()?;
    let (detector, detector_sha256) = detector.unzip();
    let llm = cfg.refine.kind == RefineKind::Llm;
    let limit = cfg.refine.tokenizer.as_deref().filter(|_| llm).map(caption_limit).transpose()?;
    let (caption_limit, tokenizer_sha256) = limit.unzip();
    Ok(Inputs {
        detector,
        detector_sha256,
        caption_limit,
        tokenizer_sha256,
        variable: |name| std::env::var(name).ok(),
        config_yaml: cfg.to_yaml()?,
    })
}

fn detector(cfg: &PrepareConfig) -> Result<(Box<dyn Detector>, String)> {
    let dir = cfg.grounding.model.as_deref().context("grounding.model is needed")?;
    let detector = GroundingDino::open(dir, &cfg.grounding)?;
    let sha256 = sha256_of(&GroundingDino::files(dir)?)?;
    Ok((Box::new(detector), sha256))
}

/// The context length of a model, or 77 for a `tokenizer.json` alone, and what counts its tokens.
fn caption_limit(path: &Path) -> Result<(CaptionLimit, String)> {
    let clean = configs::Clean::default();
    let (tokenizer, file) = if path.is_dir() {
        (ModelDir::open(path, clean)?.tokenizer, path.join("tokenizer.json"))
    } else {
        (Arc::new(Tokenizer::open(path, CLIP_TOKENS, clean, PadId::End)?), path.to_owned())
    };
    let max_tokens = tokenizer.context_length();
    // What cannot be tokenised does not fit.
    let count = Arc::new(move |text: &str| tokenizer.full_length(text).unwrap_or(usize::MAX));
    Ok((CaptionLimit { max_tokens, count }, sha256_of(&[file])?))
}

/// Shows progress until the run has ended: a bar on a terminal, a line now and then otherwise.
fn show(progress: &Progress, ended: &AtomicBool) {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(1000) } else { ProgressBar::hidden() };
    if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:30} {msg}") {
        bar.set_style(style);
    }
    let (start, mut shown) = (Instant::now(), Instant::now());
    let first = progress.read();
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(GLANCE);
        let line = status(progress, first, start.elapsed());
        if terminal {
            let writing = progress.to_write.load(Ordering::Relaxed) > 0;
            bar.set_position(
                (1000.0 * if writing { written(progress) } else { progress.read() }) as u64,
            );
            bar.set_message(line);
            warnings(progress, |line| bar.println(line));
        } else {
            warnings(progress, |line| eprintln!("{line}"));
            if shown.elapsed() >= LINE_EVERY {
                shown = Instant::now();
                eprintln!("{line}");
            }
        }
    }
    bar.finish_and_clear();
}

fn written(progress: &Progress) -> f64 {
    let of = progress.to_write.load(Ordering::Relaxed).max(1);
    progress.written.load(Ordering::Relaxed) as f64 / of as f64
}

/// One line: products by stage, rate, time left, what the agent has spent.
fn status(progress: &Progress, first: f64, elapsed: Duration) -> String {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    if count(&progress.to_write) > 0 {
        return format!(
            "writing shards: {} of {} rows",
            count(&progress.written),
            count(&progress.to_write)
        );
    }
    let seconds = elapsed.as_secs_f64();
    let rate = count(&progress.refined) as f64 / seconds.max(1e-9);
    let read = progress.read();
    let left = seconds * (1.0 - read) / (read - first).max(1e-9);
    let eta = if read > first && left.is_finite() && left < 1e9 {
        format!(", {} left", HumanDuration(Duration::from_secs_f64(left)))
    } else {
        String::new()
    };
    let spent = progress.spent().map_or(String::new(), |spent| format!("; {spent}"));
    format!(
        "{} fetched, {} cropped, {} captioned, {} done ({} rejected), {rate:.0}/s{eta}{spent}",
        count(&progress.fetched),
        count(&progress.grounded),
        count(&progress.refined),
        count(&progress.done),
        count(&progress.rejected),
    )
}

fn warnings(progress: &Progress, mut print: impl FnMut(String)) {
    let (lines, more) = progress.take_warnings();
    lines.into_iter().for_each(|line| print(format!("warning: {line}")));
    if more > 0 {
        print(format!("warning: {more} more of these"));
    }
}
