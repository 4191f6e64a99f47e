//! `rejects.parquet`: the products that could not be used, and why.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::entry::RejectMeta;
use crate::PrepareError;

/// Rows held in memory at once.
const ROWS: usize = 4096;

/// The rejects of a run being written.
pub(super) struct Rejects {
    file: ArrowWriter<File>,
    path: std::path::PathBuf,
    schema: Arc<Schema>,
    rows: Vec<RejectMeta>,
}

impl Rejects {
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Self, PrepareError> {
        let text = |name, null| Field::new(name, DataType::Utf8, null);
        let schema = Arc::new(Schema::new(vec![
            text("file", false),
            Field::new("row", DataType::UInt64, false),
            Field::new("line", DataType::UInt64, true),
            text("product_id", true),
            text("cause", false),
            text("detail", false),
        ]));
        let file = File::create(path).map_err(PrepareError::io("create", path))?;
        let failed = |source| PrepareError::Parquet { path: path.to_owned(), source };
        let level = ZstdLevel::try_new(3).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("vlclip ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(level))
            .build();
        let file = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(failed)?;
        Ok(Self { file, path: path.to_owned(), schema, rows: Vec::new() })
    }

    /// # Errors
    /// The disk fails.
    pub fn push(&mut self, reject: RejectMeta) -> Result<(), PrepareError> {
        self.rows.push(reject);
        if self.rows.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    /// # Errors
    /// The disk fails.
    pub fn finish(mut self) -> Result<(), PrepareError> {
        self.flush()?;
        let path = self.path;
        let file = self.file.into_inner();
        let file = file.map_err(|source| PrepareError::Parquet { path: path.clone(), source })?;
        file.sync_all().map_err(PrepareError::io("write", &path))
    }

    fn flush(&mut self) -> Result<(), PrepareError> {
        let (mut row, mut line) = (UInt64Builder::new(), UInt64Builder::new());
        let [mut file, mut id, mut cause, mut detail] = [(); 4].map(|()| StringBuilder::new());
        for reject in self.rows.drain(..) {
            file.append_value(reject.file);
            row.append_value(reject.row);
            line.append_option(reject.line);
            id.append_option(reject.product_id);
            cause.append_value(reject.cause);
            detail.append_value(reject.detail);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(file.finish()),
            Arc::new(row.finish()),
            Arc::new(line.finish()),
            Arc::new(id.finish()),
            Arc::new(cause.finish()),
            Arc::new(detail.finish()),
        ];
        let path = || self.path.clone();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|source| PrepareError::Arrow { path: path(), source })?;
        self.file.write(&batch).map_err(|source| PrepareError::Parquet { path: path(), source })
    }
}
