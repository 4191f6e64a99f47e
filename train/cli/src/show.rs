//! What a command writes to stdout and stderr.

use anyhow::Result;
use std::io::{IsTerminal, Write};

/// Writes to stdout. A reader that has gone, such as `head`, is no error.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A count of work done on stderr: a bar on a terminal, nothing otherwise.
pub fn bar(total: Option<u64>, noun: &str) -> indicatif::ProgressBar {
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
