//! Parquet: a few rows at a time, the picture left out where nobody asks for it.

use std::io::BufReader;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use data::source::Handle;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

use super::arrow::{self, cell};
use super::cell::Cell;
use super::files::{CatalogueFile, Sequential};
use super::plan::Plan;
use super::reader::Row;
use crate::PrepareError;

/// Rows decoded at once: few, for each may hold a picture.
const BATCH_ROWS: usize = 32;

/// Rows of a Parquet file.
pub(super) struct ParquetRows {
    handle: Handle,
    metadata: ArrowReaderMetadata,
    /// The row groups still to be opened, from the next.
    group: usize,
    /// The first row of the next part.
    next: u64,
    pictures_from: u64,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<(RecordBatch, usize)>,
}

/// The file's bytes, for parquet.
struct Chunks(Handle);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Sequential>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        // Page headers are small, and each is read anew.
        Ok(BufReader::with_capacity(1024, Sequential::from(self.0.clone(), start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.0.read_for_parquet(start, length as u64)
    }
}

fn metadata(file: &CatalogueFile) -> Result<(Handle, ArrowReaderMetadata), PrepareError> {
    let handle = file.open()?;
    let chunks = Chunks(handle.clone());
    let loaded = data::panics::caught(|| {
        ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new()).map_err(|e| e.to_string())
    });
    let metadata = loaded.and_then(|loaded| loaded);
    let metadata =
        metadata.map_err(|reason| file.wrong(format!("not a readable Parquet file: {reason}")))?;
    Ok((handle, metadata))
}

/// Checks that a file has the columns of the plan, of types that fit.
pub(super) fn check(file: &CatalogueFile, plan: &Plan) -> Result<(), PrepareError> {
    let (_, metadata) = metadata(file)?;
    let schema = metadata.schema();
    for (index, column) in plan.columns.iter().enumerate() {
        let Some(kind) = find(schema, &column.name) else {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(plan.missing(index, file.path(), &names, ""));
        };
        if let Some(expected) = arrow::misfit(plan, index, kind) {
            return Err(PrepareError::ColumnType {
                path: file.path().to_path_buf(),
                column: column.name.clone(),
                role: column.role,
                expected,
                found: kind.to_string(),
            });
        }
    }
    Ok(())
}

/// The type of the column of exactly that name, else, at each dot, of a field of a struct.
fn find<'a>(schema: &'a Schema, name: &str) -> Option<&'a DataType> {
    fn within<'a>(fields: &'a arrow_schema::Fields, name: &str) -> Option<&'a DataType> {
        if let Some((_, field)) = fields.find(name) {
            return Some(field.data_type());
        }
        name.match_indices('.').find_map(|(dot, _)| {
            match fields.find(&name[..dot])?.1.data_type() {
                DataType::Struct(inner) => within(inner, &name[dot + 1..]),
                _ => None,
            }
        })
    }
    within(schema.fields(), name)
}

impl ParquetRows {
    pub(super) fn open(
        file: &CatalogueFile,
        plan: &Plan,
        pictures_from: u64,
    ) -> Result<Self, PrepareError> {
        check(file, plan)?;
        let (handle, metadata) = metadata(file)?;
        Ok(Self { handle, metadata, group: 0, next: 0, pictures_from, reader: None, batch: None })
    }

    pub(super) fn num_rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The next row.
    pub(super) fn row(
        &mut self,
        file: &CatalogueFile,
        plan: &Plan,
    ) -> Result<Option<Row>, PrepareError> {
        loop {
            if let Some((batch, at)) = &mut self.batch
                && *at < batch.num_rows()
            {
                let row = *at;
                *at += 1;
                let cells = cells(batch, row, plan);
                return Ok(Some(Row { line: None, cells: Ok(cells) }));
            }
            if self.reader.is_none() && !self.open_part(file, plan)? {
                return Ok(None);
            }
            let Some(reader) = &mut self.reader else { continue };
            let read =
                data::panics::caught(|| reader.next().transpose().map_err(|e| e.to_string()));
            let batch = read.and_then(|read| read).map_err(|reason| {
                let near = self.next;
                let failure = self.handle.failure().map(PrepareError::Source);
                failure.unwrap_or_else(|| {
                    file.wrong(format!("cannot be read near row {near}: {reason}"))
                })
            })?;
            match batch {
                Some(batch) => {
                    self.next += batch.num_rows() as u64;
                    self.batch = Some((batch, 0));
                }
                None => self.reader = None,
            }
        }
    }

    /// Opens the next row group, or the part of one before or from `pictures_from` on; false at
    /// the end.
    fn open_part(&mut self, file: &CatalogueFile, plan: &Plan) -> Result<bool, PrepareError> {
        let groups = self.metadata.metadata().row_groups();
        let count = |group: usize| u64::try_from(groups[group].num_rows()).unwrap_or(0);
        let mut start: u64 = (0..self.group).map(count).sum();
        while self.group < groups.len() && self.next >= start + count(self.group) {
            start += count(self.group);
            self.group += 1;
        }
        if self.group == groups.len() {
            return Ok(false);
        }
        let pictures = self.next >= self.pictures_from;
        let end = start + count(self.group);
        let stop = if pictures { end } else { end.min(self.pictures_from) };
        let mask = self.projection(plan, pictures);
        if file.is_remote() {
            let columns = groups[self.group].columns().iter().enumerate();
            let wanted =
                columns.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, column)| {
                    let (start, length) = column.byte_range();
                    start..start.saturating_add(length)
                });
            self.handle.prefetch(&wanted.collect::<Vec<_>>()).map_err(PrepareError::Source)?;
        }
        let whole = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let chunks = Chunks(self.handle.clone());
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
                .with_row_groups(vec![self.group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .with_offset(whole(self.next - start))
                .with_limit(whole(stop - self.next))
                .build();
        self.reader = Some(reader.map_err(|error| file.wrong(error.to_string()))?);
        Ok(true)
    }

    /// The columns of the plan; the picture's if it is asked for, or if another lies within it.
    fn projection(&self, plan: &Plan, pictures: bool) -> ProjectionMask {
        let schema = self.metadata.parquet_schema();
        let root = |name: &str| {
            let fields = self.metadata.schema().fields();
            let exact = fields.iter().position(|field| field.name() == name);
            exact.or_else(|| {
                name.match_indices('.')
                    .find_map(|(dot, _)| fields.iter().position(|f| *f.name() == name[..dot]))
            })
        };
        let columns = plan.columns.iter().enumerate();
        let wanted = columns.filter(|(index, _)| pictures || plan.image != Some(*index));
        ProjectionMask::roots(schema, wanted.filter_map(|(_, column)| root(&column.name)))
    }
}

fn cells(batch: &RecordBatch, row: usize, plan: &Plan) -> Vec<Cell> {
    let value = |name: &str| {
        if let Some(array) = batch.column_by_name(name) {
            return cell(array, row);
        }
        let inner = name.match_indices('.').find_map(|(dot, _)| {
            let array = batch.column_by_name(&name[..dot])?;
            Some(cell(array, row).take(&name[dot + 1..]))
        });
        inner.unwrap_or(Cell::Null)
    };
    plan.columns.iter().map(|column| value(&column.name)).collect()
}
