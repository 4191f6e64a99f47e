//! The program `vlclip-torch`, which `vlclip` hands what needs libtorch to: parses the command line, runs one command, prints errors as one chain.

mod commands;

use clap::Parser;
use commands::Command;
use std::process::ExitCode;

/// Contrastive fine-tuning of CLIP for product retrieval.
#[derive(Debug, Parser)]
#[command(name = "vlclip", bin_name = "vlclip", version, about, after_help = commands::EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
