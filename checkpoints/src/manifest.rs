//! `MANIFEST.json`: what a complete checkpoint folder consists of, and the check that it does.

use crate::atomic::{replace_file, sync_folder};
use crate::error::At;
use crate::{CheckpointError, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the manifest within a checkpoint folder.
pub const MANIFEST: &str = "MANIFEST.json";
const VERSION: u32 = 1;

/// The files of a checkpoint folder; written last, so that its presence means completeness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 1.
    pub version: u32,
    /// What the writer wants to say of the checkpoint; `step` at least.
    pub meta: serde_json::Map<String, serde_json::Value>,
    /// Every file but the manifest, by its path within the folder, with `/` between folders.
    pub files: BTreeMap<String, FileEntry>,
}

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// Syncs every file of `folder`, then writes and syncs its manifest.
pub(crate) fn seal(
    folder: &Path,
    meta: serde_json::Map<String, serde_json::Value>,
) -> Result<Manifest> {
    let mut files = BTreeMap::new();
    list(folder, "", &mut files)?;
    files.remove(MANIFEST);
    let manifest = Manifest { version: VERSION, meta, files };
    let path = folder.join(MANIFEST);
    let mut json = serde_json::to_vec_pretty(&manifest)
        .map_err(|e| CheckpointError::io("write", &path, e.into()))?;
    json.push(b'\n');
    replace_file(&path, &json)?;
    Ok(manifest)
}

/// Syncs and measures everything below `folder`.
fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, FileEntry>) -> Result<()> {
    for entry in fs::read_dir(folder).at("read", folder)? {
        let entry = entry.at("read", folder)?;
        let (path, kind) = (entry.path(), entry.file_type().at("read", &entry.path())?);
        let refuse = |reason| CheckpointError::NotAFile { path: path.clone(), reason };
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| refuse("its name is not UTF-8"))?;
        if kind.is_dir() {
            list(&path, &format!("{prefix}{name}/"), files)?;
        } else if kind.is_file() {
            File::open(&path).and_then(|f| f.sync_all()).at("sync", &path)?;
            files.insert(format!("{prefix}{name}"), measure(&path)?);
        } else {
            return Err(refuse("it is a link or a device"));
        }
    }
    sync_folder(folder)
}

/// Size and digest of a file, read in pieces.
///
/// # Errors
/// When the file cannot be read.
pub fn measure(path: &Path) -> Result<FileEntry> {
    let mut file = File::open(path).at("read", path)?;
    let (mut digest, mut size) = (Sha256::new(), 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut piece).at("read", path)?;
        let Some(read) = piece.get(..n).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        size += n as u64;
    }
    let mut sha256 = String::with_capacity(64);
    for byte in digest.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(FileEntry { size, sha256 })
}

/// Checks that the checkpoint `folder` is complete and undamaged, reading every file.
///
/// # Errors
/// [`CheckpointError::Refused`] with the reason: no folder, no manifest or a damaged one, a file
/// missing, of another size or of other content; or a failure to read.
pub fn verify(folder: &Path) -> Result<Manifest> {
    let refuse = |reason: String| CheckpointError::Refused { path: folder.to_owned(), reason };
    if !folder.is_dir() {
        return Err(refuse("it is not a folder".into()));
    }
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return Err(refuse(format!(
            "{MANIFEST} is missing, which is written last: the save was cut short"
        )));
    }
    let json = fs::read(&path).at("read", &path)?;
    let manifest: Manifest =
        serde_json::from_slice(&json).map_err(|e| refuse(format!("{MANIFEST} is damaged: {e}")))?;
    if manifest.version != VERSION {
        let found = manifest.version;
        return Err(refuse(format!("{MANIFEST} has version {found}, expected {VERSION}")));
    }
    // Sizes first: a file cut short is found without reading gigabytes.
    for (name, expected) in &manifest.files {
        let path = inside(folder, name).ok_or_else(|| {
            refuse(format!("{MANIFEST} is damaged: it lists {name:?}, outside of the folder"))
        })?;
        let found = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => return Err(refuse(format!("file `{name}` is missing"))),
        };
        if found != expected.size {
            return Err(refuse(format!(
                "file `{name}` has {found} bytes, {MANIFEST} says {}",
                expected.size
            )));
        }
    }
    for (name, expected) in &manifest.files {
        let found = measure(&folder.join(name))?;
        if found != *expected {
            return Err(refuse(format!(
                "file `{name}` is damaged: its sha256 is {}, {MANIFEST} says {}",
                found.sha256, expected.sha256
            )));
        }
    }
    Ok(manifest)
}

/// `folder/name`, unless `name` leads out of it.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    use std::path::Component::Normal;
    let plain = !name.is_empty() && Path::new(name).components().all(|c| matches!(c, Normal(_)));
    plain.then(|| folder.join(name))
}
