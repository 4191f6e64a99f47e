//! Where a run starts: afresh, or from a checkpoint of its folder.

use crate::snapshot;
use anyhow::{Context, Result, bail, ensure};
use checkpoints::RunFolder;
use configs::RunConfig;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the user asked for with `--resume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Go on from the newest valid checkpoint of the run's folder, if there is one.
    Auto,
    /// Start afresh; a folder that holds checkpoints is refused, not overwritten.
    Never,
    /// Go on from this step folder.
    From(PathBuf),
}

impl FromStr for Resume {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            dir => Self::From(dir.into()),
        })
    }
}

/// The step folder to start from, `None` to start afresh. `say` hears of checkpoints that were
/// passed over.
///
/// # Errors
/// When the folder holds a run that this one would overwrite or contradict, or the given
/// checkpoint is damaged.
pub fn starting_point(
    folder: &RunFolder,
    cfg: &RunConfig,
    resume: &Resume,
    say: &dyn Fn(&str),
) -> Result<Option<PathBuf>> {
    match resume {
        Resume::From(dir) => {
            checkpoints::verify(dir)?;
            let step = snapshot::progress(dir)?.step;
            let newest = folder.steps()?.last().copied().unwrap_or(0);
            ensure!(
                newest <= step,
                "`{}` holds checkpoints up to step {newest}, later than `{}`: going on from there \
                 would mix two runs. Choose another `name`, or move the later ones away",
                folder.path().display(),
                dir.display()
            );
            Ok(Some(dir.clone()))
        }
        Resume::Never => {
            ensure!(
                folder.steps()?.is_empty(),
                "`{}` already holds checkpoints and --resume never would overwrite them: choose \
                 another `name`, or move the folder away",
                folder.path().display()
            );
            Ok(None)
        }
        Resume::Auto => {
            let (newest, rejected) = folder.newest_valid()?;
            for (dir, reason) in &rejected {
                say(&format!("passed over `{}`: {reason}", dir.display()));
            }
            if newest.is_none() && !rejected.is_empty() {
                bail!(
                    "`{}` holds no valid checkpoint to go on from: choose another `name`, or move \
                     the folder away to start afresh",
                    folder.path().display()
                );
            }
            if newest.is_some() {
                same_run(&folder.path().join("config.yaml"), cfg)?;
            }
            Ok(newest)
        }
    }
}

/// Refuses to go on with a run whose weights or order of samples would not be the ones that it
/// started with. Everything else may change: longer training, another cadence, another device.
fn same_run(stored: &Path, cfg: &RunConfig) -> Result<()> {
    let before = RunConfig::load(stored, &[])
        .with_context(|| format!("the stored configuration `{}`", stored.display()))?;
    let mut changed = Vec::new();
    let mut compare = |key: &str, same: bool| {
        if !same {
            changed.push(format!("`{key}`"));
        }
    };
    compare("seed", before.seed == cfg.seed);
    compare("model.init", before.model.init == cfg.model.init);
    compare("model.freeze", before.model.freeze == cfg.model.freeze);
    compare("loss.kind", before.loss.kind == cfg.loss.kind);
    compare("batch.size", before.batch.size == cfg.batch.size);
    compare("data.train", before.data.train == cfg.data.train);
    compare("data.columns", before.data.columns == cfg.data.columns);
    compare("data.text", before.data.text == cfg.data.text);
    compare("data.augment", before.data.augment == cfg.data.augment);
    compare("data.shuffle", before.data.shuffle == cfg.data.shuffle);
    ensure!(
        changed.is_empty(),
        "`{}` belongs to a run with another {}: restore it there, or choose another `name` for \
         this run",
        stored.display(),
        changed.join(", ")
    );
    Ok(())
}
