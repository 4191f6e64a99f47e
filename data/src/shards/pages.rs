//! The pages of a row group, for parquet's reader, which takes memory as damaged bytes ask for it:
//! sizes that cannot be are refused here, before anything is decoded.
//!
//! ```text
//! page header ──sizes──► parquet decompresses ──number of values──► parquet decodes
//! ```

use super::Opened;
use super::checked::CheckedPages;
use super::thrift::{Fault, walk};
use crate::source::Handle;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Type;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// The most bytes of a page header, as in Arrow's C++ reader: it may hold the least and the greatest
/// value.
const MAX_HEADER: u64 = 16 << 20;
/// Read of a page header in the first place.
const HEADER: u64 = 512;
/// A page of up to so many bytes is decompressed although the footer states fewer for its column, as
/// some writers do.
const SMALL: u64 = 64 << 20;

impl Opened {
    /// Reads `rows` of a row group, `batch` at a time, only the columns of `projection`.
    ///
    /// # Errors
    /// Damage; parquet's reader may also panic on it.
    pub fn batches(
        &self,
        handle: &Handle,
        group: usize,
        rows: Range<u64>,
        projection: ProjectionMask,
        batch: u64,
    ) -> Result<ParquetRecordBatchReader> {
        let schema = self.metadata.parquet_schema();
        let hint = Some(self.metadata.schema().fields());
        let levels = parquet_to_arrow_field_levels(schema, projection, hint)?;
        let at = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        // Pages before the first row are skipped without being decompressed.
        let selection =
            vec![RowSelector::skip(at(rows.start)), RowSelector::select(at(rows.end - rows.start))];
        let pages = GroupPages { opened: self, group, handle };
        let selection = (rows.start > 0 || rows.end < pages.num_rows() as u64)
            .then(|| RowSelection::from(selection));
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, at(batch), selection)
    }
}

/// One row group.
struct GroupPages<'a> {
    opened: &'a Opened,
    group: usize,
    handle: &'a Handle,
}

impl RowGroups for GroupPages<'_> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata().row_group(self.group).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let column = self.metadata().row_group(self.group).column(leaf);
        let locations = self.opened.pages(self.group, leaf).map(<[_]>::to_vec);
        let limits = Limits::of(column);
        let bytes =
            ColumnBytes { handle: self.handle.clone(), limits, indexed: locations.is_some() };
        let pages = SerializedPageReader::new(Arc::new(bytes), column, self.num_rows(), locations)?;
        let max_levels =
            [column.column_descr().max_rep_level(), column.column_descr().max_def_level()];
        let byte_arrays = column.column_type() == Type::BYTE_ARRAY;
        Ok(Box::new(Once(Some(CheckedPages { pages, max_levels, byte_arrays, limits }))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata().row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.opened.metadata.metadata()
    }
}

/// What a page of a column may state at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Decompressed bytes.
    bytes: u64,
    /// Values, nulls included.
    pub values: u64,
}

impl Limits {
    fn of(column: &ColumnChunkMetaData) -> Self {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            bytes: number(column.uncompressed_size()).max(SMALL),
            values: number(column.num_values()),
        }
    }

    /// The length of the page header that `bytes` begin with.
    fn check(&self, bytes: &[u8]) -> std::result::Result<usize, Fault> {
        let (mut size, mut stated, mut in_dictionary) = (0, 0, 0);
        let length = walk(bytes, |path, value| match path {
            [2] => size = value,
            // Of data pages of both versions.
            [5 | 8, 1] => stated = value,
            [7, 1] => in_dictionary = value,
            _ => {}
        })?;
        let above = |value: i64, most: u64| u64::try_from(value).is_ok_and(|value| value > most);
        if above(size, self.bytes) {
            return Err(Fault::Wrong("a page states more bytes than its column"));
        }
        if above(stated, self.values) {
            return Err(Fault::Wrong("a page states more values than its column"));
        }
        // Every entry takes bytes.
        if above(in_dictionary, u64::try_from(size).unwrap_or(0)) {
            return Err(Fault::Wrong("a dictionary states more entries than bytes"));
        }
        Ok(length)
    }
}

pub(super) fn damaged(reason: &str) -> ParquetError {
    ParquetError::General(reason.to_owned())
}

/// The bytes of a column of a row group.
#[derive(Clone)]
pub(super) struct ColumnBytes {
    handle: Handle,
    limits: Limits,
    /// Whether pages are read as the page index says, each with its header.
    indexed: bool,
}

impl Length for ColumnBytes {
    fn len(&self) -> u64 {
        self.handle.len()
    }
}

impl ChunkReader for ColumnBytes {
    type T = Header;

    /// Where there is no page index, page headers are read this way, and nothing else is.
    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header { column: self.clone(), start, bytes: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.handle.read_for_parquet(start, length as u64)?;
        if self.indexed {
            match self.limits.check(&bytes) {
                Ok(_) => {}
                Err(Fault::Short) => return Err(damaged("a page ends within its header")),
                Err(Fault::Wrong(reason)) => return Err(damaged(reason)),
            }
        }
        Ok(bytes)
    }
}

/// A page header, read once parquet asks for it.
pub(super) struct Header {
    column: ColumnBytes,
    start: u64,
    /// What is left of it.
    bytes: Option<Bytes>,
}

impl Header {
    /// Reads as many bytes as it has.
    fn load(&self) -> Result<Bytes> {
        let left = self.column.len().saturating_sub(self.start).min(MAX_HEADER);
        let mut length = HEADER.min(left);
        loop {
            let bytes = self.column.handle.read_for_parquet(self.start, length)?;
            match self.column.limits.check(&bytes) {
                Ok(length) => return Ok(bytes.slice(..length)),
                Err(Fault::Wrong(reason)) => return Err(damaged(reason)),
                Err(Fault::Short) if length < left => length = (length * 8).min(left),
                Err(Fault::Short) => return Err(damaged("a page header has no end")),
            }
        }
    }
}

impl Read for Header {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = match self.bytes.take() {
            Some(bytes) => bytes,
            None => self.load().map_err(io::Error::other)?,
        };
        let taken = bytes.split_to(into.len().min(bytes.len()));
        into[..taken.len()].copy_from_slice(&taken);
        self.bytes = Some(bytes);
        Ok(taken.len())
    }
}

/// The pages of one column of one row group.
struct Once(Option<CheckedPages>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(|pages| Ok(Box::new(pages) as Box<dyn PageReader>))
    }
}

impl PageIterator for Once {}
