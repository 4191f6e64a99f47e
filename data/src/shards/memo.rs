//! The footers of a data set's shards, kept in a file beside a run, so that a restart neither reads
//! them again nor takes shards for the same that were written since.

use crate::DataError;
use crate::source::Object;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, LargeBinaryArray, RecordBatch, StringArray, UInt64Array};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Known footers by path or URL.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    size: u64,
    version: String,
    footer: Bytes,
}

impl Memo {
    /// Reads what was kept in `file`; nothing where there is no such file, or none that can be read.
    pub fn load(file: &Path) -> Self {
        Self::try_load(file).unwrap_or_default()
    }

    fn try_load(file: &Path) -> Option<Self> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).ok()?).ok()?;
        let mut entries = HashMap::new();
        for batch in reader.with_batch_size(1024).build().ok()? {
            let batch = batch.ok()?;
            let paths = batch.column_by_name("path")?.as_string_opt::<i32>()?;
            let sizes = batch.column_by_name("size")?.as_primitive_opt::<UInt64Type>()?;
            let versions = batch.column_by_name("version")?.as_string_opt::<i32>()?;
            let footers = batch.column_by_name("footer")?.as_binary_opt::<i64>()?;
            for row in 0..batch.num_rows() {
                let entry = Entry {
                    size: sizes.value(row),
                    version: versions.value(row).into(),
                    footer: Bytes::copy_from_slice(footers.value(row)),
                };
                entries.insert(paths.value(row).into(), entry);
            }
        }
        Some(Self { entries })
    }

    /// The footer of exactly this version of an object.
    pub fn footer(&self, object: &Object) -> Option<Bytes> {
        let entry = self.entries.get(&*object.path.to_string_lossy())?;
        let same = entry.size == object.size && entry.version == object.version;
        same.then(|| entry.footer.clone())
    }

    /// Says whether an object is another than the one that was kept. Files may be copied, which
    /// changes when they were written; with an equal size and footer they count as the same. An
    /// object of a store must bear the same entity tag.
    pub fn check_unchanged(&self, object: &Object, footer: &[u8]) -> Result<(), DataError> {
        let Some(entry) = self.entries.get(&*object.path.to_string_lossy()) else { return Ok(()) };
        let now = if entry.size != object.size {
            format!("has {} bytes; it had {}", object.size, entry.size)
        } else if object.is_remote() && entry.version != object.version {
            format!("has the version {}; it had {}", object.version, entry.version)
        } else if entry.footer != footer {
            "has another footer".into()
        } else {
            return Ok(());
        };
        Err(DataError::Changed { path: object.path.to_path_buf(), now })
    }

    /// Whether this is what would be kept of `shards`.
    pub fn covers<'a>(&self, shards: impl IntoIterator<Item = &'a Object>) -> bool {
        let mut count = 0;
        let all = shards.into_iter().all(|object| {
            count += 1;
            self.footer(object).is_some()
        });
        all && count == self.entries.len()
    }
}

/// Keeps the footers of `shards` in `file`, in one piece.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn save(file: &Path, shards: &[(&Object, &Bytes)]) -> Result<(), DataError> {
    let io = |source| DataError::Io { path: file.into(), source };
    let other = |error: parquet::errors::ParquetError| io(std::io::Error::other(error));
    let paths: StringArray = shards.iter().map(|(o, _)| Some(o.path.to_string_lossy())).collect();
    let versions: StringArray = shards.iter().map(|(o, _)| Some(&o.version)).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("path", Arc::new(paths)),
        ("size", Arc::new(UInt64Array::from_iter_values(shards.iter().map(|(o, _)| o.size)))),
        ("version", Arc::new(versions)),
        ("footer", Arc::new(LargeBinaryArray::from_iter_values(shards.iter().map(|(_, f)| f)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(|e| io(std::io::Error::other(e)))?;
    // Footers of one data set resemble one another.
    let level = ZstdLevel::try_new(1).map_err(other)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .build();
    let partial = file.with_extension(format!("partial-{}", std::process::id()));
    let written = File::create(&partial).map_err(io).and_then(|out| {
        let mut writer =
            ArrowWriter::try_new(out, batch.schema(), Some(properties)).map_err(other)?;
        // In parts, so that no array comes near its limit of 2 GiB.
        for start in (0..batch.num_rows()).step_by(1024) {
            let rows = 1024.min(batch.num_rows() - start);
            writer.write(&batch.slice(start, rows)).map_err(other)?;
        }
        writer.close().map_err(other)?;
        std::fs::rename(&partial, file).map_err(io)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}
