//! An ablation: every arm trained from every seed and measured by child processes of this program, one
//! after the other, then compared. What is finished is not done again.
//!
//! ```text
//! out/runs/<name>-<arm>-seed<N>/         what `vlclip train` leaves
//! out/reports/<arm>-seed<N>/part-<i>/    what `vlclip eval` leaves
//! out/logs/<arm>-seed<N>.log             what both said
//! out/ablation.json .md .html            the result
//! ```

mod child;
mod job;
mod pace;

use anyhow::{Context, Result, bail};
use checkpoints::replace_file;
use child::Ended;
use configs::ablation::{AblationConfig, Arm};
use eval::{Ablation, ArmDesign, Bootstrap, Design, Report, ReportedEffects, ReportedRemoval};
use job::Job;
use pace::Pace;
use process::StopSignal;
use std::path::{Path, PathBuf};

/// What to do about arms that are not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Train and measure them.
    Run,
    /// Refuse to report.
    Refuse,
}

/// Runs what is left of the ablation `cfg` by `program`, compares the arms and writes the result into
/// `cfg.out`. `None` when `stop` was asked for first. `say` hears of progress. Must be called from
/// the main thread, with which the children die.
///
/// # Errors
/// When an arm's configuration cannot be used, a folder holds another run, a child fails (by arm,
/// seed, command and its last words), or the arms were not measured on the same queries.
pub fn ablate(
    cfg: &AblationConfig,
    program: &Path,
    unfinished: Unfinished,
    stop: &StopSignal,
    say: &dyn Fn(&str),
) -> Result<Option<Ablation>> {
    let parts = write_parts(cfg)?;
    let mut jobs = Vec::new();
    // Seeds outside, so that what is there early has all arms.
    for seed in &cfg.seeds {
        for arm in &cfg.arms {
            let job = Job::new(cfg, arm, *seed, &parts)
                .with_context(|| format!("arm `{}`, seed {seed}", arm.name))?;
            jobs.push(job);
        }
    }
    let finished = jobs.iter().map(Job::is_finished).collect::<Result<Vec<bool>>>()?;
    let left = finished.iter().filter(|finished| !**finished).count();
    say(&format!(
        "{}: {} arms x {} seeds; {} of {} runs finished; {}",
        cfg.name,
        cfg.arms.len(),
        cfg.seeds.len(),
        jobs.len() - left,
        jobs.len(),
        cfg.out.display()
    ));
    if left > 0 && unfinished == Unfinished::Refuse {
        let missing = jobs.iter().zip(&finished).filter(|(_, finished)| !**finished);
        let names: Vec<String> = missing.map(|(job, _)| job.title()).collect();
        bail!("{left} runs are not finished: {}; run the ablation first", names.join("; "));
    }
    let mut pace = Pace::new(left);
    for (at, job) in jobs.iter().enumerate().filter(|(at, _)| !finished[*at]) {
        let place = format!("[{}/{}] {}", at + 1, jobs.len(), job.title());
        let ended = job.run(program, stop, &|what| say(&format!("{place}: {what}")));
        match ended.with_context(|| job.title())? {
            Ended::Stopped => {
                say("stopped; the same command goes on from here");
                return Ok(None);
            }
            Ended::Well => say(&format!("{place}: {}", pace.done())),
        }
    }
    let reports = cfg.arms.iter().map(|arm| {
        let of_arm = jobs.iter().filter(|job| job.arm.name == arm.name);
        of_arm.map(Job::report).collect::<Result<Vec<Report>>>()
    });
    let reports = reports.collect::<Result<Vec<Vec<Report>>>>()?;
    let ablation = Ablation::new(design(cfg), &reports, &Bootstrap::default())?;
    ablation.write(&cfg.out)?;
    Ok(Some(ablation))
}

/// Writes the tasks of each part where the children find them.
fn write_parts(cfg: &AblationConfig) -> Result<Vec<PathBuf>> {
    let dir = cfg.out.join("tasks");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let write = |(index, part): (usize, &configs::EvalTasks)| {
        let path = dir.join(format!("part-{index}.yaml"));
        let yaml = configs::Checked::new(part.clone())?.to_yaml()?;
        replace_file(&path, yaml.as_bytes())?;
        Ok(path)
    };
    cfg.evaluate.parts.iter().enumerate().map(write).collect()
}

fn design(cfg: &AblationConfig) -> Design {
    let removal = |removal: &configs::ablation::Removal| ReportedRemoval {
        factor: removal.factor.clone(),
        changes: removal.changes.clone(),
    };
    Design {
        name: cfg.name.clone(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        arms: cfg.arms.iter().map(arm_design).collect(),
        seeds: cfg.seeds.clone(),
        reference: cfg.reference.clone(),
        metrics: cfg.metrics.clone(),
        reported: cfg.reported.as_ref().map(|reported| ReportedEffects {
            source: reported.source.clone(),
            removals: reported.removals.iter().map(removal).collect(),
        }),
    }
}

fn arm_design(arm: &Arm) -> ArmDesign {
    let columns = [("image", &arm.columns.image), ("captions", &arm.columns.captions)];
    let columns = columns
        .iter()
        .filter_map(|(role, column)| Some(format!("measured with {role}={}", column.as_deref()?)));
    ArmDesign {
        name: arm.name.clone(),
        factors: arm.factors.clone(),
        settings: arm.set.iter().cloned().chain(columns).collect(),
    }
}
