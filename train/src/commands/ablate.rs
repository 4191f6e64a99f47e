//! `vlclip ablate`.

use anyhow::{Context, Result};
use configs::ablation::AblationConfig;
use process::StopSignal;
use std::path::PathBuf;
use std::process::ExitCode;
use train::ablate::{Unfinished, ablate};

/// Train variants of a run from several seeds, measure them on the same tasks, and say what each
/// factor does and how sure that is; an interrupted ablation goes on where it stood.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  vlclip ablate configs/ablation/sample.yaml --set seeds=[0,1]")]
pub struct Args {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Run nothing: write the result anew from the reports that are there.
    #[arg(long)]
    report_only: bool,
}

/// As a shell reports a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cfg = AblationConfig::load(&args.config, &args.overrides)?;
    let program = super::this_program()?;
    let stop = StopSignal::listen("stopping: the run under way saves and leaves")
        .context("cannot listen for signals")?;
    let unfinished = if args.report_only { Unfinished::Refuse } else { Unfinished::Run };
    let say = |line: &str| eprintln!("{line}");
    let Some(found) = ablate(&cfg, &program, unfinished, &stop, &say)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let page = cfg.out.join("ablation.html");
    super::print(&format!("{}\nreport: {}\n", found.summary(), page.display()))?;
    Ok(ExitCode::SUCCESS)
}
