//! `vlclip prepare`.

use crate::show::LINE_EVERY;
use anyhow::Result;
use configs::Clean;
use configs::prepare::{Grounding, GroundingKind, PrepareConfig, RefineKind};
use data::{PadId, Tokenizer};
use indicatif::{HumanDuration, ProgressBar};
use prepare::pipeline::{Inputs, Progress, prepare, sha256_of};
use prepare::refine::CaptionLimit;
use prepare::{PrepareError, grounding::Detector};
use process::StopSignal;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the bar is drawn.
const GLANCE: Duration = Duration::from_millis(200);
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

/// Opens the models of a configuration: what of a run needs libtorch.
pub trait Models {
    /// The detector of `grounding`, with the SHA-256 of its files.
    ///
    /// # Errors
    /// When its directory cannot be read, or holds another model.
    fn detector(&self, cfg: &Grounding) -> Result<(Box<dyn Detector>, String)>;

    /// What counts the tokens of captions by a CLIP directory, with the SHA-256 of its tokenizer.
    ///
    /// # Errors
    /// When the directory cannot be read, or holds another model.
    fn caption_limit(&self, dir: &Path) -> Result<(CaptionLimit, String)>;
}

/// Runs the command. Without `models`, a configuration that needs them is not run: the outcome is none.
///
/// # Errors
/// When the configuration is wrong, or the run fails.
pub fn run(args: &Args, models: Option<&dyn Models>) -> Result<Option<ExitCode>> {
    let cfg = PrepareConfig::load(&args.config, &args.overrides)?;
    let Some(inputs) = inputs(&cfg, models)? else { return Ok(None) };
    process::keep_freed_memory();
    let stop = StopSignal::listen("stopping; what is done is kept")?;
    let progress = Arc::new(Progress::default());
    let ended = AtomicBool::new(false);
    let start = Instant::now();
    let outcome = std::thread::scope(|scope| {
        let shown = scope.spawn(|| show(&progress, &ended));
        let outcome = prepare(&cfg, inputs, &progress, stop.flag());
        ended.store(true, Ordering::Relaxed);
        shown.thread().unpark();
        outcome
    });
    warnings(&progress, |line| eprintln!("{line}"));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ PrepareError::Interrupted { .. }) => {
            eprintln!("{error}");
            return Ok(Some(ExitCode::FAILURE));
        }
        Err(error) => return Err(error.into()),
    };
    if outcome.written {
        eprintln!("wrote `{}` in {}\n{outcome}", cfg.output.dir, HumanDuration(start.elapsed()));
    } else {
        eprintln!("found, left as it is: `{}`\n{outcome}", cfg.output.dir);
    }
    crate::print(&format!("shards: {}\n", cfg.output.dir))?;
    Ok(Some(ExitCode::SUCCESS))
}

/// What the configuration needs beside itself; none where that is a model and there are no `models`.
fn inputs(cfg: &PrepareConfig, models: Option<&dyn Models>) -> Result<Option<Inputs>> {
    let detects = cfg.grounding.kind == GroundingKind::GroundingDino;
    let tokenizer = cfg.refine.tokenizer.as_deref().filter(|_| cfg.refine.kind == RefineKind::Llm);
    let counts_by_model = tokenizer.is_some_and(Path::is_dir);
    if models.is_none() && (detects || counts_by_model) {
        return Ok(None);
    }
    let detector = models.filter(|_| detects).map(|models| models.detector(&cfg.grounding));
    let (detector, detector_sha256) = detector.transpose()?.unzip();
    let limit = tokenizer.map(|path| match models {
        Some(models) if counts_by_model => models.caption_limit(path),
        _ => tokens_of_clip(path),
    });
    let (caption_limit, tokenizer_sha256) = limit.transpose()?.unzip();
    Ok(Some(Inputs {
        detector,
        detector_sha256,
        caption_limit,
        tokenizer_sha256,
        variable: |name| std::env::var(name).ok(),
        config_yaml: cfg.to_yaml()?,
    }))
}

/// The context length of CLIP, and what counts the tokens of a `tokenizer.json` that comes alone.
fn tokens_of_clip(path: &Path) -> Result<(CaptionLimit, String)> {
    let tokenizer = Tokenizer::open(path, CLIP_TOKENS, Clean::default(), PadId::End)?;
    Ok((caption_limit(Arc::new(tokenizer)), sha256_of(&[path.to_owned()])?))
}

/// The context length of a tokenizer, and what counts tokens with it.
pub fn caption_limit(tokenizer: Arc<Tokenizer>) -> CaptionLimit {
    let max_tokens = tokenizer.context_length();
    // What cannot be tokenised does not fit.
    let count = Arc::new(move |text: &str| tokenizer.full_length(text).unwrap_or(usize::MAX));
    CaptionLimit { max_tokens, count }
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
        std::thread::park_timeout(GLANCE);
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
