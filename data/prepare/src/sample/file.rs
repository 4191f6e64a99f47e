//! The sample's catalogue as a Parquet file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int32Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::canvas::PixelBox;
use super::row::CatalogueRow;
use crate::PrepareError;

/// Rows of a row group.
const GROUP: usize = 256;
const ATTRIBUTES: [&str; 5] = ["color", "secondary_color", "pattern", "material", "size"];

/// The file being written.
pub(super) struct CatalogueFile {
    path: PathBuf,
    schema: Arc<Schema>,
    file: ArrowWriter<File>,
    rows: Vec<CatalogueRow>,
}

impl CatalogueFile {
    pub fn create(path: &Path, metadata: Vec<(String, String)>) -> Result<Self, PrepareError> {
        let text = |name: &str, null| Field::new(name, DataType::Utf8, null);
        let mut fields = ["product_id", "title", "description", "product_type"]
            .map(|name| text(name, false))
            .to_vec();
        fields.extend(ATTRIBUTES.map(|name| text(name, true)));
        fields.push(Field::new("image", DataType::Binary, false));
        fields.extend(["x0", "y0", "x1", "y1"].map(|n| Field::new(n, DataType::Int32, false)));
        let schema = Arc::new(Schema::new(fields));
        let failed = |source| PrepareError::Parquet { path: path.to_owned(), source };
        let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        let image = ColumnPath::from("image");
        let properties = WriterProperties::builder()
            .set_created_by(concat!("vlclip ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(failed)?))
            .set_max_row_group_row_count(Some(GROUP))
            .set_key_value_metadata(Some(metadata))
            .set_column_compression(image.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(image, false)
            .build();
        let file = File::create(path).map_err(PrepareError::io("create", path))?;
        let file = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), schema, file, rows: Vec::with_capacity(GROUP) })
    }

    pub fn push(&mut self, row: CatalogueRow) -> Result<(), PrepareError> {
        self.rows.push(row);
        if self.rows.len() >= GROUP { self.flush() } else { Ok(()) }
    }

    pub fn finish(mut self) -> Result<(), PrepareError> {
        self.flush()?;
        let path = self.path;
        let file = self.file.into_inner();
        let file = file.map_err(|source| PrepareError::Parquet { path: path.clone(), source })?;
        file.sync_all().map_err(PrepareError::io("write", &path))
    }

    fn flush(&mut self) -> Result<(), PrepareError> {
        let rows = std::mem::take(&mut self.rows);
        let texts = |value: &dyn Fn(&CatalogueRow) -> Option<String>| -> ArrayRef {
            let mut column = StringBuilder::new();
            rows.iter().for_each(|row| column.append_option(value(row)));
            Arc::new(column.finish())
        };
        let edges = |value: fn(&PixelBox) -> usize| -> ArrayRef {
            let mut column = Int32Builder::new();
            rows.iter().for_each(|row| column.append_value(value(&row.found) as i32)); // < 1,000
            Arc::new(column.finish())
        };
        let mut images = BinaryBuilder::new();
        rows.iter().for_each(|row| images.append_value(&row.image));
        let mut columns = vec![
            texts(&|row| Some(row.product_id.clone())),
            texts(&|row| Some(row.title.clone())),
            texts(&|row| Some(row.description.clone())),
            texts(&|row| Some(row.product_type.clone())),
        ];
        columns.extend(ATTRIBUTES.map(|name| {
            texts(&|row| {
                let mut all = row.attributes.iter();
                all.find(|(key, _)| key == name).map(|(_, value)| value.clone())
            })
        }));
        columns.push(Arc::new(images.finish()));
        columns.extend([edges(|b| b.x0), edges(|b| b.y0), edges(|b| b.x1), edges(|b| b.y1)]);
        let path = || self.path.clone();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|source| PrepareError::Arrow { path: path(), source })?;
        self.file.write(&batch).map_err(|source| PrepareError::Parquet { path: path(), source })
    }
}
