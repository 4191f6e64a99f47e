//! One module per command; each turns its arguments into one call of the library.

mod ablate;
mod bench;
mod doctor;
mod embed;
mod eval;
mod ground;
mod inspect;
mod launch;
mod model;
mod prepare;
mod search;
mod train;
mod verify;

use anyhow::{Context, Result};
use clap::Subcommand;
use cli::{Bar, compare, config, print, sample};
use std::path::PathBuf;
use std::process::ExitCode;

/// Shown below the list of commands.
pub const EXAMPLES: &str = "Examples:
  vlclip sample --out checkpoints/sample
  vlclip prepare configs/prepare/sample.yaml
  vlclip inspect checkpoints/sample-shards/train --tokenizer checkpoints/sample/tokenizer.json
  vlclip doctor configs/quickstart.yaml
  vlclip train configs/quickstart.yaml --set optim.lr=5e-4
  vlclip launch --nproc-per-node auto -- train configs/vit-l-14-8gpu.yaml
  vlclip verify configs/quickstart.yaml --processes 2
  vlclip eval --model checkpoints/runs/quickstart/best --items checkpoints/sample-shards/test \\
              --out checkpoints/runs/quickstart/eval/test
  vlclip compare before/report.json after/report.json --fail-below hits@5=-0.01

  vlclip embed --model checkpoints/runs/quickstart/best --items checkpoints/sample-shards/test \\
               --group product_type --out items.parquet --index items.index
  vlclip search --model checkpoints/runs/quickstart/best --index items.index \"red leather bag\"";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train as a configuration says; an interrupted run goes on where it stood.
    Train(train::Args),
    /// Start a command as several processes that train as one, and watch over them.
    Launch(launch::Args),
    /// Show that neither the number of processes nor micro-batches change the training.
    Verify(verify::Args),
    /// Train variants of a run from several seeds, and say what each factor does.
    Ablate(ablate::Args),
    /// Show what is in shards, with advice, or what a model or checkpoint is.
    Inspect(inspect::Args),
    /// Measure retrieval of a model over held-out products.
    Eval(eval::Args),
    /// Compare two retrieval reports query by query.
    Compare(compare::Args),
    /// Embed products into a Parquet file, and an index to search.
    Embed(embed::Args),
    /// Answer text or picture queries from an index.
    Search(search::Args),
    /// Find what a phrase names in a picture, and draw it.
    Ground(ground::Args),
    /// Measure a part of training by itself.
    Bench(bench::Args),
    /// Show, check or describe configurations.
    Config(config::Args),
    /// Look for what would make a run fail, before it starts.
    Doctor(doctor::Args),
    /// Turn a catalogue into training shards of grounded crops and refined captions.
    Prepare(prepare::Args),
    /// Draw the synthetic catalogue of the quick start.
    Sample(sample::Args),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Train(args) => train::run(&args),
            Self::Launch(args) => launch::run(&args),
            Self::Verify(args) => verify::run(&args),
            Self::Ablate(args) => ablate::run(&args),
            Self::Inspect(args) => inspect::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Embed(args) => embed::run(&args),
            Self::Search(args) => search::run(&args),
            Self::Ground(args) => ground::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Config(args) => config::run(&args),
            Self::Doctor(args) => doctor::run(&args),
            Self::Prepare(args) => prepare::run(&args),
            Self::Sample(args) => sample::run(&args),
        }
    }
}

/// What starts commands in processes of their own: `vlclip`, the name that users know, if it lies
/// beside this program.
fn this_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let known = this.with_file_name("vlclip");
    Ok(if known.is_file() { known } else { this })
}
