//! Writes rows into Parquet files of about equal size, in the order they come.
//!
//! ```text
//! folder/part-00000.parquet   row group | row group | ...   closed at `file_bytes`
//!        part-00001.parquet   row group | ...
//! ```
//! The bytes depend only on the rows and the options, so equal input gives equal files.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use super::columns::{Columns, OptionalColumns};
use super::row::ShardRow;
use super::sink::{Sink, Written};
use crate::PrepareError;

/// Version of the shard contract, stored in every file under the key `vlclip.shard_contract`.
pub const CONTRACT_VERSION: u32 = 1;

/// How rows are laid out in files.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// The optional columns to write.
    pub optional: OptionalColumns,
    /// A row group is closed at this many rows: the unit that training shuffles.
    pub row_group_rows: usize,
    /// A row group is closed at this many bytes of pictures, however few its rows: this bounds
    /// the memory of both the writer and the reader.
    pub row_group_bytes: usize,
    /// A file is closed, after a whole row group, at this many bytes.
    pub file_bytes: u64,
    /// Key-value metadata stored in every file, beside the contract's version.
    pub metadata: Vec<(String, String)>,
}

impl Default for ShardOptions {
    fn default() -> Self {
        ShardOptions {
            optional: OptionalColumns::default(),
            row_group_rows: 512,
            row_group_bytes: 64 << 20,
            file_bytes: 256 << 20,
            metadata: Vec::new(),
        }
    }
}

/// One finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// File name inside the writer's folder.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Number of row groups.
    pub row_groups: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
}

/// Writes the rows of one split. Call [`push`](Self::push) for each row and
/// [`finish`](Self::finish) at the end; a writer dropped before leaves an unfinished file.
pub struct ShardWriter {
    folder: PathBuf,
    options: ShardOptions,
    columns: Columns,
    open: Option<OpenFile>,
    finished: Vec<ShardFile>,
    num_rows: u64,
}

struct OpenFile {
    path: PathBuf,
    name: String,
    rows: u64,
    row_groups: u64,
    parquet: ArrowWriter<Sink>,
}

impl ShardWriter {
    /// Makes `folder` (and its parents) and a writer into it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(folder: &Path, options: ShardOptions) -> Result<Self, PrepareError> {
        Self::resume(folder, options, Vec::new())
    }

    /// As [`ShardWriter::create`], where `finished` files were written before, from the rows before
    /// those that will be pushed, with the same options.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn resume(
        folder: &Path,
        options: ShardOptions,
        finished: Vec<ShardFile>,
    ) -> Result<Self, PrepareError> {
        std::fs::create_dir_all(folder).map_err(PrepareError::io("create", folder))?;
        let columns = Columns::new(options.optional);
        Ok(ShardWriter {
            folder: folder.to_path_buf(),
            options,
            columns,
            open: None,
            num_rows: finished.iter().map(|file| file.rows).sum(),
            finished,
        })
    }

    /// The files that are complete so far.
    pub fn finished(&self) -> &[ShardFile] {
        &self.finished
    }

    /// Adds one row. Memory stays below one row group.
    ///
    /// # Errors
    /// When the row does not fit the options (its index and product are named), or the disk fails.
    pub fn push(&mut self, row: &ShardRow) -> Result<(), PrepareError> {
        if let Some(problem) = self.columns.problem(row) {
            return Err(PrepareError::Row {
                folder: self.folder.clone(),
                row: self.num_rows,
                product_id: row.product_id.clone(),
                problem,
            });
        }
        self.columns.push(row);
        self.num_rows += 1;
        if self.columns.rows() >= self.options.row_group_rows
            || self.columns.bytes() >= self.options.row_group_bytes
        {
            self.flush_row_group()?;
        }
        Ok(())
    }

    /// Writes what is left, closes the last file and syncs it to disk.
    /// Without any row one empty file is written, so that readers still find the schema.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(mut self) -> Result<Vec<ShardFile>, PrepareError> {
        if self.columns.rows() > 0 || self.num_rows == 0 {
            self.flush_row_group()?;
        }
        self.close_file()?;
        Ok(self.finished)
    }

    fn flush_row_group(&mut self) -> Result<(), PrepareError> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.open_file()?,
        };
        let batch = self
            .columns
            .take()
            .map_err(|source| PrepareError::Arrow { path: file.path.clone(), source })?;
        file.rows += batch.num_rows() as u64;
        file.row_groups += u64::from(batch.num_rows() > 0);
        file.parquet.write(&batch).and_then(|()| file.parquet.flush()).map_err(file.failed())?;
        let full = file.parquet.bytes_written() as u64 >= self.options.file_bytes;
        self.open = Some(file);
        if full { self.close_file() } else { Ok(()) }
    }

    fn open_file(&self) -> Result<OpenFile, PrepareError> {
        let name = format!("part-{:05}.parquet", self.finished.len());
        let path = self.folder.join(&name);
        let file = File::create(&path).map_err(PrepareError::io("create", &path))?;
        let properties = properties(&self.options)
            .map_err(|source| PrepareError::Parquet { path: path.clone(), source })?;
        let parquet =
            ArrowWriter::try_new(Sink::new(file), self.columns.schema().clone(), Some(properties))
                .map_err(|source| PrepareError::Parquet { path: path.clone(), source })?;
        Ok(OpenFile { path, name, rows: 0, row_groups: 0, parquet })
    }

    fn close_file(&mut self) -> Result<(), PrepareError> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let OpenFile { path, name, rows, row_groups, parquet } = file;
        let out = parquet
            .into_inner()
            .map_err(|source| PrepareError::Parquet { path: path.clone(), source })?;
        let Written { bytes, sha256 } = out.finish().map_err(PrepareError::io("write", &path))?;
        self.finished.push(ShardFile { name, rows, row_groups, bytes, sha256 });
        Ok(())
    }
}

impl OpenFile {
    fn failed(&self) -> impl FnOnce(ParquetError) -> PrepareError {
        let path = self.path.clone();
        move |source| PrepareError::Parquet { path, source }
    }
}

/// Columns of numbers and of words out of a few: there is nothing in them to compress.
const SMALL: [&str; 10] = [
    "product_type",
    "grounding",
    "box.x0",
    "box.y0",
    "box.x1",
    "box.y1",
    "box_score",
    "caption_rounds",
    "caption_stop",
    "caption_model",
];

/// Pictures are compressed already: they are stored as they are, with no dictionary and no
/// statistics. The texts around them repeat a lot and are compressed.
fn properties(options: &ShardOptions) -> Result<WriterProperties, ParquetError> {
    let mut metadata =
        vec![KeyValue::new("vlclip.shard_contract".to_owned(), CONTRACT_VERSION.to_string())];
    metadata.extend(options.metadata.iter().cloned().map(|(key, value)| KeyValue::new(key, value)));
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("vlclip ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(None) // row groups are closed by `push`
        .set_key_value_metadata(Some(metadata));
    for name in ["image", "image_raw"] {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    for name in SMALL {
        let column = ColumnPath::new(name.split('.').map(str::to_owned).collect());
        builder = builder.set_column_compression(column, Compression::UNCOMPRESSED);
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests;
