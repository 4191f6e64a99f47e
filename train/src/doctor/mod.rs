//! What would fail in a run, or go worse than it could, said before it starts. Nothing is trained,
//! and no memory of a GPU is touched.

mod data;
mod disk;
mod machine;
mod model;

use crate::dist::{self, Placement};
use crate::{device, start};
use anyhow::Result;
use configs::RunConfig;
use serde::Serialize;
use std::fmt;

pub use machine::machine;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A run goes on, but not as well as it could.
    Warning,
    /// A run would end with this error.
    Failure,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it came out.
    pub level: Level,
    /// What is there. Of an error, also what to do.
    pub found: String,
}

/// What all checks found, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// One or more of each check.
    pub findings: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, check: &'static str, level: Level, found: impl Into<String>) {
        self.findings.push(Finding { check, level, found: found.into() });
    }

    /// Records that `check` is as it should be.
    pub fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Level::Ok, found);
    }

    /// Records what could be better.
    pub fn warn(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Level::Warning, found);
    }

    /// The value of `result`. That there is none is recorded as a failure.
    pub fn expect<T, E: Into<anyhow::Error>>(
        &mut self,
        check: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(check, Level::Failure, format!("{:#}", error.into()))).ok()
    }

    /// How many came out so.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

impl fmt::Display for Findings {
    /// A line per finding, and a last one that counts them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, level, found } in &self.findings {
            let level = match level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Failure => "FAILURE",
            };
            // What follows the first line stands below it.
            writeln!(f, "{level:8} {check:12} {}", found.replace('\n', &format!("\n{:22}", "")))?;
        }
        let count = |level, noun: &str| match self.count(level) {
            0 => format!("no {noun}s"),
            1 => format!("1 {noun}"),
            n => format!("{n} {noun}s"),
        };
        let (warnings, failures) = (Level::Warning, Level::Failure);
        writeln!(f, "{}, {}", count(failures, "failure"), count(warnings, "warning"))
    }
}

/// What a run of `cfg` needs. `processes` is how many there will be; left out, as the environment
/// states, or one per GPU of this machine.
pub fn configuration(cfg: &RunConfig, processes: Option<usize>, all: &mut Findings) {
    // Where the batch cannot be shared out, the rest is looked at as for one process.
    let world = share(cfg, processes, all).unwrap_or(1);
    let model = model::check(cfg, world, all);
    data::check(cfg, world, model.as_ref().map(|model| &model.dir), all);
    disk::check(cfg, model.map(|model| model.checkpoint_bytes), all);
}

/// Checks device and processes; gives how many there will be, where the batch can be shared out.
fn share(cfg: &RunConfig, processes: Option<usize>, all: &mut Findings) -> Option<usize> {
    let device = all.expect("device", device::pick(cfg.device, 0));
    if let Some(device) = device {
        let fits = dist::check_backend(cfg.dist.backend, device);
        if all.expect("device", fits).is_some() {
            all.ok("device", device::name(device));
        }
    }
    let placement = all.expect("processes", Placement::detect(|name| std::env::var(name).ok()))?;
    let gpus =
        if device.is_some_and(|device| device.is_cuda()) { native::device_count() } else { 1 };
    let (world, source) = match processes {
        Some(processes) => (processes, "--processes"),
        None if placement.world > 1 => (placement.world, placement.source),
        None => (gpus, if gpus > 1 { "one per GPU" } else { placement.source }),
    };
    all.expect("processes", start::check_share(cfg.batch.size, world, source))?;
    let rows = cfg.batch.size / world;
    all.ok("processes", format!("{world} ({source}); {rows} of {} pairs each", cfg.batch.size));
    Some(world)
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.1} GB", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_counted() {
        let mut all = Findings::default();
        all.ok("libtorch", "2.11.0");
        assert!(all.to_string().ends_with("2.11.0\nno failures, no warnings\n"));
        all.warn("jpeg", "slow\nfor a reason");
        let missing: Result<()> = Err(anyhow::anyhow!("inner").context("outer"));
        assert_eq!(all.expect("model", missing), None);
        assert_eq!(
            all.to_string(),
            "ok       libtorch     2.11.0\n\
             warning  jpeg         slow\n                      for a reason\n\
             FAILURE  model        outer: inner\n1 failure, 1 warning\n"
        );
        let json = serde_json::to_value(&all).unwrap();
        assert_eq!(json["findings"][2]["level"], "failure");
    }

    #[test]
    fn sizes() {
        assert_eq!([0, 12_345_678, 5_000_000_000].map(size), ["0.0 kB", "12.3 MB", "5.0 GB"]);
    }
}
