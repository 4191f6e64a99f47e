//! `vlclip config`: configurations without a run.

use anyhow::Result;
use clap::Subcommand;
use configs::RunConfig;
use configs::ablation::AblationConfig;
use configs::prepare::PrepareConfig;
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
    Schema {
        /// That of `vlclip prepare`.
        #[arg(long)]
        prepare: bool,
        /// That of `vlclip ablate`.
        #[arg(long, conflicts_with = "prepare")]
        ablation: bool,
    },
}

#[derive(Debug, clap::Args)]
struct File {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The file is one of `vlclip prepare`.
    #[arg(long)]
    prepare: bool,
    /// The file is one of `vlclip ablate`.
    #[arg(long, conflicts_with = "prepare")]
    ablation: bool,
}

impl File {
    /// Loads the file, and gives it back with every default.
    fn resolved(&self) -> Result<String> {
        let (path, overrides) = (&self.config, &self.overrides);
        Ok(match (self.prepare, self.ablation) {
            (true, _) => PrepareConfig::load(path, overrides)?.to_yaml()?,
            (_, true) => AblationConfig::load(path, overrides)?.to_yaml()?,
            _ => RunConfig::load(path, overrides)?.to_yaml()?,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// When the file is missing or wrong.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Show(file) => {
            crate::print(&file.resolved()?)?;
        }
        Action::Check(file) => {
            file.resolved()?;
            eprintln!("{}: valid", file.config.display());
        }
        Action::Schema { prepare, ablation } => {
            let schema = match (prepare, ablation) {
                (true, _) => configs::prepare::schema(),
                (_, true) => configs::ablation::schema(),
                _ => configs::schema(),
            };
            crate::print(&(serde_json::to_string_pretty(&schema)? + "\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
