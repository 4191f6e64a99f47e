//! The folders of a run: unfinished work, finished shards, and who may use them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use configs::prepare::Output;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::identity::Identity;
use crate::PrepareError;

/// What finished output is recognised by; written last.
pub(super) const INDEX: &str = "index.json";

/// The folder of unfinished work, locked by this process.
pub(super) struct Work {
    path: PathBuf,
    /// Held as long as the process works in it.
    _lock: File,
}

impl Work {
    /// Opens the folder of `output`, or makes it.
    ///
    /// # Errors
    /// Another process has it, it holds the work of another run, or the disk fails.
    pub fn open(output: &Output, identity: &Identity) -> Result<Self, PrepareError> {
        let path = folder(output)?;
        fs::create_dir_all(&path).map_err(PrepareError::io("create", &path))?;
        let lock = File::open(&path).map_err(PrepareError::io("open", &path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(PrepareError::Locked { path });
            }
            // Some network disks cannot lock; then only the user can see to it.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let work = Self { path, _lock: lock };
        match work.read::<Identity>("run.json")? {
            Some(before) => identity.check(&before, &work.path)?,
            None => work.write("run.json", identity)?,
        }
        Ok(work)
    }

    /// The path of `name` in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a JSON file of it, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, PrepareError> {
        read_json(&self.path(name))
    }

    /// Writes a JSON file of it, whole or not at all.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<(), PrepareError> {
        let text = to_json(value)?;
        let (path, partial) = (self.path(name), self.path(&format!(".{name}.partial")));
        fs::write(&partial, text)
            .and_then(|()| File::open(&partial)?.sync_all())
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(PrepareError::io("write", &path))
    }

    /// Removes what a finished run needs no more; the agent's answers stay, for they were paid.
    ///
    /// # Errors
    /// The disk fails.
    pub fn clear(self) -> Result<(), PrepareError> {
        for entry in fs::read_dir(&self.path).map_err(PrepareError::io("list", &self.path))? {
            let entry = entry.map_err(PrepareError::io("list", &self.path))?;
            let path = entry.path();
            if entry.file_name() == ANSWERS {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(PrepareError::io("remove", &path))?;
        }
        // Not empty where there are answers.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }
}

/// The file of finished products.
pub(super) const JOURNAL: &str = "rows.journal";
/// The folder of the agent's answers.
pub(super) const ANSWERS: &str = "answers";

/// Whether `dir` is a URL of an object store.
pub(super) fn is_url(dir: &str) -> bool {
    dir.contains("://")
}

/// Where unfinished work goes: `output.work_dir`, or `.NAME.work` beside the output, for a URL in
/// the current folder.
fn folder(output: &Output) -> Result<PathBuf, PrepareError> {
    if let Some(folder) = &output.work_dir {
        return Ok(folder.clone());
    }
    if is_url(&output.dir) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = output.dir.chars().map(plain).collect();
        return Ok(PathBuf::from(format!(".{name}.work")));
    }
    beside(Path::new(&output.dir), "work")
}

/// `.NAME.KIND` beside `out`.
pub(super) fn beside(out: &Path, kind: &str) -> Result<PathBuf, PrepareError> {
    let whole = std::path::absolute(out).map_err(PrepareError::io("find", out))?;
    let name = whole.file_name().ok_or_else(|| PrepareError::Occupied {
        path: out.to_path_buf(),
        found: "the root of a disk".to_owned(),
    })?;
    Ok(whole.with_file_name(format!(".{}.{kind}", name.to_string_lossy())))
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, PrepareError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| PrepareError::Internal(error.to_string()))
}

/// Reads a JSON file, if it is there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, PrepareError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PrepareError::io("read", path)(error)),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| PrepareError::Journal { path: path.to_owned(), reason: error.to_string() })
}
