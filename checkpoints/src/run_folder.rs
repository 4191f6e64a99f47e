//! A run's folder: its steps, which is the latest and which the best, and what may go.

use crate::atomic::{hidden, replace_file, sync_folder};
use crate::error::At;
use crate::manifest::{seal, verify};
use crate::{CheckpointError, Result};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";
const TEMPORARY: &str = "tmp";
/// A step folder that is being replaced: back in its place unless the new one got there.
const REPLACED: &str = "old";
/// A step folder on its way out.
const REMOVED: &str = "gone";

/// A checkpoint folder that may not be used, and why.
pub type Rejected = (PathBuf, CheckpointError);

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held by the trainer for as long as it lives; the system lets go of it when a process dies.
    _lock: Option<File>,
}

/// `step-00000500` for 500.
pub fn step_name(step: u64) -> String {
    format!("step-{step:08}")
}

/// 500 for `step-00000500`; nothing for any other name.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (step_name(step) == name).then_some(step)
}

impl RunFolder {
    /// Opens the run `name` below `dir` for training, making the folders that are missing. Leftovers
    /// of a save that a crash cut short are removed, and a step that was being replaced then is put
    /// back. One process at a time; in a distributed run the leader alone.
    ///
    /// # Errors
    /// `name` is no plain folder name; another process trains in this folder; or the file system
    /// refuses.
    pub fn create(dir: &Path, name: &str) -> Result<Self> {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        if !plain {
            return Err(CheckpointError::BadName { name: name.to_owned() });
        }
        let path = dir.join(name);
        fs::create_dir_all(&path).at("create", &path)?;
        let lock = lock(&path)?;
        let run = Self { path, _lock: Some(lock) };
        run.sweep()?;
        Ok(run)
    }

    /// Opens an existing run folder for reading, whether or not a process trains in it.
    ///
    /// # Errors
    /// `path` is not a folder.
    pub fn open(path: &Path) -> Result<Self> {
        fs::read_dir(path).at("read", path)?;
        Ok(Self { path: path.to_owned(), _lock: None })
    }

    /// Where the run lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the checkpoint of `step` lies, or would.
    pub fn step_path(&self, step: u64) -> PathBuf {
        self.path.join(step_name(step))
    }

    /// Saves a checkpoint: `write` fills an empty folder, which then becomes `step-XXXXXXXX` and
    /// `latest`. An earlier checkpoint of the same step is replaced.
    ///
    /// # Errors
    /// What `write` returns, or why the file system refuses. Every checkpoint of another step is
    /// then as before. Up to the rename to `step-XXXXXXXX` so is one of this step, and the folder
    /// that `write` filled is removed. An error after it (syncing, removing the checkpoint that was
    /// replaced, writing `latest`) leaves the new checkpoint in its place, whole, while `latest` may
    /// still name the one before.
    pub fn save_step<E: From<CheckpointError>>(
        &self,
        step: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        self.save_step_with(step, serde_json::Map::new(), write)
    }

    /// As [`RunFolder::save_step`], with more to say in the manifest's `meta` than `step`.
    ///
    /// # Errors
    /// As [`RunFolder::save_step`].
    pub fn save_step_with<E: From<CheckpointError>>(
        &self,
        step: u64,
        mut meta: serde_json::Map<String, serde_json::Value>,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        meta.insert("step".into(), step.into());
        let target = self.step_path(step);
        let temporary = hidden(&target, TEMPORARY)?;
        remove(&temporary)?;
        fs::create_dir(&temporary).at("create", &temporary)?;
        let filled = write(&temporary)
            .and_then(|()| seal(&temporary, meta).map_err(E::from))
            .and_then(|_| self.put(&temporary, &target).map_err(E::from));
        if let Err(error) = filled {
            // The error that matters is at hand; the next `create` tries again.
            let _ = remove(&temporary);
            return Err(error);
        }
        self.point("latest", step)?;
        Ok(target)
    }

