//! `vlclip config`: configurations without a run.

use anyhow::Result;
use clap::Subcommand;
use configs::RunConfig;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show, check or describe configurations.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip config show configs/quickstart.yaml --set batch.size=64"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the configuration with every default filled in.
    Show(File),
    /// Check the configuration and say nothing else.
    Check(File),
    /// Print the JSON schema, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
struct File {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Show(file) => {
            super::print(&RunConfig::load(&file.config, &file.overrides)?.to_yaml()?)?;
        }
        Action::Check(file) => {
            RunConfig::load(&file.config, &file.overrides)?;
            eprintln!("{}: valid", file.config.display());
        }
        Action::Schema => {
            super::print(&(serde_json::to_string_pretty(&configs::schema())? + "\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
