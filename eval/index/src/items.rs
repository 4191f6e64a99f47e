//! `items.parquet`: the id and the group of each item, by key.

use crate::IndexError;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use checkpoints::FileEntry;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file.
pub const ITEMS: &str = "items.parquet";

/// The items of an index.
#[derive(Debug, Default)]
pub struct Items {
    pub ids: Vec<String>,
    /// As many as ids.
    pub groups: Vec<Option<String>>,
}

impl Items {
    /// Writes the file into `dir`.
    pub fn write(&self, dir: &Path) -> Result<FileEntry, IndexError> {
        let path = dir.join(ITEMS);
        let io = |source| IndexError::Io { action: "write", path: path.clone(), source };
        let field = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![field("id", false), field("group", true)]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&self.ids)),
            Arc::new(self.groups.iter().map(Option::as_deref).collect::<StringArray>()),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let file = File::create(&path).map_err(io)?;
        let batch = RecordBatch::try_new(schema.clone(), columns).map_err(other).map_err(io)?;
        let mut writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(other).map_err(io)?;
        writer.write(&batch).map_err(other).map_err(io)?;
        writer.close().map_err(other).map_err(io)?;
        Ok(checkpoints::measure(&path)?)
    }

    /// Reads the file of `dir`, which must be the one that was written.
    pub fn read(dir: &Path, expected: &FileEntry) -> Result<Self, IndexError> {
        let path: PathBuf = dir.join(ITEMS);
        let damaged = |reason| IndexError::Damaged { path: path.clone(), reason };
        if !path.is_file() {
            return Err(damaged("it is missing".into()));
        }
        let found = checkpoints::measure(&path)?;
        if found != *expected {
            return Err(damaged("it is another than index.json describes".into()));
        }
        let io = |source| IndexError::Io { action: "read", path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = reader.and_then(ParquetRecordBatchReaderBuilder::build);
        let mut items = Self::default();
        for batch in reader.map_err(other).map_err(io)? {
            let batch = batch.map_err(other).map_err(io)?;
            let column = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
            let (Some(ids), Some(groups)) = (column("id"), column("group")) else {
                return Err(damaged("it lacks the columns `id` and `group`".into()));
            };
            items.ids.extend(ids.iter().map(|id| id.unwrap_or_default().to_owned()));
            items.groups.extend(groups.iter().map(|group| group.map(str::to_owned)));
        }
        Ok(items)
    }
}

fn other<E: std::error::Error + Send + Sync + 'static>(error: E) -> std::io::Error {
    std::io::Error::other(error)
}