    /// Renames a sealed folder to its place.
    fn put(&self, temporary: &Path, target: &Path) -> Result<()> {
        let replaced = hidden(target, REPLACED)?;
        remove(&replaced)?;
        let had_one = match fs::rename(target, &replaced) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(CheckpointError::io("replace", target, error)),
        };
        if let Err(error) = fs::rename(temporary, target) {
            if had_one {
                let _ = fs::rename(&replaced, target);
            }
            return Err(CheckpointError::io("write", target, error));
        }
        sync_folder(&self.path)?;
        remove(&replaced)
    }

    /// Removes what a crash left behind.
    fn sweep(&self) -> Result<()> {
        for name in self.names()? {
            let path = self.path.join(&name);
            let Some((of, mark)) = name.strip_prefix('.').and_then(|n| n.rsplit_once('.')) else {
                continue;
            };
            let target = self.path.join(of);
            let of_step = step_of(of).is_some();
            match mark {
                REPLACED if of_step && !target.exists() => {
                    fs::rename(&path, &target).at("restore", &target)?;
                }
                TEMPORARY | REPLACED | REMOVED if of_step => remove(&path)?,
                // `replace_file` was cut short. A folder of such a name is someone else's.
                TEMPORARY if fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) => {
                    remove(&path)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).at("read", &self.path)?;
        let names: std::io::Result<Vec<_>> = entries.map(|e| Ok(e?.file_name())).collect();
        let names = names.at("read", &self.path)?;
        Ok(names.into_iter().filter_map(|n| n.into_string().ok()).collect())
    }

    /// Steps that have a folder, valid or not, in ascending order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = self.names()?.iter().filter_map(|n| step_of(n)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest checkpoint whose manifest holds, and the newer ones that were refused with the
    /// reason of each, newest first.
    ///
    /// # Errors
    /// The run's folder itself cannot be read.
    pub fn newest_valid(&self) -> Result<(Option<PathBuf>, Vec<Rejected>)> {
        let mut rejected = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            let path = self.step_path(step);
            match verify(&path) {
                Ok(_) => return Ok((Some(path), rejected)),
                Err(reason) => rejected.push((path, reason)),
            }
        }
        Ok((None, rejected))
    }

    /// Marks the checkpoint of `step` as the best so far.
    ///
    /// # Errors
    /// There is no such checkpoint, or the mark cannot be written.
    pub fn mark_best(&self, step: u64) -> Result<()> {
        let path = self.step_path(step);
        if !path.is_dir() {
            return Err(CheckpointError::NoStep { path });
        }
        self.point("best", step)
    }

    /// The step marked as the best; none so far is `None`.
    ///
    /// # Errors
    /// The mark cannot be read or names no step.
    pub fn best(&self) -> Result<Option<u64>> {
        self.pointed("best")
    }

    /// The step saved last; none so far is `None`. It says nothing of whether the checkpoint is
    /// sound: use [`RunFolder::newest_valid`] to load one.
    ///
    /// # Errors
    /// The mark cannot be read or names no step.
    pub fn latest(&self) -> Result<Option<u64>> {
        self.pointed("latest")
    }

    fn point(&self, mark: &str, step: u64) -> Result<()> {
        replace_file(&self.path.join(mark), format!("{}\n", step_name(step)).as_bytes())
    }

    fn pointed(&self, mark: &str) -> Result<Option<u64>> {
        let path = self.path.join(mark);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.at("read", &path)?,
        };
        let found = String::from_utf8_lossy(&text).trim().to_owned();
        match step_of(&found) {
            Some(step) => Ok(Some(step)),
            None => Err(CheckpointError::BadPointer { path, found }),
        }
    }

    /// Removes all checkpoints but the newest `keep` and the best, and returns the steps removed.
    /// The newest is the one saved last ([`RunFolder::latest`]), which is never removed, whatever
    /// `keep` says. Steps above it are neither counted nor removed: the run was resumed from
    /// before them, so they are damaged or of a course that was left, and it will replace them.
    ///
    /// # Errors
    /// A folder cannot be read or removed; a mark names no step.
    pub fn prune(&self, keep: usize) -> Result<Vec<u64>> {
        let (mut steps, best) = (self.steps()?, self.best()?);
        let newest = self.latest()?.unwrap_or(u64::MAX);
        steps.retain(|step| *step <= newest);
        let (old, _) = steps.split_at(steps.len().saturating_sub(keep.max(1)));
        let mut gone = Vec::new();
        for step in old.iter().copied().filter(|step| Some(*step) != best) {
            let path = self.step_path(step);
            // Renamed first: a folder half removed must not look like a checkpoint.
            let hidden = hidden(&path, REMOVED)?;
            remove(&hidden)?;
            fs::rename(&path, &hidden).at("remove", &path)?;
            remove(&hidden)?;
            gone.push(step);
        }
        Ok(gone)
    }
}

/// Takes the lock of a run folder. File systems without locks are trusted.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = File::create(&path).at("write", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CheckpointError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(CheckpointError::io("lock", &path, error)),
    }
}

/// Removes a file or a folder with all it holds; nothing there is fine.
fn remove(path: &Path) -> Result<()> {
    let done = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(CheckpointError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
