//! What a run leaves behind: its folder with checkpoints, evaluation reports and figures.

use crate::evaluate::{EvalSet, evaluate};
use crate::log::Log;
use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::optim::AdamW;
use crate::progress::Progress;
use crate::{device, snapshot};
use anyhow::{Context, Result};
use checkpoints::RunFolder;
use configs::{Clean, RunConfig};
use data::{Counts, Loader};
use eval::{Report, Subject};
use serde_json::Map;
use std::path::{Path, PathBuf};

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
    finished: bool,
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
        Ok(Self {
            log,
            folder,
            set,
            keep,
            best_metric,
            clean,
            last: None,
            saved: None,
            finished: false,
        })
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
        let value = found.report.metric(metric).with_context(|| {
            format!(
                "checkpoint.best: no metric `{metric}`; there are `{}`",
                found.report.metric_names().join("`, `")
            )
        })?;
        self.log.say(&format!("step {} {metric} {value:.4}", at.step));
        self.last = Some((at.step, found.report));
        // The baseline is nobody's checkpoint: it only sets the mark.
        let improved = at.best.is_none_or(|best| value > best);
        if improved {
            at.best = Some(value);
        }
        Ok(improved)
    }

    /// Saves a checkpoint of this step, unless it is already there, and removes old ones.
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
        self.folder
            .save_step(at.step, |dir| snapshot::write(dir, model_dir, model, optim, at))
            .with_context(|| {
                format!(
                    "cannot save step {} in `{}`; earlier checkpoints are untouched",
                    at.step,
                    self.folder.path().display()
                )
            })?;
        self.saved = Some(at.step);
        self.folder.prune(self.keep)?;
        Ok(())
    }

    /// Marks this step's checkpoint as the best.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_best(&self, at: &Progress) -> Result<()> {
        self.folder.mark_best(at.step)?;
        Ok(())
    }

    /// Says how the run ended.
    ///
    /// # Errors
    /// When a report of the run cannot be read back.
    pub fn finish(mut self, at: &Progress, steps: u64, counts: Counts) -> Result<Self> {
        self.log.finish();
        self.finished = at.step == steps;
        let how = if self.finished { "finished" } else { "stopped" };
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

    /// Whether the run reached its last step.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How captions were cleaned, which evaluation has to repeat.
    pub fn clean(&self) -> Clean {
        self.clean
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
