//! Ranges of a shard's bytes, for parquet's reader.

use super::object::{Access, Object, Place, local_version};
use crate::DataError;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::Length;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// What is fetched from an object store at least: small enough that little is read in vain at a
/// window's ends, large enough that page headers do not cost a request each.
pub(crate) const BLOCK: u64 = 1 << 20;
/// The most blocks that are read ahead where blocks are read one after the other.
const MAX_AHEAD: u64 = 8;

/// An open shard. Clones read the same.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    object: Object,
    access: Access,
    file: Option<File>,
    recent: Mutex<Recent>,
    /// Why a read failed, where it was not for what the bytes say.
    failure: Mutex<Option<DataError>>,
}

/// What was fetched last.
#[derive(Debug, Default)]
struct Recent {
    segments: Vec<(u64, Bytes)>,
    /// Blocks fetched by the last request that was not told in advance.
    ahead: u64,
}

impl Recent {
    fn find(&self, range: &Range<u64>) -> Option<Bytes> {
        self.segments.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
            (to <= bytes.len()).then(|| bytes.slice(from..to))
        })
    }
}

impl Handle {
    pub(super) fn open(object: Object, access: &Access) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: object.path.to_path_buf(), source };
        let file = match object.place {
            Place::Bucket { .. } => None,
            Place::File => {
                let file = File::open(&object.path).map_err(io)?;
                let (size, version) = local_version(&file.metadata().map_err(io)?);
                if (size, &version) != (object.size, &object.version) {
                    let now = match size == object.size {
                        true => "was written again".into(),
                        false => format!("has {size} bytes; it had {}", object.size),
                    };
                    return Err(DataError::Changed { path: object.path.to_path_buf(), now });
                }
                Some(file)
            }
        };
        let access = access.clone();
        Ok(Self(Arc::new(Inner {
            object,
            access,
            file,
            recent: Mutex::default(),
            failure: Mutex::default(),
        })))
    }

    /// The bytes of `range`, which must lie in the object.
    ///
    /// # Errors
    /// When the disk or the store fails.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, DataError> {
        if let Some(file) = &self.0.file {
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start).map_err(|source| DataError::Io {
                path: self.0.object.path.to_path_buf(),
                source,
            })?;
            return Ok(bytes.into());
        }
        let mut recent = self.recent();
        if let Some(bytes) = recent.find(&range) {
            return Ok(bytes);
        }
        // One block after the other: whoever reads on will read further.
        let follows = recent.segments.iter().any(|(start, bytes)| {
            let end = start + bytes.len() as u64;
            (end.saturating_sub(BLOCK)..=end).contains(&range.start)
        });
        let ahead = if follows { (recent.ahead * 2).clamp(1, MAX_AHEAD) } else { 1 };
        let first = range.start / BLOCK * BLOCK;
        let last = range.end.next_multiple_of(BLOCK).max(first + ahead * BLOCK);
        let whole = first..last.min(self.0.object.size);
        let bytes = self.fetch(whole.clone())?;
        recent.ahead = ahead;
        recent.segments = vec![(whole.start, bytes)];
        recent.find(&range).ok_or_else(|| self.beyond(&range))
    }

    /// Fetches ranges that are about to be read, so that they do not cost a request per page. Only
    /// these are kept.
    pub fn prefetch(&self, ranges: &[Range<u64>]) -> Result<(), DataError> {
        if self.0.file.is_some() {
            return Ok(());
        }
        let mut recent = self.recent();
        let mut segments = Vec::with_capacity(ranges.len());
        for range in ranges {
            // A damaged footer may name any place.
            let size = self.0.object.size;
            let range = range.start.min(size)..range.end.min(size);
            // With a cache on disk, whole blocks: what lies there can be found again.
            let range = match self.0.access.cache {
                Some(_) => {
                    let end = range.end.next_multiple_of(BLOCK).min(self.0.object.size);
                    range.start / BLOCK * BLOCK..end
                }
                None => range,
            };
            let bytes = match recent.find(&range) {
                Some(bytes) => bytes,
                None => self.fetch(range.clone())?,
            };
            segments.push((range.start, bytes));
        }
        recent.segments = segments;
        Ok(())
    }

    /// Why a read failed, if it was not for what the bytes say.
    pub fn failure(&self) -> Option<DataError> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The bytes of a range from the cache on disk, where there is one, else from the store.
    fn fetch(&self, range: Range<u64>) -> Result<Bytes, DataError> {
        let object = &self.0.object;
        let Some(cache) = &self.0.access.cache else { return self.get(range) };
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let block = at..(at + BLOCK).min(object.size);
            if let Some(kept) = cache.find(object, &block) {
                bytes.extend_from_slice(&kept);
                at = block.end;
                continue;
            }
            // All blocks that are missing in a row are one request.
            let mut end = block.end;
            while end < range.end && !cache.has(object, &(end..(end + BLOCK).min(object.size))) {
                end = (end + BLOCK).min(object.size);
            }
            let fetched = self.get(at..end)?;
            for start in (at..end).step_by(BLOCK as usize) {
                let stop = (start + BLOCK).min(end);
                let part = &fetched[(start - at) as usize..(stop - at) as usize];
                cache.keep(object, &(start..stop), part);
            }
            bytes.extend_from_slice(&fetched);
            at = end;
        }
        Ok(bytes.into())
    }

    fn get(&self, range: Range<u64>) -> Result<Bytes, DataError> {
        match &self.0.object.place {
            Place::Bucket { bucket, key, tag } => {
                bucket.get(key, range, tag.clone(), &self.0.access.stop)
            }
            Place::File => Err(self.beyond(&range)),
        }
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beyond(&self, range: &Range<u64>) -> DataError {
        let path = self.0.object.path.to_path_buf();
        let size = self.0.object.size;
        DataError::NotParquet {
            path,
            reason: format!("it refers to bytes {range:?} of its {size}"),
        }
    }

    /// [`Handle::read`] for parquet: what went wrong is kept, for parquet's error has no room.
    ///
    /// # Errors
    /// When the range lies outside, or the disk or the store fails.
    pub fn read_for_parquet(&self, start: u64, length: u64) -> ParquetResult<Bytes> {
        let end = start.checked_add(length).filter(|end| *end <= self.len());
        let Some(end) = end else {
            let size = self.len();
            return Err(ParquetError::EOF(format!(
                "it refers to {length} bytes at {start}, and has {size}"
            )));
        };
        self.read(start..end).map_err(|error| {
            let text = error.to_string();
            let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            ParquetError::General(text)
        })
    }
}

impl Length for Handle {
    fn len(&self) -> u64 {
        self.0.object.size
    }
}
