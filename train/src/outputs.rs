//! What a run leaves behind: its folder with checkpoints, evaluation reports and figures.

use crate::evaluate::{EvalSet, evaluate};
use crate::log::Log;
use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::optim::AdamW;
use crate::progress::{Best, Measured, Progress};
use crate::{device, snapshot};
use anyhow::{Context, Result};
use checkpoints::RunFolder;
use configs::{Clean, RunConfig};
use data::{Counts, Loader};
use eval::{Report, Subject};
use serde_json::Map;
use std::path::{Path, PathBuf};

/// Key of a manifest's `meta` that says how captions were cleaned, which evaluation has to repeat.
pub const CLEAN: &str = "clean";

/// A run's folder and the log of what goes into it.
#[derive(Debug)]
pub struct Outputs {
    /// Bar, lines and `metrics.jsonl`.
    pub log: Log,
    folder: RunFolder,
    set: Option<EvalSet>,
    keep: usize,
    best_metric: String,
    clean: Clean,
    last: Option<(u64, Report)>,
    saved: Option<u64>,
}

impl Outputs {
    /// Stores the resolved configuration in the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(cfg: &RunConfig, folder: RunFolder, log: Log, set: Option<EvalSet>) -> Result<Self> {
        let header = format!(
            "# vlclip {}, libtorch {}, {}, 1 process\n",
            env!("CARGO_PKG_VERSION"),
            native::libtorch_version(),
            device::name(device::pick(cfg.device)?),
        );
        let yaml = header + &cfg.to_yaml()?;
        checkpoints::replace_file(&folder.path().join("config.yaml"), yaml.as_bytes())?;
        let (keep, best_metric) = (cfg.checkpoint.keep, cfg.checkpoint.best.clone());
        let clean = cfg.data.text.clean;
        Ok(Self { log, folder, set, keep, best_metric, clean, last: None, saved: None })
    }

    /// Says what is about to run.
    pub fn announce(&self, model: &Clip, loader: &Loader, at: &Progress, steps: u64) {
        let count = |learns: bool| -> usize {
            model
                .params()
                .iter()
                .filter(|p| p.value.requires_grad() || !learns)
                .map(|p| p.value.numel())
                .sum()
        };
        self.log.say(&format!(
            "{} rows, {} batches an epoch; {:.1}M parameters, {:.1}M of them learn; {}; steps {} \
             to {steps}; {}",
            loader.num_rows(),
            loader.batches_per_epoch(),
            count(false) as f64 / 1e6,
            count(true) as f64 / 1e6,
            device::name(model.device()),
            at.step,
            self.folder.path().display(),
        ));
    }

    /// A line that the user should read.
    pub fn warn(&self, line: &str) {
        self.log.say(&format!("warning: {line}"));
    }

    /// Evaluates retrieval, writes the report, and says whether it is the best so far. Without an
    /// `eval` section nothing is the best.
    ///
    /// # Errors
    /// When the evaluation data is unusable or the report cannot be written.
    pub fn evaluate(
        &mut self,
        model: &Clip,
        model_dir: &ModelDir,
        at: &mut Progress,
    ) -> Result<bool> {
        let Some(set) = &self.set else { return Ok(false) };
        let subject = Subject {
            model: format!("{} at step {}", self.folder.path().display(), at.step),
            data: set.items.join(", "),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            ..Subject::default()
        };
        let found = evaluate(model, model_dir, set, subject, |_| ())?;
        found.warnings.iter().for_each(|line| self.warn(line));
        let dir = self.report_dir(at.step);
        found.report.write(&dir, &found.rankings)?;
        let mut values = Map::new();
        for name in found.report.metric_names() {
            let value = found.report.metric(&name).unwrap_or(f64::NAN);
            values.insert(name, value.into());
        }
        self.log.eval(at.step, values)?;
        let metric = &self.best_metric;
        let of = Measured { metric: metric.clone(), items: set.items.clone() };
        let value = found.report.metric(metric).with_context(|| {
            format!(
                "checkpoint.best: no metric `{metric}`; there are `{}`",
                found.report.metric_names().join("`, `")
            )
        })?;
        self.log.say(&format!("step {} {metric} {value:.4}", at.step));
        self.last = Some((at.step, found.report));
        at.evaluated = Some(at.step);
        // The baseline, at step 0, has no checkpoint: it only sets the mark.
        let former = at.best.as_ref().filter(|best| best.of == of);
        let improved = former.is_none_or(|best| value > best.value);
        if improved {
            at.best = Some(Best { of, value, step: at.step });
        }
        Ok(improved)
    }

    /// Saves a checkpoint of this step, unless it is already there, marks the best one, and removes
    /// old ones.
    ///
    /// # Errors
    /// When it cannot be written; what was saved before stays as it is.
    pub fn save(
        &mut self,
        model: &Clip,
        model_dir: &ModelDir,
        optim: &AdamW,
        at: &Progress,
    ) -> Result<()> {
        if self.saved == Some(at.step) {
            return Ok(());
        }
        let meta = Map::from_iter([(CLEAN.to_owned(), serde_json::to_value(self.clean)?)]);
        self.folder
            .save_step_with(at.step, meta, |dir| snapshot::write(dir, model_dir, model, optim, at))
            .with_context(|| {
                format!(
                    "cannot save step {} in `{}`; earlier checkpoints are untouched",
                    at.step,
                    self.folder.path().display()
                )
            })?;
        self.saved = Some(at.step);
        self.mark_best(at)?;
        self.folder.prune(self.keep)?;
        Ok(())
    }

    /// Points `best` to the checkpoint that `at` knows as the best, if it is there.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_best(&self, at: &Progress) -> Result<()> {
        let Some(Best { step, .. }) = at.best else { return Ok(()) };
        if self.folder.step_path(step).is_dir() && self.folder.best()? != Some(step) {
            self.folder.mark_best(step)?;
        }
        Ok(())
    }

    /// Passes `result` on. If it is an error, which ends the run, what was reached is saved first;
    /// the error stays the one that is reported.
    ///
    /// # Errors
    /// That of `result`.
    pub fn rescue<T, E: Into<anyhow::Error>>(
        &mut self,
        result: Result<T, E>,
        model: &Clip,
        model_dir: &ModelDir,
        optim: &AdamW,
        at: &Progress,
    ) -> Result<T> {
        result.map_err(|error| {
            if at.step > 0
                && let Err(unsaved) = self.save(model, model_dir, optim, at)
            {
                self.warn(&format!("{unsaved:#}"));
            }
            error.into()
        })
    }

    /// Says how the run ended.
    ///
    /// # Errors
    /// When a report of the run cannot be read back.
    pub fn finish(mut self, at: &Progress, steps: u64, counts: Counts) -> Result<Self> {
        self.log.finish();
        let evaluated = self.set.is_none() || at.evaluated == Some(at.step);
        let how = if at.step == steps && evaluated { "finished" } else { "stopped" };
        let bad: Vec<String> =
            counts.bad.iter().map(|(cause, rows)| format!("{rows} bad rows: {cause}")).collect();
        let bad = if bad.is_empty() { "no bad rows".to_owned() } else { bad.join(", ") };
        self.log.say(&format!(
            "{how} after step {} of {steps}; {} captions cut to the context length, {bad}",
            at.step, counts.truncated
        ));
        if self.last.is_none() {
            self.last = self.stored_report(at.step)?.map(|report| (at.step, report));
        }
        Ok(self)
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The report before the first step and the newest one, where the run evaluates.
    ///
    /// # Errors
    /// When a report of this run cannot be read back.
    pub fn before_and_after(&self) -> Result<Option<(Report, Report, PathBuf)>> {
        let Some((step, after)) = &self.last else { return Ok(None) };
        let before = self.stored_report(0)?;
        Ok(before.map(|before| (before, after.clone(), self.report_dir(*step))))
    }

    /// The report of an evaluation after `step`, if there was one.
    fn stored_report(&self, step: u64) -> Result<Option<Report>> {
        let path = self.report_dir(step).join("report.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                Ok(Some(Report::from_json(&text).with_context(|| format!("`{}`", path.display()))?))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read `{}`", path.display())),
        }
    }

    fn report_dir(&self, step: u64) -> PathBuf {
        self.folder.path().join(format!("eval/step-{step:08}"))
    }
}
