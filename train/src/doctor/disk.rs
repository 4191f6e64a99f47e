//! What a run writes: its folder with checkpoints, and the cache of remote shards.

use super::{Findings, Level, size};
use crate::resume::{Resume, starting_point};
use crate::snapshot;
use anyhow::{Context, Result};
use checkpoints::RunFolder;
use configs::RunConfig;
use std::path::{Path, PathBuf};

/// Checks both folders. `checkpoint_bytes` is the size of one checkpoint, where it is known.
pub(super) fn check(cfg: &RunConfig, checkpoint_bytes: Option<u64>, all: &mut Findings) {
    let folder = cfg.checkpoint.dir.join(&cfg.name);
    let old = if folder.is_dir() { former_run(cfg, all) } else { 0 };
    if let Some((place, free)) = all.expect("checkpoint", room(&folder)) {
        checkpoints(cfg, &folder, &place, free, old, checkpoint_bytes, all);
    }
    let Some(cache) = &cfg.data.cache else { return };
    if let Some((place, free)) = all.expect("data.cache", room(&cache.dir)) {
        let max = (cache.max_gb * 1e9) as u64;
        let left = max.saturating_sub(held(&cache.dir));
        let line =
            format!("{}: {} free, it may grow by {}", place.display(), size(free), size(left));
        match free < left {
            true => all.warn("data.cache", format!("{line}: lower data.cache.max_gb")),
            false => all.ok("data.cache", line),
        }
    }
}

/// Says what a run that is there already does to a new start; gives its number of checkpoints.
fn former_run(cfg: &RunConfig, all: &mut Findings) -> u64 {
    let mut passed_over = Vec::new();
    let looked = RunFolder::create(&cfg.checkpoint.dir, &cfg.name).map_err(Into::into);
    let found = looked.and_then(|folder| {
        let say = std::cell::RefCell::new(&mut passed_over);
        let from = starting_point(&folder, cfg, &Resume::Auto, &|line| {
            say.borrow_mut().push(line.into())
        })?;
        let step = from.map(|dir| snapshot::progress(&dir)).transpose()?.map(|at| at.step);
        Ok::<_, anyhow::Error>((folder.steps()?.len() as u64, step))
    });
    passed_over.into_iter().for_each(|line: String| all.warn("resume", line));
    let Some((old, step)) = all.expect("resume", found) else { return 0 };
    if let Some(step) = step {
        all.ok("resume", format!("the run goes on from step {step}"));
    }
    old
}

/// Compares the checkpoints that a run has at once with what is free.
fn checkpoints(
    cfg: &RunConfig,
    folder: &Path,
    place: &Path,
    free: u64,
    old: u64,
    each: Option<u64>,
    all: &mut Findings,
) {
    let at = format!("{}: {} free in `{}`", folder.display(), size(free), place.display());
    let Some(each) = each else {
        all.ok("checkpoint", at);
        return;
    };
    // The one that is being written comes before the oldest goes; the best stays beside the newest.
    let most = cfg.checkpoint.keep as u64 + 1 + u64::from(cfg.eval.is_some());
    let needed = most.saturating_sub(old).saturating_mul(each);
    let line = format!("{at}; {most} checkpoints of {} are there at most", size(each));
    let line = match old {
        0 => line,
        old => format!("{line}, {old} of them already"),
    };
    let (level, advice) = match () {
        () if free < each => (Level::Failure, ": not even one fits; free space"),
        () if free < needed => (Level::Warning, ": they do not fit; free space"),
        () => (Level::Ok, ""),
    };
    let advice = match level {
        Level::Ok => String::new(),
        _ => format!("{advice}, lower checkpoint.keep, or choose another checkpoint.dir"),
    };
    all.add("checkpoint", level, line + &advice);
}

/// The folder below which `folder` lies or can be made, in which a file was written, and the bytes
/// that are free there.
fn room(folder: &Path) -> Result<(PathBuf, u64)> {
    let start = std::path::absolute(folder)?;
    let place = start.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    tempfile::tempfile_in(place)
        .with_context(|| format!("cannot write into `{}`", place.display()))?;
    let free = process::free_disk(place)
        .with_context(|| format!("cannot tell what is free in `{}`", place.display()))?;
    Ok((place.to_owned(), free))
}

/// Bytes of all files in a folder and below. What cannot be read counts nothing.
fn held(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => held(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
