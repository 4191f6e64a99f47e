//! The `vlclip` command. What needs no libtorch runs here and starts at once; all else is handed to
//! `vlclip-torch`, the file beside this one, which takes this process over.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

/// The program that knows every command.
const WHOLE: &str = "vlclip-torch";

/// Commands that need no libtorch.
#[derive(Debug, Parser)]
#[command(name = "vlclip", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Compare(cli::compare::Args),
    Config(cli::config::Args),
    Prepare(cli::prepare::Args),
    Sample(cli::sample::Args),
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let name = std::env::args_os().nth(1).unwrap_or_default();
    if !Command::has_subcommand(&name.to_string_lossy()) {
        return hand_over();
    }
    match Cli::parse().command {
        Command::Compare(args) => cli::compare::run(&args),
        Command::Config(args) => cli::config::run(&args),
        Command::Prepare(args) => match cli::prepare::run(&args, None)? {
            Some(code) => Ok(code),
            None => hand_over(),
        },
        Command::Sample(args) => cli::sample::run(&args),
    }
}

/// Runs the same command line as `vlclip-torch`, in this process.
fn hand_over() -> Result<ExitCode> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let whole = this.with_file_name(WHOLE);
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| OsString::from("vlclip"));
    let error = std::process::Command::new(&whole).arg0(name).args(args).exec();
    let shown = whole.display();
    if error.kind() == std::io::ErrorKind::NotFound && !whole.exists() {
        bail!(
            "`{shown}` is missing: only compare, config, prepare without models, and sample run \
             without it. Both files come from `cargo build --release`; keep them in one folder"
        );
    }
    Err(error).with_context(|| format!("cannot start `{shown}`"))
}
