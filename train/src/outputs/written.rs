//! The folder and the log of a run, on the first rank.

use super::finished::report_dir;
use crate::evaluate::Evaluation;
use crate::log::Log;
use crate::progress::{Best, Progress};
use crate::samples::SampleLog;
use anyhow::{Context, Result};
use checkpoints::RunFolder;
use eval::Report;
use serde_json::Map;

/// The folder and the log, on the first rank.
#[derive(Debug)]
pub(super) struct Written {
    pub folder: RunFolder,
    pub log: Log,
    pub samples: SampleLog,
    pub keep: usize,
    pub last: Option<(u64, Report)>,
}

impl Written {
    /// Writes a report and its figures; gives the metric that marks the best, and the guarded one.
    pub fn report(
        &mut self,
        step: u64,
        found: Evaluation,
        metrics: [&str; 2],
    ) -> Result<(f64, f64)> {
        let Evaluation { report, rankings, galleries, .. } = found;
        report.write(&report_dir(self.folder.path(), step), &rankings, &galleries)?;
        let mut values = Map::new();
        for name in report.metric_names() {
            let value = report.metric(&name).unwrap_or(f64::NAN);
            values.insert(name, value.into());
        }
        self.log.eval(step, values)?;
        let value = |metric: &str| {
            report.metric(metric).with_context(|| {
                format!(
                    "checkpoint.best or eval.guard: no metric `{metric}`; there are `{}`",
                    report.metric_names().join("`, `")
                )
            })
        };
        let [metric, guarded] = metrics;
        let (value, guarded) = (value(metric)?, value(guarded)?);
        self.log.say(&format!("step {step} {metric} {value:.4}"));
        self.last = Some((step, report));
        Ok((value, guarded))
    }

    pub fn mark_best(&self, at: &Progress) -> Result<()> {
        let Some(Best { step, .. }) = at.best else { return Ok(()) };
        if self.folder.step_path(step).is_dir() && self.folder.best()? != Some(step) {
            self.folder.mark_best(step)?;
        }
        Ok(())
    }
}
