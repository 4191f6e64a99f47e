//! Reads embeddings block by block, checked, as unit vectors in f32.

use super::vectors::{TEXTS, VECTORS, holds_texts, holds_vectors, text, vector};
use super::{EMBEDDING, ID, ORIGIN_KEY, ORIGIN_VERSION, Origin, StoreError};
use crate::Embeddings;
use crate::embeddings::{NORM_TOLERANCE, norm};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::any::Any;
use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Rows decoded at once.
const BLOCK_ROWS: usize = 8192;
/// The column of groups of a file that does not name one.
const GROUP: &str = "product_type";

/// Rows in the file's order.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRows {
    /// The first row's number in the file.
    pub first_row: u64,
    /// Ids.
    pub ids: Vec<String>,
    /// Groups, null where a row has none; no column where all are null.
    pub groups: Vec<Option<String>>,
    /// Rows x width, of unit norm.
    pub values: Vec<f32>,
}

/// A file of embeddings, read from its first row to its last: an iterator over blocks. Files of other
/// writers are read too, if they have the columns `id` and `embedding`; rows that are not said to
/// have unit norm are divided by it.
pub struct StoreReader {
    path: PathBuf,
    origin: Option<Origin>,
    rows: u64,
    width: Option<usize>,
    group: Option<String>,
    batches: ParquetRecordBatchReader,
    /// The row of each id that was read.
    seen: HashMap<Box<str>, u64>,
    next_row: u64,
    done: bool,
}

