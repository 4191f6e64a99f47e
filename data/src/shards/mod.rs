//! Shards: found, their footers read once and kept.

mod checked;
mod footer;
mod memo;
mod opened;
mod pages;
mod plausible;
mod thrift;

pub(crate) use memo::{Memo, save};
pub(crate) use opened::Opened;

use crate::DataError;
use crate::columns::Roles;
use crate::panics::caught;
use crate::source::{self, Access, Object};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaData;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Parsed footers that are kept at once; the others are parsed again when they are needed, for
/// those of ten thousand shards would fill the memory.
const MAX_PARSED: usize = 256;

/// One shard.
#[derive(Debug)]
pub(crate) struct ShardFile {
    /// Where it lies.
    pub object: Object,
    /// Its footer's bytes.
    pub footer: Bytes,
    /// Rows of all shards before this one.
    pub first_row: u64,
}

impl ShardFile {
    /// Its path or URL.
    pub fn path(&self) -> &Arc<Path> {
        &self.object.path
    }
}

/// A row group of all shards' row groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The shard's index.
    pub shard: usize,
    /// The row group's index in the shard.
    pub index: usize,
    /// Rows of the shard before the row group.
    pub first_row: u64,
    /// Rows of the row group.
    pub rows: u64,
    /// Decoded size of the columns to read.
    pub bytes: u64,
    /// Encoded size of the columns to read, as they lie in the file.
    pub stored_bytes: u64,
}

/// All shards of a data set, sorted by path.
#[derive(Debug)]
pub(crate) struct Shards {
    /// The shards.
    pub files: Vec<ShardFile>,
    /// All row groups, in file order.
    pub groups: Vec<Group>,
    /// Rows of all shards.
    pub num_rows: u64,
    /// Which column plays which role.
    pub roles: Roles,
    /// How they are read.
    pub access: Access,
    /// Why shards that were found are left out.
    pub left_out: Vec<DataError>,
    parsed: Mutex<VecDeque<(usize, Arc<Opened>)>>,
}

impl Shards {
    /// The mean size of a row's columns to read, encoded.
    pub fn row_bytes(&self) -> u64 {
        let bytes: u64 = self.groups.iter().map(|group| group.stored_bytes).sum();
        bytes / self.num_rows.max(1)
    }

    /// Finds the shards, reads every footer that `memo` does not have, and checks the columns of
    /// every shard. Shards that are not Parquet or lack a column are left out as long as their
    /// bytes are no more than `max_bad_fraction` of all.
    pub fn open(
        paths: &[String],
        roles: Roles,
        access: Access,
        memo: &Memo,
        max_bad_fraction: f64,
    ) -> Result<Self, DataError> {
        let objects = source::find(paths)?;
        let footers = footer::read_all(&objects, memo, &access);
        let all_bytes: u64 = objects.iter().map(|object| object.size).sum();
        let mut shards = Self {
            files: vec![],
            groups: vec![],
            num_rows: 0,
            roles,
            access,
            left_out: vec![],
            parsed: Mutex::default(),
        };
        let (num_objects, mut bad_bytes) = (objects.len(), 0);
        for (object, footer) in objects.into_iter().zip(footers) {
            let size = object.size;
            let added = footer.and_then(|(bytes, parsed)| shards.add(object, bytes, parsed));
            let Err(error) = added else { continue };
            if !error.is_of_one_shard() {
                return Err(error);
            }
            bad_bytes += size;
            if bad_bytes as f64 > max_bad_fraction * all_bytes as f64 {
                return Err(error);
            }
            shards.left_out.push(error);
        }
        if shards.files.is_empty() && !shards.left_out.is_empty() {
            return Err(shards.left_out.swap_remove(0));
        }
        if shards.num_rows == 0 {
            let first = shards.files.first().map(|file| file.path().to_path_buf());
            let first = first.unwrap_or_default();
            return Err(DataError::Empty { shards: num_objects, first });
        }
        Ok(shards)
    }

