//! `vlclip doctor`.

use anyhow::Result;
use configs::RunConfig;
use std::path::PathBuf;
use std::process::ExitCode;
use train::doctor::{Findings, Level, configuration, machine};

/// Look for what would make a run fail, before it starts: this build, the machine, and what a
/// configuration names.
///
/// Nothing is trained. Shards are opened and a sample of their rows is read, weights are loaded
/// into the host's memory. Ends with exit code 1 where a run would fail.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  vlclip doctor
  vlclip doctor configs/vit-b-32.yaml --set batch.size=2048 --processes 8")]
pub struct Args {
    /// YAML file; left out, only the machine is looked at.
    config: Option<PathBuf>,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    overrides: Vec<String>,
    /// How many processes will train; left out, as the environment states, or one per GPU.
    #[arg(long, value_name = "K", requires = "config", value_parser = clap::value_parser!(u32).range(1..))]
    processes: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut all = Findings::default();
    machine(&mut all);
    if let Some(path) = &args.config
        && let Some(cfg) = all.expect("config", RunConfig::load(path, &args.overrides))
    {
        all.ok("config", path.display().to_string());
        configuration(&cfg, args.processes.map(|processes| processes as usize), &mut all);
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&all)? + "\n",
        false => all.to_string(),
    };
    super::print(&text)?;
    Ok(if all.count(Level::Failure) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
