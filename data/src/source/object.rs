//! A shard's bytes, wherever they lie, and which version of them.

use super::bucket::{Bucket, folder_before_wildcards};
use super::disk_cache::DiskCache;
use super::{Handle, local, pattern};
use crate::DataError;
use object_store::ObjectMeta;
use object_store::path::Path as Key;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::UNIX_EPOCH;
use url::Url;

/// A file or an object, as it was when it was found.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its path or URL, as messages name it.
    pub path: Arc<Path>,
    /// Its size in bytes.
    pub size: u64,
    /// What tells this version from another: an entity tag, or when it was written.
    pub version: String,
    pub(super) place: Place,
}

/// Where an object lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In a file of this machine.
    File,
    /// In an object store.
    Bucket { bucket: Arc<Bucket>, key: Key, tag: Option<String> },
}

/// What all readers of a data set share.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where blocks of objects are kept, if anywhere.
    pub(crate) cache: Option<Arc<DiskCache>>,
    /// Set once nobody waits for the data any more.
    pub stop: Arc<AtomicBool>,
}

impl Object {
    /// Opens it for reading.
    ///
    /// # Errors
    /// When it cannot be opened, or is not what it was when it was found.
    pub fn open(&self, access: &Access) -> Result<Handle, DataError> {
        Handle::open(self.clone(), access)
    }

    /// Whether it has to be fetched over a network.
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::Bucket { .. })
    }

    fn file(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        let (size, version) = local_version(&metadata);
        Ok(Self { path: path.into(), size, version, place: Place::File })
    }

    fn remote(bucket: &Arc<Bucket>, meta: ObjectMeta) -> Self {
        let url = bucket.url(&meta.location);
        // A weak tag promises no equal bytes, so nothing can be made conditional on it.
        let tag = meta.e_tag.filter(|tag| !tag.starts_with("W/"));
        Self {
            path: Path::new(&url).into(),
            size: meta.size,
            version: tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339()),
            place: Place::Bucket { bucket: bucket.clone(), key: meta.location, tag },
        }
    }

    /// The object that a relative path beside this one names.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub fn sibling(&self, name: &str) -> Result<Option<Self>, DataError> {
        match &self.place {
            Place::File => {
                let Some(folder) = self.path.parent() else { return Ok(None) };
                Self::file(&folder.join(name)).map(Some)
            }
            Place::Bucket { bucket, key, .. } => {
                let folder = key.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder);
                let key = Key::from(format!("{folder}/{name}"));
                Ok(bucket.head(&key)?.map(|meta| Self::remote(bucket, meta)))
            }
        }
    }
}

/// A file's size, and when it was last written.
pub(super) fn local_version(metadata: &std::fs::Metadata) -> (u64, String) {
    let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), format!("{}ns", written.unwrap_or_default().as_nanos()))
}

/// What `paths` name, sorted by path and each once: files, folders and globs as
/// [`local::find_files`], and URLs of objects, of folders of object stores and with wildcards.
///
/// # Errors
/// When one names nothing or cannot be asked for.
pub fn find(paths: &[String]) -> Result<Vec<Object>, DataError> {
    let (remote, local): (Vec<&String>, Vec<&String>) =
        paths.iter().partition(|path| pattern::remote(path).is_some());
    let mut found = BTreeMap::new();
    if !local.is_empty() || remote.is_empty() {
        let local: Vec<String> = local.into_iter().cloned().collect();
        for path in local::find_files(&local)? {
            let object = Object::file(&path)?;
            found.insert(object.path.clone(), object);
        }
    }
    let mut buckets = Vec::new();
    for entry in remote.into_iter().flat_map(|entry| pattern::expand(entry)) {
        for object in find_remote(&entry, &mut buckets)? {
            found.insert(object.path.clone(), object);
        }
    }
    Ok(found.into_values().collect())
}

/// What one URL names. `buckets`: those opened so far, by their URL without the path.
fn find_remote(
    entry: &str,
    buckets: &mut Vec<(String, Arc<Bucket>)>,
) -> Result<Vec<Object>, DataError> {
    let wrong = |reason: String| DataError::Store { url: entry.into(), reason };
    // A `?` would begin a query; in a shard's name it is a wildcard.
    let url = Url::parse(&entry.replace('?', "%3F")).map_err(|error| wrong(error.to_string()))?;
    let root = url[..url::Position::BeforePath].to_owned();
    let key = Key::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
    let known = buckets.iter().find(|(known, _)| *known == root).map(|(_, bucket)| bucket.clone());
    let bucket = match known {
        Some(bucket) => bucket,
        None => {
            let (bucket, _) = Bucket::open(&url)?;
            buckets.push((root, bucket.clone()));
            bucket
        }
    };
    if !pattern::is_glob(key.as_ref()) {
        let whole = !key.as_ref().is_empty() && !url.path().ends_with('/');
        if whole && let Some(meta) = bucket.head(&key)? {
            return Ok(vec![Object::remote(&bucket, meta)]);
        }
        if !bucket.lists() {
            return Err(wrong(
                "there is no such file; a web server cannot be listed, so name \
                              every shard, or count in braces: shard-{000..127}.parquet"
                    .into(),
            ));
        }
        let below = bucket.list(&key)?.into_iter().filter(|meta| is_shard(&key, &meta.location));
        let found: Vec<Object> = below.map(|meta| Object::remote(&bucket, meta)).collect();
        return match found.is_empty() {
            true => Err(wrong("there is no such object, and none ending in .parquet below".into())),
            false => Ok(found),
        };
    }
    if !bucket.lists() {
        return Err(wrong(
            "a web server cannot be listed, so wildcards find nothing; count in \
                          braces instead: shard-{000..127}.parquet"
                .into(),
        ));
    }
    let matcher = glob::Pattern::new(key.as_ref())
        .map_err(|error| DataError::BadGlob { pattern: entry.into(), reason: error.to_string() })?;
    let exact = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    let all = bucket.list(&Key::from(folder_before_wildcards(key.as_ref())))?;
    let found: Vec<Object> = all
        .into_iter()
        .filter(|meta| matcher.matches_with(meta.location.as_ref(), exact))
        .map(|meta| Object::remote(&bucket, meta))
        .collect();
    if found.is_empty() { Err(DataError::NoMatch { pattern: entry.into() }) } else { Ok(found) }
}

/// Whether a key below a folder is a shard: it ends in `.parquet`, and no part of it is hidden.
fn is_shard(folder: &Key, key: &Key) -> bool {
    let below = key.as_ref().strip_prefix(folder.as_ref()).unwrap_or(key.as_ref());
    let parquet = Path::new(below).extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
    parquet && !below.split('/').any(|part| part.starts_with(['.', '_']))
}
