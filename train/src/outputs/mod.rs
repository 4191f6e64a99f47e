//! What a run leaves behind: its folder with checkpoints, evaluation reports and figures. The first
//! rank writes it; the others take part in what needs all of them.

mod finished;
mod written;

pub use finished::Finished;

use crate::device;
use crate::dist::Group;
use crate::evaluate::{EvalSet, evaluate};
use crate::log::{Log, StepClock, StepReport};
use crate::memory::Estimate;
use crate::progress::{Best, Measured, Progress};
use crate::samples::{SampleLog, Samples};
use crate::snapshot::{self, State};
use crate::watch::{Verdict, Watch};
use anyhow::{Context, Result};
use checkpoints::RunFolder;
use configs::{Clean, RunConfig};
use data::{Counts, Loader};
use eval::Subject;
use finished::stored_report;
use serde_json::Map;
use written::Written;

/// Key of a manifest's `meta` that says how captions were cleaned, which evaluation has to repeat.
pub const CLEAN: &str = "clean";

/// What a run leaves behind, and how it is evaluated.
#[derive(Debug)]
pub struct Outputs<'a> {
    group: &'a Group,
    set: Option<EvalSet>,
    best_metric: String,
    watch: Watch,
    clean: Clean,
    saved: Option<u64>,
    written: Option<Written>,
}

