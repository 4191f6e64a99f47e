//! What a command writes to stdout and stderr.

use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// Where stderr is no terminal, a line is written this often.
pub const LINE_EVERY: Duration = Duration::from_secs(10);

/// A count of work done on stderr: a bar on a terminal, a line now and then otherwise.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    noun: String,
    total: Option<u64>,
    started: Instant,
    /// When the last line was written; `None` on a terminal.
    line: Option<Mutex<Instant>>,
}

impl Bar {
    /// Of `total` things called `noun`.
    pub fn new(total: Option<u64>, noun: &str) -> Self {
        let started = Instant::now();
        let line = (!std::io::stderr().is_terminal()).then(|| Mutex::new(started));
        let bar = match (&line, total) {
            (Some(_), _) => ProgressBar::hidden(),
            (None, Some(total)) => {
                let template = format!("{{bar:30}} {{pos}}/{{len}} {noun} {{per_sec}} eta {{eta}}");
                styled(ProgressBar::new(total), &template)
            }
            (None, None) => styled(
                ProgressBar::new_spinner(),
                &format!("{{spinner}} {{pos}} {noun} {{per_sec}}"),
            ),
        };
        Self { bar, noun: noun.into(), total, started, line }
    }

    /// So many are done.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.write(|| line(done, self.total, &self.noun, self.started.elapsed()));
    }

    /// All are done, and something else begins that is not counted.
    pub fn stage(&self, what: &str) {
        if self.line.is_none() {
            self.bar.set_style(style("{spinner} {msg} {elapsed}"));
            self.bar.enable_steady_tick(TICK);
            self.bar.set_message(what.to_owned());
        }
        self.write(|| what.into());
    }

    /// Takes the bar away.
    pub fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }

    fn write(&self, line: impl FnOnce() -> String) {
        let Some(last) = &self.line else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            eprintln!("{}", line());
        }
    }
}

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(200);

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(style(template))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `1200 of 6000 products, 400/s, 12 seconds left`.
fn line(done: u64, total: Option<u64>, noun: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    let Some(total) = total else { return format!("{done} {noun}, {rate:.0}/s") };
    let left = total.saturating_sub(done) as f64 / rate.max(f64::EPSILON);
    let left = match Duration::try_from_secs_f64(left) {
        Ok(left) if done > 0 => format!(", {} left", HumanDuration(left)),
        _ => String::new(),
    };
    format!("{done} of {total} {noun}, {rate:.0}/s{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let elapsed = Duration::from_secs(3);
        let far = line(1200, Some(6000), "products", elapsed);
        assert_eq!(far, "1200 of 6000 products, 400/s, 12 seconds left");
        assert_eq!(line(1200, None, "batches", elapsed), "1200 batches, 400/s");
        assert_eq!(line(0, Some(6000), "products", elapsed), "0 of 6000 products, 0/s");
    }
}
