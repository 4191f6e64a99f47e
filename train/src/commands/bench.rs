//! `vlclip bench`: parts of training by themselves.

use super::Bar;
use anyhow::{Result, ensure};
use clap::Subcommand;
use configs::RunConfig;
use data::{Cursor, Loader, Shard, Throughput, Until};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
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

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Part::Data(args) = &args.part;
    let found = measure(args)?;
    for warning in &found.warnings {
        eprintln!("warning: {warning}");
    }
    super::print(&if args.json { found.to_json() } else { found.to_text() })?;
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &Data) -> Result<Throughput> {
    let seconds = args.seconds;
    ensure!(
        seconds.is_finite() && seconds > 0.0,
        "--seconds: expected a number above 0, found {seconds}"
    );
    let cfg = RunConfig::load(&args.config, &args.overrides)?;
    let model_dir = ModelDir::initial(&cfg.model.init, cfg.data.text.clean)?;
    let (tokenizer, picture) = (model_dir.tokenizer.clone(), &model_dir.picture);
    let (size, from) = (cfg.batch.size, Cursor::default());
    let open = || Loader::open(&cfg.data, tokenizer, picture, size, cfg.seed, Shard::WHOLE, from);
    let elapsed = Until::Elapsed(Duration::from_secs_f64(seconds));
    let until = args.batches.map_or(elapsed, Until::Batches);
    let bar = Bar::new(args.batches, "batches");
    let each = |batches| bar.set_position(batches);
    let found = Throughput::measure(&cfg.data, open, until, process::cpu_time, each)?;
    bar.finish_and_clear();
    Ok(found)
}
