//! One module per command; each turns its arguments into one call of the library.

mod ablate;
mod bench;
mod compare;
mod config;
mod doctor;
mod embed;
mod eval;
mod ground;
mod inspect;
mod launch;
mod model;
mod prepare;
mod sample;
mod search;
mod train;
mod verify;

use anyhow::Result;
use clap::Subcommand;
use std::io::{IsTerminal, Write};
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

/// Writes to stdout. A reader that has gone, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A count of work done on stderr: a bar on a terminal, nothing otherwise.
fn bar(total: Option<u64>, noun: &str) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let template = match total {
        Some(_) => format!("{{bar:30}} {{pos}}/{{len}} {noun} {{per_sec}} eta {{eta}}"),
        None => format!("{{spinner}} {{pos}} {noun} {{per_sec}}"),
    };
    let style = indicatif::ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    total
        .map_or_else(indicatif::ProgressBar::new_spinner, indicatif::ProgressBar::new)
        .with_style(style)
}