    /// Adds a shard's row groups.
    fn add(
        &mut self,
        object: Object,
        footer: Bytes,
        parsed: ParquetMetaData,
    ) -> Result<(), DataError> {
        let path = object.path.clone();
        let metadata = arrow_metadata(parsed, &path)?;
        self.roles.check(&path, metadata.schema())?;
        let projection = self.roles.projection(metadata.schema(), metadata.parquet_schema());
        plausible::check(&metadata, &projection, object.size).map_err(|reason| {
            let reason = format!("its footer is damaged: {reason}");
            DataError::NotParquet { path: path.to_path_buf(), reason }
        })?;
        let shard = self.files.len();
        let (mut groups, mut first_row) = (Vec::new(), 0u64);
        for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
            let wrong = || DataError::NotParquet {
                path: path.to_path_buf(),
                reason: format!("row group {index} states {} rows", group.num_rows()),
            };
            let rows = u64::try_from(group.num_rows()).map_err(|_| wrong())?;
            let needed = group.columns().iter().enumerate();
            let needed = needed.filter(|(leaf, _)| projection.leaf_included(*leaf));
            let (mut bytes, mut stored_bytes) = (0u64, 0u64);
            for (_, column) in needed {
                let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
                bytes = bytes.saturating_add(size(column.uncompressed_size()));
                stored_bytes = stored_bytes.saturating_add(size(column.compressed_size()));
            }
            groups.push(Group { shard, index, first_row, rows, bytes, stored_bytes });
            // More rows than this are a damaged footer, and would overflow sums.
            first_row = first_row.checked_add(rows).filter(|n| *n <= 1 << 48).ok_or_else(wrong)?;
        }
        self.groups.extend(groups);
        self.files.push(ShardFile { object, footer, first_row: self.num_rows });
        self.num_rows += first_row;
        Ok(())
    }

    /// What a shard's footer says, parsed anew, and the leaf columns that the roles need.
    pub fn layout(&self, shard: usize) -> Result<(ArrowReaderMetadata, ProjectionMask), DataError> {
        let file = &self.files[shard];
        let metadata = arrow_metadata(footer::parse(&file.footer, file.path())?, file.path())?;
        let projection = self.roles.projection(metadata.schema(), metadata.parquet_schema());
        Ok((metadata, projection))
    }

    /// A shard's parsed footer, with the page index if it has one.
    pub fn opened(&self, shard: usize) -> Result<Arc<Opened>, DataError> {
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parsed = lock();
        if let Some(at) = parsed.iter().position(|(known, _)| *known == shard)
            && let Some(found) = parsed.remove(at)
        {
            let opened = found.1.clone();
            parsed.push_back(found);
            return Ok(opened);
        }
        drop(parsed); // the page index may have to be fetched
        let file = &self.files[shard];
        let metadata = footer::parse(&file.footer, file.path())?;
        let opened = Arc::new(Opened::new(file, metadata, &self.roles, &self.access)?);
        let mut parsed = lock();
        parsed.push_back((shard, opened.clone()));
        if parsed.len() > MAX_PARSED {
            parsed.pop_front();
        }
        Ok(opened)
    }
}

/// Parquet's metadata with the schema as Arrow sees it.
fn arrow_metadata(
    metadata: ParquetMetaData,
    path: &Path,
) -> Result<ArrowReaderMetadata, DataError> {
    let metadata = Arc::new(metadata);
    caught(|| ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new()))
        .and_then(|metadata| metadata.map_err(|error| error.to_string()))
        .map_err(|reason| DataError::NotParquet { path: path.into(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_parquet_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, "not parquet at all").unwrap();
        let paths = [path.to_str().unwrap().into()];
        let (roles, memo) = (Roles::new(&configs::Columns::default()), Memo::default());
        let error = Shards::open(&paths, roles, Access::default(), &memo, 0.0);
        let message = error.err().unwrap().to_string();
        assert!(message.contains("x.parquet`: not a readable Parquet file"), "{message}");
        assert!(message.ends_with("(18 bytes)"), "{message}");
    }
}
