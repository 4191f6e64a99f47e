//! `vlclip sample`.

use anyhow::Result;
use prepare::{SampleSpec, write_sample};
use std::path::PathBuf;
use std::process::ExitCode;

/// Draw the synthetic catalogue of the quick start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  vlclip sample --out checkpoints/sample --products 6000")]
pub struct Args {
    /// Folder for catalogue and tokenizer; a complete sample of the same kind is left as it is.
    #[arg(long)]
    out: PathBuf,
    /// Number of products over all splits.
    #[arg(long, default_value_t = SampleSpec::default().products)]
    products: u64,
    /// Everything drawn follows from it.
    #[arg(long, default_value_t = SampleSpec::default().seed)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// When the folder cannot be written, or holds something else.
pub fn run(args: &Args) -> Result<ExitCode> {
    let spec = SampleSpec { products: args.products, seed: args.seed };
    let bar = crate::Bar::new(Some(args.products), "products");
    let summary = write_sample(&args.out, &spec, |done, _total| bar.set_position(done))?;
    bar.finish_and_clear();
    eprintln!(
        "{} `{}`: {} products, {:.1} MB, {} token ids",
        if summary.written { "wrote" } else { "found, left as it is:" },
        args.out.display(),
        summary.spec.products,
        summary.bytes as f64 / 1e6,
        summary.vocab_size,
    );
    Ok(ExitCode::SUCCESS)
}
