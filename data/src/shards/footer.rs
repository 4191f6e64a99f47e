//! The footers of shards: fetched once, many at a time.

use super::memo::Memo;
use super::plausible;
use crate::DataError;
use crate::panics::caught;
use crate::source::{Access, Object};
use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::Length;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Read at a file's end in the first place; most footers are no larger.
const TAIL: u64 = 64 << 10;
/// Footers read at once: from disks, and over a network, where most of the time is waiting.
const AT_ONCE: (usize, usize) = (8, 64);

/// A footer's bytes and what they say.
pub(super) type Footer = (Bytes, ParquetMetaData);

/// The footers of all `objects`, from `memo` where it has them.
pub(super) fn read_all(
    objects: &[Object],
    memo: &Memo,
    access: &Access,
) -> Vec<Result<Footer, DataError>> {
    let at_once = if objects.iter().any(Object::is_remote) { AT_ONCE.1 } else { AT_ONCE.0 };
    let next = AtomicUsize::new(0);
    let found: Vec<Mutex<Option<Result<Footer, DataError>>>> =
        objects.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(object) = objects.get(index) else { break };
            let footer = match memo.footer(object) {
                Some(footer) => Ok(footer),
                None => read(object, access),
            };
            let footer = footer.and_then(|bytes| Ok((bytes.clone(), parse(&bytes, &object.path)?)));
            *found[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(footer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(objects.len()) {
            scope.spawn(work);
        }
    });
    let all =
        found.into_iter().map(|found| found.into_inner().unwrap_or_else(PoisonError::into_inner));
    all.map(|found| found.unwrap_or(Err(DataError::Stopped))).collect()
}

/// The bytes of an object's footer, without its length and the magic number behind it.
fn read(object: &Object, access: &Access) -> Result<Bytes, DataError> {
    let handle = object.open(access)?;
    let size = handle.len();
    let wrong = |reason: String| DataError::NotParquet {
        path: object.path.to_path_buf(),
        reason: format!("{reason} ({size} bytes)"),
    };
    if size < 12 {
        return Err(wrong("it is too short to be one".into()));
    }
    let start = size.saturating_sub(TAIL);
    let tail = handle.read(start..size)?;
    let Some((_, end)) = tail.split_last_chunk::<8>() else {
        return Err(wrong("too short".into()));
    };
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    match &end[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(wrong("its footer is encrypted".into())),
        _ => {
            return Err(wrong(
                "it does not end as Parquet files do (PAR1); it is another format or cut off"
                    .into(),
            ));
        }
    }
    let Some(first) = (size - 8).checked_sub(length).filter(|first| *first >= 4) else {
        return Err(wrong(format!("its footer states a length of {length} bytes")));
    };
    if first >= start {
        let (from, to) = ((first - start) as usize, (size - 8 - start) as usize);
        return Ok(Bytes::copy_from_slice(&tail[from..to]));
    }
    handle.read(first..size - 8)
}

/// What a footer says.
pub(super) fn parse(footer: &Bytes, path: &Path) -> Result<ParquetMetaData, DataError> {
    let parse = || {
        plausible::check_bytes(footer)?;
        caught(|| ParquetMetaDataReader::decode_metadata(footer))?
            .map_err(|error| error.to_string())
    };
    parse().map_err(|reason: String| {
        let reason = format!("its footer is damaged: {reason}");
        DataError::NotParquet { path: path.into(), reason }
    })
}
