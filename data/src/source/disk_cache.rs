//! Blocks of objects kept on a disk, so that an epoch does not fetch again what the last one did.
//!
//! Any number of processes and runs may share a folder. A block is a file of its own, named by the
//! object's URL, its version and the block's place, and written whole before it gets that name. Its
//! last four bytes are a checksum: what a crash or a full disk left behind counts as absent. When
//! the folder outgrows its limit, one process at a time removes what was used longest ago.

use super::object::Object;
use crate::DataError;
use std::collections::hash_map::DefaultHasher;
use std::fs::{File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// After a sweep the folder is this part of its limit.
const SWEPT: f64 = 0.9;

/// A folder of blocks.
#[derive(Debug)]
pub(crate) struct DiskCache {
    folder: PathBuf,
    max_bytes: u64,
    /// Bytes that this process has added since it last looked at the whole folder.
    added: AtomicU64,
    names: AtomicU64,
    broken: AtomicBool,
}

impl DiskCache {
    /// Uses `folder`, made if need be, for up to `max_bytes`.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(io)?;
        Ok(Self {
            folder: folder.into(),
            max_bytes,
            // The first block finds out what other runs have left.
            added: AtomicU64::new(max_bytes),
            names: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        })
    }

    /// A block, if it is there and whole.
    pub fn find(&self, object: &Object, block: &Range<u64>) -> Option<Vec<u8>> {
        let path = self.path(object, block);
        let mut bytes = std::fs::read(&path).ok()?;
        let (content, sum) = bytes.split_last_chunk::<4>()?;
        let whole = content.len() as u64 == block.end - block.start
            && crc32fast::hash(content) == u32::from_le_bytes(*sum);
        if !whole {
            let _ = std::fs::remove_file(&path);
            return None;
        }
        bytes.truncate(bytes.len() - 4);
        // What was read lately is kept; a file system that cannot note it only sweeps worse.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Whether a block is there.
    pub fn has(&self, object: &Object, block: &Range<u64>) -> bool {
        self.path(object, block).exists()
    }

    /// Keeps a block. A disk that takes no more is no error: the run goes on without.
    pub fn keep(&self, object: &Object, block: &Range<u64>, bytes: &[u8]) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        let path = self.path(object, block);
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let partial = self.folder.join(format!(".{}-{number}", std::process::id()));
        let written = (|| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = File::create(&partial)?;
            file.write_all(bytes)?;
            file.write_all(&crc32fast::hash(bytes).to_le_bytes())?;
            drop(file);
            std::fs::rename(&partial, &path)
        })();
        if let Err(error) = written {
            let _ = std::fs::remove_file(&partial);
            if !self.broken.swap(true, Ordering::Relaxed) {
                let folder = self.folder.display();
                eprintln!("warning: `{folder}` keeps no more blocks: {error}");
            }
            return;
        }
        let length = bytes.len() as u64 + 4;
        if self.added.fetch_add(length, Ordering::Relaxed) + length > self.max_bytes / 64 {
            self.added.store(0, Ordering::Relaxed);
            self.sweep();
        }
    }

    /// Brings the folder below its limit, unless another process is at it.
    fn sweep(&self) {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join(".lock"));
        let Ok(lock) = lock else { return };
        if lock.try_lock().is_err() {
            return;
        }
        let mut blocks = Vec::new();
        for folder in entries(&self.folder) {
            if folder.path().is_dir() {
                blocks.extend(entries(&folder.path()).filter_map(|entry| {
                    let metadata = entry.metadata().ok()?;
                    Some((metadata.modified().ok()?, metadata.len(), entry.path()))
                }));
            }
        }
        let mut total: u64 = blocks.iter().map(|(_, length, _)| length).sum();
        if total <= self.max_bytes {
            return;
        }
        blocks.sort();
        for (_, length, path) in blocks {
            if total as f64 <= self.max_bytes as f64 * SWEPT {
                break;
            }
            if std::fs::remove_file(&path).is_ok() {
                total -= length;
            }
        }
    }

    fn path(&self, object: &Object, block: &Range<u64>) -> PathBuf {
        // 128 bits, so that no two blocks share a file. The hash may change with the compiler; then
        // old blocks are not found and fall to the next sweep.
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &object.path, &object.version, object.size, block.start).hash(&mut hasher);
            hasher.finish()
        };
        let name = format!("{:016x}{:016x}", half(0), half(1));
        self.folder.join(&name[..2]).join(name)
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}
