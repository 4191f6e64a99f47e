//! What is left of a run that has ended, and where its reports lie.

use anyhow::{Context, Result};
use eval::Report;
use std::path::{Path, PathBuf};

/// What is left of a run that has ended, on the first rank.
#[derive(Debug)]
pub struct Finished {
    pub(super) folder: PathBuf,
    pub(super) last: Option<(u64, Report)>,
}

impl Finished {
    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The report before the first step and the newest one, where the run evaluates.
    ///
    /// # Errors
    /// When a report of this run cannot be read back.
    pub fn before_and_after(&self) -> Result<Option<(Report, Report, PathBuf)>> {
        let Some((step, after)) = &self.last else { return Ok(None) };
        let before = stored_report(&self.folder, 0)?;
        Ok(before.map(|before| (before, after.clone(), report_dir(&self.folder, *step))))
    }
}

/// The report of an evaluation after `step`, if there was one.
pub(super) fn stored_report(folder: &Path, step: u64) -> Result<Option<Report>> {
    let path = report_dir(folder, step).join("report.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            Ok(Some(Report::from_json(&text).with_context(|| format!("`{}`", path.display()))?))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Where the report of an evaluation after `step` lies.
pub(super) fn report_dir(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("eval/step-{step:08}"))
}
