//! What a run says while it runs: a bar or plain lines on stderr, and `metrics.jsonl`.

use crate::due::human;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The figures of a stretch of steps that end at `step`.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Optimiser steps done.
    pub step: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Training pairs seen.
    pub samples: u64,
    /// Loss of the last step.
    pub loss: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// exp of the parameter `logit_scale`, which multiplies the cosines.
    pub logit_scale: f64,
    /// L2 norm of the gradients of the last step, before clipping.
    pub grad_norm: f64,
}

/// Where the time of a stretch of steps went.
#[derive(Clone, Copy, Debug)]
pub struct StepClock {
    since: Instant,
    waited: Duration,
    samples: u64,
}

impl StepClock {
    /// Starts a stretch.
    pub fn start() -> Self {
        Self { since: Instant::now(), waited: Duration::ZERO, samples: 0 }
    }

    /// Counts a step of `samples` pairs that waited so long for its data.
    pub fn add(&mut self, waited: Duration, samples: u64) {
        self.waited += waited;
        self.samples += samples;
    }
}

/// The run's log.
#[derive(Debug)]
pub struct Log {
    bar: ProgressBar,
    plain: bool,
    metrics: File,
    path: PathBuf,
    steps: u64,
    started: Instant,
    started_at: u64,
}

impl Log {
    /// Opens `folder/metrics.jsonl`, drops what it holds past `step` (a run that goes on repeats
    /// those steps), and goes on writing behind it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Path, step: u64, steps: u64) -> io::Result<Self> {
        let path = folder.join("metrics.jsonl");
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => up_to(&text, step),
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        std::fs::write(&path, kept)?;
        let metrics = OpenOptions::new().append(true).open(&path)?;
        let plain = !io::stderr().is_terminal();
        let bar = if plain {
            ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden())
        } else {
            let style = "{bar:30} step {pos}/{len} {msg}";
            ProgressBar::new(steps).with_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        };
        bar.set_position(step);
        Ok(Self { bar, plain, metrics, path, steps, started: Instant::now(), started_at: step })
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Reports a stretch of steps and what it cost.
    ///
    /// # Errors
    /// When `metrics.jsonl` cannot be written.
    pub fn step(&mut self, at: &StepReport, clock: &StepClock) -> io::Result<()> {
        let elapsed = clock.since.elapsed().as_secs_f64().max(f64::EPSILON);
        let rate = clock.samples as f64 / elapsed;
        let wait = clock.waited.as_secs_f64() / elapsed;
        let done = at.step.saturating_sub(self.started_at).max(1) as f64;
        let left = self.started.elapsed().as_secs_f64() / done * (self.steps - at.step) as f64;
        let text = format!(
            "epoch {} loss {:.4} lr {:.2e} logit_scale {:.2} grad_norm {:.3} {rate:.0} samples/s \
             data wait {:.0}% eta {}",
            at.epoch,
            at.loss,
            at.lr,
            at.logit_scale,
            at.grad_norm,
            wait * 100.0,
            human(Duration::from_secs_f64(left)),
        );
        if self.plain {
            eprintln!("step {}/{} {text}", at.step, self.steps);
        } else {
            self.bar.set_position(at.step);
            self.bar.set_message(text);
        }
        self.write(json!({
            "kind": "step", "step": at.step, "epoch": at.epoch, "samples": at.samples,
            "loss": at.loss, "lr": at.lr, "logit_scale": at.logit_scale,
            "grad_norm": at.grad_norm, "samples_per_s": rate, "data_wait": wait,
        }))
    }

    /// Moves the bar.
    pub fn advance(&self, step: u64) {
        self.bar.set_position(step);
    }

    /// Records the values of an evaluation by name.
    ///
    /// # Errors
    /// When `metrics.jsonl` cannot be written.
    pub fn eval(&mut self, step: u64, values: Map<String, Value>) -> io::Result<()> {
        let mut record = Map::new();
        record.insert("kind".into(), "eval".into());
        record.insert("step".into(), step.into());
        record.extend(values);
        self.write(Value::Object(record))
    }

    /// Ends the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// The file that the figures go to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, record: Value) -> io::Result<()> {
        writeln!(self.metrics, "{record}")
    }
}

/// The whole lines of `text` whose `step` is at most `step`.
fn up_to(text: &str, step: u64) -> String {
    let keep = |line: &&str| {
        serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|record| record.get("step").and_then(Value::as_u64))
            .is_some_and(|at| at <= step)
    };
    text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_past_the_checkpoint_is_dropped_with_a_torn_last_line() {
        let text = "{\"kind\":\"eval\",\"step\":0}\n{\"step\":10}\n{\"step\":20}\n{\"st";
        assert_eq!(up_to(text, 10), "{\"kind\":\"eval\",\"step\":0}\n{\"step\":10}\n");
    }
}