impl StoreReader {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that is missing, not Parquet, lacks a column or has one of another type, or whose
    /// metadata are of another version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let opened = caught(|| ParquetRecordBatchReaderBuilder::try_new(file));
        let opened = understood(opened, path)?;
        let origin = origin(path, &opened)?;
        let schema = opened.schema().clone();
        check(path, &schema, ID, TEXTS, holds_texts)?;
        check(path, &schema, EMBEDDING, VECTORS, holds_vectors)?;
        let stated = origin.as_ref().and_then(|origin| origin.group.clone());
        let found = || schema.column_with_name(GROUP).map(|_| GROUP.to_owned());
        let group = stated.or_else(found);
        if let Some(name) = &group {
            check(path, &schema, name, TEXTS, holds_texts)?;
        }
        let width = match schema.field_with_name(EMBEDDING).map(|field| field.data_type()) {
            Ok(DataType::FixedSizeList(_, width)) => usize::try_from(*width).ok(),
            _ => None,
        };
        let rows = u64::try_from(opened.metadata().file_metadata().num_rows()).unwrap_or(0);
        let roots = schema.fields().iter().enumerate().filter(|(_, field)| {
            [ID, EMBEDDING].contains(&field.name().as_str()) || group.as_ref() == Some(field.name())
        });
        let mask = ProjectionMask::roots(opened.parquet_schema(), roots.map(|(index, _)| index));
        let batches = caught(|| opened.with_projection(mask).with_batch_size(BLOCK_ROWS).build());
        let batches = understood(batches, path)?;
        let (path, seen) = (path.to_owned(), HashMap::new());
        Ok(Self { path, origin, rows, width, group, batches, seen, next_row: 0, done: false })
    }

    /// Where the embeddings came from, if the file says so.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Components per row; known from the start unless another writer stored lists of any length,
    /// and then after the first block.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// The column of groups, if there is one.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Refuses vectors of another width.
    ///
    /// # Errors
    /// When the width is known to be another.
    pub fn expect_width(&self, expected: usize) -> Result<(), StoreError> {
        match self.width {
            Some(found) if found != expected => {
                Err(StoreError::Width { path: self.path.clone(), expected, found })
            }
            _ => Ok(()),
        }
    }

    /// The whole file as a matrix, and each row's group.
    ///
    /// # Errors
    /// As the blocks; a file without rows.
    pub fn read_all(mut self) -> Result<(Embeddings, Vec<Option<String>>), StoreError> {
        let (mut ids, mut groups, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for block in self.by_ref() {
            let block = block?;
            ids.extend(block.ids);
            groups.extend(block.groups);
            values.extend(block.values);
        }
        // Unit vectors stay as they are: dividing them again would change their last bits.
        let matrix = Embeddings::new(ids, self.width.unwrap_or(0), values);
        let matrix =
            matrix.map_err(|source| StoreError::Matrix { path: self.path.clone(), source })?;
        Ok((matrix, groups))
    }

    fn block(&mut self, batch: &RecordBatch) -> Result<StoredRows, StoreError> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| StoreError::NotParquet {
                path: self.path.clone(),
                reason: format!("the column `{name}` was not read"),
            })
        };
        let (ids, vectors) = (column(ID)?, column(EMBEDDING)?);
        let groups = self.group.as_deref().map(column).transpose()?;
        let mut block =
            StoredRows { first_row: self.next_row, ids: vec![], groups: vec![], values: vec![] };
        for index in 0..batch.num_rows() {
            let row = self.next_row;
            let id = text(ids, index).unwrap_or_default();
            let wrong = |reason: String| StoreError::Row {
                path: self.path.clone(),
                row,
                id: (!id.is_empty()).then(|| id.to_owned()),
                reason,
            };
            if id.is_empty() {
                return Err(wrong("it has no id".into()));
            }
            if let Some(first) = self.seen.insert(id.into(), row) {
                return Err(wrong(format!("row {first} has the same id: ids must be distinct")));
            }
            let mut vector = vector(vectors, index)
                .ok_or_else(|| wrong("its embedding is null or has nulls".into()))?;
            let width = *self.width.get_or_insert(vector.len());
            if vector.len() != width || width == 0 {
                let found = vector.len();
                return Err(wrong(format!("its embedding has width {found}, others have {width}")));
            }
            let stated = self.origin.as_ref().is_some_and(|origin| origin.normalised);
            unit(&mut vector, stated).map_err(wrong)?;
            block.ids.push(id.to_owned());
            let group = groups.and_then(|groups| text(groups, index));
            block.groups.push(group.map(str::to_owned));
            block.values.extend(vector);
            self.next_row += 1;
        }
        Ok(block)
    }

    fn advance(&mut self) -> Option<Result<StoredRows, StoreError>> {
        let next = caught(|| self.batches.next().transpose());
        match understood(next, &self.path) {
            Ok(Some(batch)) => Some(self.block(&batch)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for StoreReader {
    type Item = Result<StoredRows, StoreError>;

    /// The next rows; after an error, nothing.
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Makes a vector one of unit norm, or says why that cannot be. `stated`: it is said to be one.
fn unit(vector: &mut [f32], stated: bool) -> Result<(), String> {
    if let Some(at) = vector.iter().position(|value| !value.is_finite()) {
        return Err(format!(
            "component {at} is {}: expected a finite number; did the model diverge?",
            vector[at]
        ));
    }
    let norm = norm(vector);
    if stated {
        return match (norm - 1.0).abs() <= NORM_TOLERANCE {
            true => Ok(()),
            false => Err(format!("its norm is {norm}: expected 1, as the file's metadata say")),
        };
    }
    if norm == 0.0 {
        return Err("it is all zero: it has no direction to normalise".into());
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    Ok(())
}

fn origin(
    path: &Path,
    opened: &ParquetRecordBatchReaderBuilder<File>,
) -> Result<Option<Origin>, StoreError> {
    let metadata = opened.metadata().file_metadata().key_value_metadata();
    let json = metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == ORIGIN_KEY));
    let Some(json) = json.and_then(|pair| pair.value.as_deref()) else { return Ok(None) };
    let bad = |reason| StoreError::BadOrigin { path: path.to_owned(), reason };
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
    let version = &value["schema_version"];
    if *version != ORIGIN_VERSION {
        return Err(bad(format!(
            "version {version}, but this program reads version {ORIGIN_VERSION}: read it with the \
             version that wrote it, or embed again"
        )));
    }
    serde_json::from_value(value).map(Some).map_err(|error| bad(error.to_string()))
}

fn check(
    path: &Path,
    schema: &Schema,
    column: &str,
    expected: &'static str,
    fits: fn(&DataType) -> bool,
) -> Result<(), StoreError> {
    let Ok(field) = schema.field_with_name(column) else {
        let present: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let present = if present.is_empty() { "(none)".into() } else { present.join(", ") };
        return Err(StoreError::MissingColumn {
            path: path.into(),
            column: column.into(),
            present,
        });
    };
    if fits(field.data_type()) {
        return Ok(());
    }
    let found = field.data_type().to_string();
    Err(StoreError::ColumnType { path: path.into(), column: column.into(), expected, found })
}

/// What the Parquet reader makes of damaged bytes may also be a panic.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(work))
}

fn understood<T, E: std::fmt::Display>(
    outcome: Result<Result<T, E>, Box<dyn Any + Send>>,
    path: &Path,
) -> Result<T, StoreError> {
    let reason = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its reader gave up".into(),
    };
    Err(StoreError::NotParquet { path: path.to_owned(), reason })
}
