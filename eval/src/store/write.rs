//! Writes embeddings as they come, a row group at a time.

use super::{EMBEDDING, ID, ORIGIN_KEY, Origin, StoreError};
use crate::Unfinished;
use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float16Array, Float32Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of vectors in a row group: what a writer, or a reader, holds at once.
const GROUP_BYTES: usize = 16 << 20;

/// How vectors are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredDtype {
    /// As they are.
    F32,
    /// Half as large; a component is off by at most 1 part in 2,048.
    F16,
}

/// A file of embeddings being written. Nothing is left of one that is dropped unfinished.
#[derive(Debug)]
pub struct StoreWriter {
    path: PathBuf,
    partial: Unfinished,
    parquet: ArrowWriter<File>,
    schema: SchemaRef,
    dtype: StoredDtype,
    width: usize,
    group_rows: usize,
    /// The row of each id.
    seen: HashMap<Box<str>, u64>,
    rows: u64,
    /// What the next row group holds so far.
    ids: Vec<String>,
    groups: Vec<Option<String>>,
    values: Vec<f32>,
}

impl StoreWriter {
    /// A file of vectors of `width` components, with a column of groups if `origin.group` names one.
    ///
    /// # Errors
    /// A width of 0, a group column called `id` or `embedding`, and what the file system refuses.
    pub fn create(
        path: &Path,
        width: usize,
        dtype: StoredDtype,
        origin: &Origin,
    ) -> Result<Self, StoreError> {
        let misshapen = |reason: String| StoreError::Misshapen { path: path.to_owned(), reason };
        let components = i32::try_from(width).ok().filter(|width| *width > 0);
        let components = components.ok_or_else(|| misshapen(format!("width {width}")))?;
        let item = match dtype {
            StoredDtype::F32 => DataType::Float32,
            StoredDtype::F16 => DataType::Float16,
        };
        let item = Arc::new(Field::new("item", item, false));
        let vector = DataType::FixedSizeList(item, components);
        let mut fields = vec![Field::new(ID, DataType::Utf8, false)];
        if let Some(name) = &origin.group {
            if [ID, EMBEDDING].contains(&name.as_str()) {
                return Err(misshapen(format!("the column of groups cannot be called `{name}`")));
            }
            fields.push(Field::new(name, DataType::Utf8, true));
        }
        fields.push(Field::new(EMBEDDING, vector, false));
        let schema = Arc::new(Schema::new(fields));

        let json = serde_json::to_string(origin).map_err(|error| misshapen(error.to_string()))?;
        let io = |source| StoreError::Io { action: "write", path: path.to_owned(), source };
        let partial = Unfinished::new(path).map_err(io)?;
        let file = File::create(partial.path()).map_err(io)?;
        // Vectors hardly compress, and nobody looks for the least of them.
        let vectors = ColumnPath::from(vec![EMBEDDING.to_owned(), "list".into(), "item".into()]);
        let group_rows = (GROUP_BYTES / (width * 4)).max(1);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_compression(vectors.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(vectors.clone(), false)
            .set_column_statistics_enabled(vectors, EnabledStatistics::None)
            .set_column_dictionary_enabled(ColumnPath::from(ID), false)
            .set_max_row_group_row_count(Some(group_rows))
            .set_key_value_metadata(Some(vec![KeyValue::new(ORIGIN_KEY.to_owned(), json)]))
            .build();
        let parquet = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| unwritten(path, &error))?;
        let (seen, ids, groups, values) = Default::default();
        let path = path.to_owned();
        let rows = 0;
        Ok(Self {
            path,
            partial,
            parquet,
            schema,
            dtype,
            width,
            group_rows,
            seen,
            rows,
            ids,
            groups,
            values,
        })
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes rows: `values` are `ids.len()` x width. `groups`: of each row, where the file has such
    /// a column.
    ///
    /// # Errors
    /// Names the row whose id is empty or came before, or that has a component that is not finite
    /// as it is stored; and what the file system refuses.
    pub fn push(
        &mut self,
        ids: &[String],
        groups: Option<&[Option<String>]>,
        values: &[f32],
    ) -> Result<(), StoreError> {
        let has_groups = self.schema.fields().len() == 3;
        if values.len() != ids.len() * self.width
            || groups.is_some() != has_groups
            || groups.is_some_and(|groups| groups.len() != ids.len())
        {
            let reason = format!(
                "{} ids need as many rows of {} values, and groups only where the file has them",
                ids.len(),
                self.width
            );
            return Err(StoreError::Misshapen { path: self.path.clone(), reason });
        }
        for (index, (id, vector)) in ids.iter().zip(values.chunks_exact(self.width)).enumerate() {
            self.check(id, vector)?;
            self.ids.push(id.clone());
            self.groups.extend(groups.map(|groups| groups[index].clone()));
            self.values.extend_from_slice(vector);
            self.rows += 1;
            if self.ids.len() == self.group_rows {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn check(&mut self, id: &str, vector: &[f32]) -> Result<(), StoreError> {
        let reason = match self.seen.get(id) {
            Some(first) => Some(format!("row {first} has the same id: ids must be distinct")),
            None if id.is_empty() => Some("its id is empty".into()),
            None => {
                let stored = |value: f32| match self.dtype {
                    StoredDtype::F32 => value,
                    StoredDtype::F16 => half(value).to_f32(),
                };
                let bad = vector.iter().position(|value| !stored(*value).is_finite());
                bad.map(|at| {
                    let value = vector[at];
                    format!("component {at} is {value}: expected a finite number; did the model diverge?")
                })
            }
        };
        if let Some(reason) = reason {
            let id = (!id.is_empty()).then(|| id.to_owned());
            return Err(StoreError::Row { path: self.path.clone(), row: self.rows, id, reason });
        }
        self.seen.insert(id.into(), self.rows);
        Ok(())
    }

    /// Writes the rows at hand as a row group.
    fn flush(&mut self) -> Result<(), StoreError> {
        let ids = std::mem::take(&mut self.ids);
        let values = std::mem::take(&mut self.values);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(ids))];
        if self.schema.fields().len() == 3 {
            columns.push(Arc::new(StringArray::from(std::mem::take(&mut self.groups))));
        }
        let values: ArrayRef = match self.dtype {
            StoredDtype::F32 => Arc::new(Float32Array::from(values)),
            StoredDtype::F16 => Arc::new(
                values.into_iter().map(|value| Some(half(value))).collect::<Float16Array>(),
            ),
        };
        let unwritten = |error: &dyn std::fmt::Display| unwritten(&self.path, error);
        let DataType::FixedSizeList(item, width) = self.schema.field(columns.len()).data_type()
        else {
            return Err(unwritten(&"the last column holds no vectors"));
        };
        let vectors = FixedSizeListArray::try_new(item.clone(), *width, values, None);
        columns.push(Arc::new(vectors.map_err(|error| unwritten(&error))?));
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        let batch = batch.map_err(|error| unwritten(&error))?;
        let written = self.parquet.write(&batch).and_then(|()| self.parquet.flush());
        written.map_err(|error| unwritten(&error))
    }

    /// Writes what is left and puts the file in its place.
    ///
    /// # Errors
    /// No rows, and what the file system refuses.
    pub fn finish(mut self) -> Result<(), StoreError> {
        if self.rows == 0 {
            let reason = "there are no rows to write".into();
            return Err(StoreError::Misshapen { path: self.path, reason });
        }
        if !self.ids.is_empty() {
            self.flush()?;
        }
        self.parquet.close().map_err(|error| unwritten(&self.path, &error))?;
        let io = |source| StoreError::Io { action: "write", path: self.path, source };
        self.partial.finish().map_err(io)
    }
}

fn half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

fn unwritten(path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unwritten { path: path.to_owned(), reason: reason.to_string() }
}