impl<'a> Outputs<'a> {
    /// Stores the resolved configuration in the folder, which the first rank has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(
        cfg: &RunConfig,
        folder: Option<RunFolder>,
        group: &'a Group,
        at: &Progress,
        steps: u64,
    ) -> Result<Self> {
        let written = folder.map(|folder| -> Result<Written> {
            let header = format!(
                "# vlclip {}, libtorch {}, {}, {}\n",
                env!("CARGO_PKG_VERSION"),
                native::libtorch_version(),
                device::name(device::pick(cfg.device, 0)?),
                group.describe(),
            );
            let yaml = header + &cfg.to_yaml()?;
            checkpoints::replace_file(&folder.path().join("config.yaml"), yaml.as_bytes())?;
            let log = Log::open(folder.path(), at, steps)?;
            let samples = SampleLog::open(folder.path(), at.step, cfg.log.samples)?;
            Ok(Written { folder, log, samples, keep: cfg.checkpoint.keep, last: None })
        });
        Ok(Self {
            group,
            set: EvalSet::of(cfg),
            best_metric: cfg.checkpoint.best.clone(),
            watch: Watch::new(cfg),
            clean: cfg.data.text.clean,
            saved: None,
            written: written.transpose()?,
        })
    }

    /// Says what is about to run.
    pub fn announce(
        &self,
        state: &State,
        loader: &Loader,
        steps: u64,
        micro: usize,
        needs: &Estimate,
    ) {
        let Some(written) = &self.written else { return };
        let State { model, at, .. } = state;
        let count = |learns: bool| -> usize {
            model
                .params()
                .iter()
                .filter(|p| p.value.requires_grad() || !learns)
                .map(|p| p.value.numel())
                .sum()
        };
        written.log.say(&format!(
            "{} rows, {} batches an epoch; {:.1}M parameters, {:.1}M of them learn; {}, {}; steps \
             {} to {steps}; {}",
            loader.num_rows(),
            loader.batches_per_epoch(),
            count(false) as f64 / 1e6,
            count(true) as f64 / 1e6,
            self.group.describe(),
            device::name(model.device()),
            at.step,
            written.folder.path().display(),
        ));
        written.log.say(&format!("{micro} pairs through the towers at once; memory {needs}"));
        written.log.say(&format!("JPEG by {}", data::jpeg_decoder()));
    }

    /// A line that the user should read.
    pub fn say(&self, line: &str) {
        match &self.written {
            Some(written) => written.log.say(line),
            None => eprintln!("{line}"),
        }
    }

    /// A line about something wrong.
    pub fn warn(&self, line: &str) {
        self.say(&format!("warning: {line}"));
    }

    /// Reports a stretch of steps and what it cost.
    ///
    /// # Errors
    /// When `metrics.jsonl` cannot be written.
    pub fn log_step(&mut self, report: &StepReport, clock: &StepClock) -> Result<()> {
        match &mut self.written {
            Some(written) => Ok(written.log.step(report, clock)?),
            None => Ok(()),
        }
    }

    /// Records what a step trained on.
    ///
    /// # Errors
    /// When `samples.jsonl` cannot be written.
    pub fn log_samples(&mut self, step: u64, samples: &Samples) -> Result<()> {
        match &mut self.written {
            Some(written) => written.samples.step(step, samples),
            None => Ok(()),
        }
    }

    /// Moves the bar.
    pub fn advance(&self, step: u64) {
        if let Some(written) = &self.written {
            written.log.advance(step);
        }
    }

    /// Evaluates retrieval, writes the report, and says whether it is the best so far. Without an
    /// `eval` section nothing is the best. A collective: every rank must call it.
    ///
    /// # Errors
    /// When the evaluation data is unusable or the report cannot be written.
    pub fn evaluate(&mut self, state: &mut State) -> Result<bool> {
        let State { model, model_dir, at, .. } = state;
        let Some(set) = &self.set else { return Ok(false) };
        self.group.doing("evaluating");
        let folder = self.written.as_ref().map(|written| written.folder.path().display());
        let subject = Subject {
            model: folder.map_or(String::new(), |folder| format!("{folder} at step {}", at.step)),
            data: set.items.join(", "),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            ..Subject::default()
        };
        let of = Measured { metric: self.best_metric.clone(), items: set.items.clone() };
        let baseline = match &self.written {
            Some(written) if at.step > 0 => match stored_report(written.folder.path(), 0) {
                Ok(report) => report,
                // Of an earlier version of this program, say: no reason to stop training.
                Err(error) => {
                    written.log.say(&format!("warning: not compared with step 0: {error:#}"));
                    None
                }
            },
            _ => None,
        };
        let found =
            evaluate(model, model_dir, set, subject, baseline.as_ref(), self.group, |_| ())?;
        let guarded = self.watch.guarded().to_owned();
        let (value, guarded) = self.group.led(|| {
            let (written, found) = self.written.as_mut().zip(found).context("the first rank")?;
            for line in &found.warnings {
                written.log.say(&format!("warning: {line}"));
            }
            if let Some(error) = &found.incomparable {
                written.log.say(&format!("warning: not compared with step 0: {error}"));
            }
            written.report(at.step, found, [&of.metric, &guarded])
        })?;
        at.evaluated = Some(at.step);
        self.watch.see(&mut at.seen, &set.items, at.step, value, guarded);
        // The baseline, at step 0, has no checkpoint: it only sets the mark.
        let former = at.best.as_ref().filter(|best| best.of == of);
        let improved = former.is_none_or(|best| value > best.value);
        if improved {
            at.best = Some(Best { of, value, step: at.step });
        }
        Ok(improved)
    }

    /// Whether the evaluations so far end the run.
    pub fn ends(&self, at: &Progress) -> bool {
        self.watch.judge(&at.seen) != Ok(Verdict::GoOn)
    }

    /// Whether the evaluations so far say that the run should go on; if not, says why. Every rank
    /// comes to the same conclusion.
    ///
    /// # Errors
    /// When the model has become worse than `eval.guard` allows; the first rank reports it.
    pub fn goes_on(&self, at: &Progress) -> Result<bool> {
        match self.watch.judge(&at.seen) {
            Ok(Verdict::GoOn) => Ok(true),
            Ok(Verdict::Stop(reason)) => {
                if let Some(written) = &self.written {
                    written.log.say(&reason);
                }
                Ok(false)
            }
            Err(regressed) => {
                self.group.yield_to(0)?;
                Err(regressed.into())
            }
        }
    }

    /// Saves a checkpoint of this step, unless it is already there, marks the best one, and removes
    /// old ones. A collective: every rank must call it.
    ///
    /// # Errors
    /// When it cannot be written; what was saved before stays as it is.
    pub fn save(&mut self, state: &State) -> Result<()> {
        self.group.doing("waiting for rank 0 to save");
        let group = self.group;
        group.led(|| self.write(state))
    }

    /// [`Outputs::save`] by the first rank alone.
    fn write(&mut self, state: &State) -> Result<()> {
        let Some(written) = &mut self.written else { return Ok(()) };
        let at = &state.at;
        if self.saved == Some(at.step) {
            return Ok(());
        }
        let meta = Map::from_iter([(CLEAN.to_owned(), serde_json::to_value(self.clean)?)]);
        written
            .folder
            .save_step_with(at.step, meta, |dir| snapshot::write(dir, state))
            .with_context(|| {
                format!(
                    "cannot save step {} in `{}`; earlier checkpoints are untouched",
                    at.step,
                    written.folder.path().display()
                )
            })?;
        self.saved = Some(at.step);
        written.mark_best(at)?;
        written.folder.prune(written.keep)?;
        Ok(())
    }

    /// Points `best` to the checkpoint that `at` knows as the best, if it is there.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_best(&self, at: &Progress) -> Result<()> {
        self.written.as_ref().map_or(Ok(()), |written| written.mark_best(at))
    }

    /// Passes `result` on. If it is an error, which ends the run, the first rank saves what was
    /// reached first; the error stays the one that is reported.
    ///
    /// # Errors
    /// That of `result`.
    pub fn rescue<T, E: Into<anyhow::Error>>(
        &mut self,
        result: Result<T, E>,
        state: &State,
    ) -> Result<T> {
        result.map_err(|error| {
            let error = error.into();
            self.group.fail(&error);
            if state.at.step > 0
                && let Err(unsaved) = self.write(state)
            {
                self.warn(&format!("{unsaved:#}"));
            }
            error
        })
    }

    /// Says how the run ended. A collective: every rank must call it. `None` on all ranks but the
    /// first.
    ///
    /// # Errors
    /// When a report of the run cannot be read back.
    pub fn finish(self, at: &Progress, steps: u64, counts: &Counts) -> Result<Option<Finished>> {
        let counts = self.group.gather_bytes(serde_json::to_vec(counts)?)?;
        let Some(mut written) = self.written else { return Ok(None) };
        let mut all = Counts::default();
        for counts in &counts {
            all.add(&serde_json::from_slice(counts)?);
        }
        written.log.finish();
        let evaluated = self.set.is_none() || at.evaluated == Some(at.step);
        let how = if at.step == steps && evaluated { "finished" } else { "stopped" };
        let bad: Vec<String> =
            all.bad.iter().map(|(cause, rows)| format!("{rows} bad rows: {cause}")).collect();
        let bad = if bad.is_empty() { "no bad rows".to_owned() } else { bad.join(", ") };
        written.log.say(&format!(
            "{how} after step {} of {steps}; {} of {} captions ({:.1} %) cut to the context \
             length, {bad}",
            at.step,
            all.truncated,
            all.rows,
            100.0 * all.truncated as f64 / all.rows.max(1) as f64,
        ));
        let folder = written.folder.path().to_owned();
        if written.last.is_none() {
            written.last = stored_report(&folder, at.step)?.map(|report| (at.step, report));
        }
        Ok(Some(Finished { folder, last: written.last }))
    }
}
