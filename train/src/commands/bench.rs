//! `vlclip bench`: parts of training by themselves.

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use configs::{RunConfig, Workers};
use data::{Cursor, Loader, Shard, StageTimes};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use train::ModelDir;

/// Measure a part of training by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The training loader: how many samples it gives per second, and where its time goes.
    Data(Data),
}

/// Opens the training loader of a configuration and takes batches from it as fast as they come.
///
/// Neither weights nor a GPU are touched. The clock starts with the second batch, when all threads
/// are at work. What was read lately may come from the system's cache of files.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip bench data configs/quickstart.yaml --set data.workers=1 --seconds 5"
)]
struct Data {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Measure this many batches.
    #[arg(long, value_name = "N", conflicts_with = "seconds",
          value_parser = clap::value_parser!(u64).range(1..))]
    batches: Option<u64>,
    /// Measure for this long.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// Print one JSON object instead of a text.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Report {
    rows: u64,
    batch: usize,
    /// Threads that decode.
    workers: usize,
    /// Cores that this process may use.
    cores: usize,
    /// From nothing to an open loader, and to the first batch.
    open: Duration,
    first_batch: Duration,
    /// Measured batches and their samples.
    batches: u64,
    samples: u64,
    wall: Duration,
    cpu: Duration,
    /// Time of the threads in the measured time.
    stages: StageTimes,
    /// The most memory that was resident, in bytes.
    peak_bytes: u64,
    /// Unusable rows and cut captions of all batches.
    bad: u64,
    truncated: u64,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Part::Data(args) = &args.part;
    let report = measure(args)?;
    super::print(&if args.json { report.to_json() } else { report.to_text() })?;
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &Data) -> Result<Report> {
    let seconds = args.seconds;
    ensure!(
        seconds.is_finite() && seconds > 0.0,
        "--seconds: expected a number above 0, found {seconds}"
    );
    let cfg = RunConfig::load(&args.config, &args.overrides)?;
    let model_dir = ModelDir::initial(&cfg.model.init, cfg.data.text.clean)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match cfg.data.workers {
        Workers::Auto => cores,
        Workers::Count(count) => count,
    };

    let start = Instant::now();
    let (tokenizer, size) = (model_dir.tokenizer.clone(), cfg.batch.size);
    let from = Cursor::default();
    let picture = &model_dir.picture;
    let mut loader =
        Loader::open(&cfg.data, tokenizer, picture, size, cfg.seed, Shard::WHOLE, from)?;
    let open = start.elapsed();
    loader.next()?;
    let first_batch = start.elapsed();

    let (start, cpu, stages) = (Instant::now(), native::cpu_time(), loader.stage_times());
    let enough = |batches: u64| match args.batches {
        Some(wanted) => batches >= wanted,
        None => start.elapsed().as_secs_f64() >= seconds,
    };
    let bar = super::bar(args.batches, "batches");
    let (mut batches, mut samples) = (0, 0);
    while !enough(batches) {
        samples += loader.next()?.len() as u64;
        batches += 1;
        bar.set_position(batches);
    }
    let (wall, cpu) = (start.elapsed(), native::cpu_time().saturating_sub(cpu));
    let stages = loader.stage_times().since(&stages);
    bar.finish_and_clear();
    for warning in loader.drain_warnings() {
        eprintln!("warning: {warning}");
    }
    let counts = loader.counts();
    Ok(Report {
        rows: loader.num_rows(),
        batch: size,
        workers,
        cores,
        open,
        first_batch,
        batches,
        samples,
        wall,
        cpu,
        stages,
        peak_bytes: peak_bytes()?,
        bad: counts.bad.values().sum(),
        truncated: counts.truncated,
    })
}

impl Report {
    fn samples_per_s(&self) -> f64 {
        self.samples as f64 / self.wall.as_secs_f64()
    }

    /// Of the cores that are at work: no more than there are threads.
    fn samples_per_s_and_core(&self) -> f64 {
        self.samples_per_s() / self.cores.min(self.workers).max(1) as f64
    }

    fn samples_per_cpu_s(&self) -> f64 {
        self.samples as f64 / self.cpu.as_secs_f64()
    }

    /// In 10^6 bytes of encoded pictures.
    fn encoded_mb_per_s(&self) -> f64 {
        self.stages.encoded_bytes as f64 / 1e6 / self.wall.as_secs_f64()
    }

    fn stage_seconds(&self) -> [(&'static str, f64); 5] {
        let StageTimes { read, tokenise, decode, transform, gather, .. } = &self.stages;
        let stages = [
            ("read", read),
            ("decode", decode),
            ("transform", transform),
            ("tokenise", tokenise),
            ("gather", gather),
        ];
        stages.map(|(name, time)| (name, time.as_secs_f64()))
    }

    fn to_json(&self) -> String {
        let stages: serde_json::Map<_, _> =
            self.stage_seconds().map(|(name, s)| (name.to_owned(), s.into())).into_iter().collect();
        let report = json!({
            "rows": self.rows,
            "batch": self.batch,
            "workers": self.workers,
            "cores": self.cores,
            "open_s": self.open.as_secs_f64(),
            "first_batch_s": self.first_batch.as_secs_f64(),
            "batches": self.batches,
            "samples": self.samples,
            "wall_s": self.wall.as_secs_f64(),
            "cpu_s": self.cpu.as_secs_f64(),
            "samples_per_s": self.samples_per_s(),
            "samples_per_s_and_core": self.samples_per_s_and_core(),
            "samples_per_cpu_s": self.samples_per_cpu_s(),
            "encoded_mb_per_s": self.encoded_mb_per_s(),
            "peak_rss_bytes": self.peak_bytes,
            "bad_rows": self.bad,
            "truncated": self.truncated,
            "stage_s": stages,
        });
        report.to_string() + "\n"
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "{} rows, batches of {}; {} worker threads, {} cores\n\
             opened in {:.2} s, first batch after {:.2} s; {} rows unusable, {} captions cut\n\n\
             {} batches ({} samples) in {:.2} s\n\
             {:>10.1} samples/s\n\
             {:>10.1} samples/s per core\n\
             {:>10.1} samples per second of CPU time\n\
             {:>10.1} MB/s of encoded pictures\n\
             {:>10.1} MiB of memory at most\n\n\
             stage      thread time, ms per 1,000 samples   share\n",
            self.rows,
            self.batch,
            self.workers,
            self.cores,
            self.open.as_secs_f64(),
            self.first_batch.as_secs_f64(),
            self.bad,
            self.truncated,
            self.batches,
            self.samples,
            self.wall.as_secs_f64(),
            self.samples_per_s(),
            self.samples_per_s_and_core(),
            self.samples_per_cpu_s(),
            self.encoded_mb_per_s(),
            self.peak_bytes as f64 / f64::from(1 << 20),
        );
        let stages = self.stage_seconds();
        let all: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
        for (name, seconds) in stages {
            let (each, share) =
                (seconds * 1e6 / self.stages.pictures.max(1) as f64, 100.0 * seconds / all);
            let _ = writeln!(text, "{name:<10} {each:>34.1} {share:>6.1}%");
        }
        text
    }
}

/// The most memory of this process that was resident at once (VmHWM), in bytes.
fn peak_bytes() -> Result<u64> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("`{path}` has no VmHWM"))? * 1024)
}
