//! What a run says while it runs: a bar or plain lines on stderr, and `metrics.jsonl`.

use crate::due::human;
use crate::progress::Progress;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The figures of a stretch of steps that end at `step`.
#[derive(Clone, Debug)]
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
    /// Share of the last step's captions, over all ranks, that were cut to the context length.
    pub truncated: f64,
    /// Steps of the run that changed nothing because a float16 gradient overflowed.
    pub num_skipped: u64,
    /// Training pairs of the stretch by source, over all ranks, where there are several sources.
    pub sources: BTreeMap<String, u64>,
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

    /// Leaves out time that went into other things than steps.
    pub fn skip(&mut self, other: Duration) {
        self.since += other;
    }
}

/// The run's log.
#[derive(Debug)]
pub struct Log {
    bar: ProgressBar,
    plain: bool,
    metrics: File,
    steps: u64,
    started: Instant,
    started_at: u64,
}

impl Log {
    /// Opens `folder/metrics.jsonl`, drops what it holds past the position `at` of `steps` (a run
    /// that goes on repeats it), and goes on writing behind it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Path, at: &Progress, steps: u64) -> Result<Self> {
        let path = folder.join("metrics.jsonl");
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => up_to(&text, at),
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).with_context(|| format!("cannot read `{}`", path.display())),
        };
        checkpoints::replace_file(&path, kept.as_bytes())?;
        let metrics = OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
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
        bar.set_position(at.step);
        Ok(Self { bar, plain, metrics, steps, started: Instant::now(), started_at: at.step })
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        // Whoever listened may be gone; the run goes on.
        let _ = self.bar.suspend(|| writeln!(io::stderr(), "{line}"));
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
        let text = match at.num_skipped {
            0 => text,
            n => format!("{text} skipped {n}"),
        };
        if self.plain {
            let _ = writeln!(io::stderr(), "step {}/{} {text}", at.step, self.steps);
        } else {
            self.bar.set_position(at.step);
            self.bar.set_message(text);
        }
        let mut record = json!({
            "kind": "step", "step": at.step, "epoch": at.epoch, "samples": at.samples,
            "loss": at.loss, "lr": at.lr, "logit_scale": at.logit_scale,
            "grad_norm": at.grad_norm, "truncated": at.truncated, "skipped_steps": at.num_skipped,
            "samples_per_s": rate, "data_wait": wait,
        });
        if !at.sources.is_empty() {
            record["sources"] = json!(at.sources);
        }
        self.write(record)
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

    fn write(&mut self, record: Value) -> io::Result<()> {
        writeln!(self.metrics, "{record}")
    }
}

/// The whole lines of `text` that belong to a run that stands at `at`.
fn up_to(text: &str, at: &Progress) -> String {
    let keep = |line: &&str| {
        let Ok(record) = serde_json::from_str::<Value>(line) else { return false };
        let Some(step) = record.get("step").and_then(Value::as_u64) else { return false };
        // An evaluation at this very step is known to the checkpoint, or it will be repeated.
        let repeated = record["kind"] == "eval" && at.evaluated != Some(step);
        step < at.step || (step == at.step && !repeated)
    };
    text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_past_the_checkpoint_is_dropped_with_a_torn_last_line() {
        let (eval0, step10, eval10) =
            (r#"{"kind":"eval","step":0}"#, r#"{"step":10}"#, r#"{"kind":"eval","step":10}"#);
        let text = format!("{eval0}\n{step10}\n{eval10}\n{{\"step\":20}}\n{{\"st");
        let mut at = Progress { step: 10, evaluated: Some(0), ..Progress::default() };
        assert_eq!(up_to(&text, &at), format!("{eval0}\n{step10}\n"));
        at.evaluated = Some(10);
        assert_eq!(up_to(&text, &at), format!("{eval0}\n{step10}\n{eval10}\n"));
        assert_eq!(up_to(&text, &Progress::default()), "", "a fresh start keeps nothing");
    }
}
