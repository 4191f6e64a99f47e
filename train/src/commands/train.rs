//! `vlclip train`.

use anyhow::Result;
use configs::RunConfig;
use std::path::PathBuf;
use std::process::ExitCode;
use train::Resume;
use train::dist::Ended;

/// Train as a configuration says; an interrupted run goes on where it stood.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip train configs/quickstart.yaml --set duration.steps=200 --set name=short"
)]
pub struct Args {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// `auto` goes on from the newest valid checkpoint of the run, `never` starts afresh, a step
    /// folder goes on from there.
    #[arg(long, default_value = "auto", value_name = "auto|never|DIR")]
    resume: Resume,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cfg = RunConfig::load(&args.config, &args.overrides)?;
    let finished = match train::train(&cfg, &args.resume) {
        Ok(finished) => finished,
        // Another rank's end ends this one; one process of each machine says so.
        Err(error) if error.downcast_ref::<Ended>().is_some_and(|ended| !ended.speaks) => {
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error),
    };
    let Some(outputs) = finished else { return Ok(ExitCode::SUCCESS) };
    if let Some((before, after, report)) = outputs.before_and_after()? {
        let table = eval::comparison_table(&[("before", &before), ("after", &after)]);
        super::print(&format!("{table}\nreport: {}\n", report.join("report.md").display()))?;
    }
    super::print(&format!("run: {}\n", outputs.path().display()))?;
    Ok(ExitCode::SUCCESS)
}
