//! Files that are replaced whole or not at all, and synced to disk.

use crate::error::At;
use crate::{CheckpointError, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes`: written beside it, synced, renamed. A crash leaves the old file or
/// the new one. Its folder must exist.
///
/// # Errors
/// The disk is full, rights are missing, or another failure of the file system; the old file is
/// then untouched.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = hidden(path, "tmp")?;
    let done = write_synced(&temporary, path, bytes)
        .and_then(|()| fs::rename(&temporary, path).at("write", path));
    if done.is_err() {
        // Whatever is left of it is of no use; the error that matters is at hand already.
        let _ = fs::remove_file(&temporary);
    }
    done?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes `bytes` to `at` and syncs them; errors name `path`, the file it is to become.
fn write_synced(at: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(at).at("write", path)?;
    file.write_all(bytes).at("write", path)?;
    file.sync_all().at("write", path)
}

/// Makes the names within `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|f| f.sync_all()).at("sync", folder)
}

/// `dir/name` -> `dir/.name.<mark>`.
pub(crate) fn hidden(path: &Path, mark: &str) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(CheckpointError::io("write", path, std::io::ErrorKind::InvalidFilename.into()));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(mark);
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        replace_file(&path, b"old").unwrap();
        // The temporary name leads to a device that is always full.
        std::os::unix::fs::symlink("/dev/full", dir.path().join(".config.yaml.tmp")).unwrap();
        let error = replace_file(&path, b"new").unwrap_err().to_string();
        let start = format!("no space left on device while writing `{}`: ", path.display());
        assert!(error.starts_with(&start), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let error = replace_file(&path.join("below/a/file"), b"x").unwrap_err().to_string();
        assert!(error.starts_with("cannot write `") && error.contains("below/a/file`"), "{error}");
    }
}
