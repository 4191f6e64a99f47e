//! The files of a catalogue: found in a stable order, with the version that was found.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use configs::prepare::Catalogue;
use data::DataError;
use data::source::{self, Access, Handle, Object};
use serde::{Deserialize, Serialize};

use super::format::{self, Kind};
use super::image_ref::Base;
use crate::PrepareError;

/// One file of a catalogue, as it was when it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its path or URL.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// What tells this version from another: an entity tag, or when it was written.
    pub version: String,
}

/// A file of the catalogue, its kind known.
#[derive(Debug)]
pub(super) struct CatalogueFile {
    object: Object,
    pub kind: Kind,
    pub base: Base,
}

impl CatalogueFile {
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.object.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.object.size
    }

    pub(super) fn is_remote(&self) -> bool {
        self.object.is_remote()
    }

    /// Whether rows are named by their line.
    pub(super) fn has_lines(&self) -> bool {
        self.kind != Kind::Parquet
    }

    pub(super) fn stamp(&self) -> FileStamp {
        FileStamp {
            path: self.object.path.display().to_string(),
            bytes: self.object.size,
            version: self.object.version.clone(),
        }
    }

    pub(super) fn open(&self) -> Result<Handle, PrepareError> {
        open(&self.object)
    }

    /// What is wrong with the file as a whole.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> PrepareError {
        PrepareError::Catalogue { path: self.path().to_path_buf(), reason: reason.into() }
    }
}

fn open(object: &Object) -> Result<Handle, PrepareError> {
    object.open(&Access::default()).map_err(said)
}

/// What the configuration names, sorted by path and each once.
pub(super) fn find(config: &Catalogue) -> Result<Vec<CatalogueFile>, PrepareError> {
    let objects = source::find(&config.paths.0).map_err(said)?;
    let file = |object: Object| {
        let kind = format::of(&object.path, open(&object)?, config)?;
        let base = Base::new(config.image_root.as_deref(), &object.path);
        Ok(CatalogueFile { object, kind, base })
    };
    objects.into_iter().map(file).collect()
}

/// The data crate speaks of shards; here they are a catalogue.
fn said(error: DataError) -> PrepareError {
    let catalogue = |path: &str, reason: &str| PrepareError::Catalogue {
        path: path.into(),
        reason: reason.to_owned(),
    };
    match error {
        DataError::Missing { path } => catalogue(&path, "no such file or folder"),
        DataError::NoMatch { pattern } => catalogue(&pattern, "the glob matches no file"),
        DataError::BadGlob { pattern, reason } => {
            catalogue(&pattern, &format!("not a valid glob: {reason}"))
        }
        DataError::NoParquet { path } => catalogue(
            &path.to_string_lossy(),
            "the folder holds no file ending in .parquet; name files of other formats with a \
             glob, such as `folder/*.csv`",
        ),
        DataError::Io { path, source } => catalogue(&path.to_string_lossy(), &source.to_string()),
        DataError::Changed { path, now } => catalogue(
            &path.to_string_lossy(),
            &format!("it {now}: it has changed since this run began; start again"),
        ),
        other => PrepareError::Source(other),
    }
}

/// A file from its beginning to its end.
pub(super) struct Sequential {
    handle: Handle,
    at: u64,
    size: u64,
    /// How far it has been read, for whoever reports progress.
    read: Arc<std::sync::atomic::AtomicU64>,
}

impl Sequential {
    pub(super) fn new(handle: Handle) -> Self {
        use parquet::file::reader::Length;
        let size = handle.len();
        Self { handle, at: 0, size, read: Arc::default() }
    }

    pub(super) fn from(handle: Handle, start: u64) -> Self {
        Self { at: start, ..Self::new(handle) }
    }

    /// The number of bytes read so far, kept up to date.
    pub(super) fn meter(&self) -> Arc<std::sync::atomic::AtomicU64> {
        self.read.clone()
    }
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = (self.size - self.at.min(self.size)).min(into.len() as u64);
        if length == 0 {
            return Ok(0);
        }
        let bytes = self.handle.read(self.at..self.at + length).map_err(io::Error::other)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        self.read.store(self.at, std::sync::atomic::Ordering::Relaxed);
        Ok(bytes.len())
    }
}
