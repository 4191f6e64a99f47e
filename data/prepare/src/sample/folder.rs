//! The sample's folder on disk: recognised when complete, refused when it is something else, and
//! put in its place in one step.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{CATALOGUE, GENERATOR_VERSION, QRELS, QUERIES, SampleSpec, SampleSummary};
use crate::PrepareError;

const MARKER: &str = "sample.json";

/// Whether there is work to do.
pub(super) enum Start {
    /// The sample is there already.
    Complete(SampleSummary),
    /// It is to be written into this folder.
    Fresh(Partial),
}

/// A locked folder beside the final one, being filled.
pub(super) struct Partial {
    path: PathBuf,
    /// Held until the folder is published, so that no second process writes into it.
    lock: File,
}

/// Looks at `out`, and makes an empty folder beside it to write into if there is work.
pub(super) fn start(out: &Path, spec: &SampleSpec) -> Result<Start, PrepareError> {
    if let Some(summary) = existing(out, spec)? {
        return Ok(Start::Complete(summary));
    }
    let partial = partial_path(out)?;
    fs::create_dir_all(&partial).map_err(PrepareError::io("create", &partial))?;
    let lock = File::open(&partial).map_err(PrepareError::io("open", &partial))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            return Err(PrepareError::Busy { path: out.to_path_buf(), partial });
        }
        // Some network disks cannot lock; then only the user can see to it.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    // Another process may have published it between the look and the lock.
    if let Some(summary) = existing(out, spec)? {
        return Ok(Start::Complete(summary));
    }
    empty(&partial)?;
    Ok(Start::Fresh(Partial { path: partial, lock }))
}

impl Partial {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the README and the marker, and renames the folder to `out`.
    pub(super) fn publish(self, out: &Path, summary: &SampleSummary) -> Result<(), PrepareError> {
        let write = |name: &str, text: String| {
            let path = self.path.join(name);
            fs::write(&path, text)
                .and_then(|()| File::open(&path)?.sync_all())
                .map_err(PrepareError::io("write", &path))
        };
        write("README.md", readme(summary))?;
        let json = serde_json::to_string_pretty(summary)
            .map_err(io::Error::from)
            .map_err(PrepareError::io("write", &self.path.join(MARKER)))?;
        write(MARKER, json + "\n")?;
        fs::rename(&self.path, out).map_err(PrepareError::io("rename to its place", out))?;
        drop(self.lock);
        Ok(())
    }
}

/// `.NAME.partial` beside `out`: on the same disk, so that it can be renamed.
fn partial_path(out: &Path) -> Result<PathBuf, PrepareError> {
    let whole = std::path::absolute(out).map_err(PrepareError::io("find", out))?;
    let name = whole.file_name().ok_or_else(|| PrepareError::Occupied {
        path: out.to_path_buf(),
        found: "the root of a disk".to_owned(),
    })?;
    Ok(whole.with_file_name(format!(".{}.partial", name.to_string_lossy())))
}

/// Removes what an interrupted call left in `folder`, which this process has locked.
fn empty(folder: &Path) -> Result<(), PrepareError> {
    for entry in fs::read_dir(folder).map_err(PrepareError::io("list", folder))? {
        let path = entry.map_err(PrepareError::io("list", folder))?.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(PrepareError::io("remove", &path))?;
    }
    Ok(())
}

/// The sample that `out` holds, if it is complete and of `spec`; none when `out` is free.
fn existing(out: &Path, spec: &SampleSpec) -> Result<Option<SampleSummary>, PrepareError> {
    let occupied = |found| Err(PrepareError::Occupied { path: out.to_path_buf(), found });
    let mut names = Vec::new();
    match fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return occupied("a file of that name".to_owned());
        }
        Err(error) => return Err(PrepareError::io("list", out)(error)),
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(PrepareError::io("list", out))?;
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    let Some(first) = names.first() else { return Ok(None) };
    if !names.iter().any(|name| name == MARKER) {
        return occupied(format!(
            "{} other files or folders (the first is `{first}`)",
            names.len()
        ));
    }
    let marker = out.join(MARKER);
    let text = fs::read_to_string(&marker).map_err(PrepareError::io("read", &marker))?;
    let summary: SampleSummary = match serde_json::from_str(&text) {
        Ok(summary) => summary,
        Err(error) => {
            return occupied(format!("a sample whose `{MARKER}` is unreadable ({error})"));
        }
    };
    if summary.spec != *spec || summary.generator != GENERATOR_VERSION {
        let SampleSpec { products, seed } = summary.spec;
        return occupied(format!(
            "another sample ({products} products, seed {seed}, generator {}; wanted: {} products, \
             seed {}, generator {GENERATOR_VERSION})",
            summary.generator, spec.products, spec.seed
        ));
    }
    match damage(out, &summary) {
        Some(problem) => occupied(format!("a damaged sample ({problem})")),
        None => Ok(Some(summary)),
    }
}

/// The first file of the sample that is not as it was written, by size.
fn damage(out: &Path, summary: &SampleSummary) -> Option<String> {
    let catalogue = [(CATALOGUE, Some(summary.bytes))];
    let others = [QUERIES, QRELS, "tokenizer.json", "README.md"].map(|name| (name, None));
    catalogue.into_iter().chain(others).find_map(|(name, expected)| {
        match fs::metadata(out.join(name)) {
            Err(error) => Some(format!("`{name}`: {error}")),
            Ok(meta) if expected.is_none() && meta.len() == 0 => Some(format!("`{name}` is empty")),
            Ok(meta) => expected
                .filter(|&bytes| bytes != meta.len())
                .map(|bytes| format!("`{name}` has {} bytes, not {bytes}", meta.len())),
        }
    })
}

fn readme(summary: &SampleSummary) -> String {
    include_str!("folder_readme.md")
        .replace("{products}", &summary.spec.products.to_string())
        .replace("{seed}", &summary.spec.seed.to_string())
        .replace("{vocab_size}", &summary.vocab_size.to_string())
}
