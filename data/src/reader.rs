//! Rows as they lie in the shards: read one after the other, few at a time, only the columns
//! that the roles need. Pictures stay encoded.

use crate::DataError;
use crate::order::Segment;
use crate::row::{self, Place, RawRow};
use crate::shards::{Group, Shards};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

/// Rows decoded from Parquet at once. Small, so that memory follows the windows and not the row
/// groups, and so that no Arrow array of pictures comes near its limit of 2 GiB.
const ROWS_AT_ONCE: usize = 64;

/// The greatest decoded size of a row group that a stream keeps open between its windows.
///
/// An open row group holds a page of every column, and writers differ a thousandfold in page
/// size (pyarrow puts 1,024 pictures in one). So a larger row group is closed after each window
/// and opened again at the next: a page is then read more than once, but memory stays bounded.
pub(crate) const KEEP_OPEN_BYTES: u64 = 1 << 20;

/// Reads segments of row groups.
pub(crate) struct Reader {
    shards: Arc<Shards>,
    /// Row groups up to this size stay open, so that the segment that follows needs no seeking.
    keep_bytes: u64,
    open: Option<OpenGroup>,
}

struct OpenGroup {
    group: usize,
    /// The row of the group that `rows` begins with.
    next: u64,
    batches: ParquetRecordBatchReader,
    rows: VecDeque<RawRow>,
}

impl Reader {
    /// A reader that has read nothing yet and keeps row groups of up to `keep_bytes` open.
    pub fn new(shards: Arc<Shards>, keep_bytes: u64) -> Self {
        Self { shards, keep_bytes, open: None }
    }

    /// Reads the rows of a segment, `each` called with one after the other.
    pub fn read(
        &mut self,
        segment: Segment,
        mut each: impl FnMut(RawRow),
    ) -> Result<(), DataError> {
        let group = self.shards.groups[segment.group];
        let fits = |open: &OpenGroup| open.group == segment.group && open.next == segment.first;
        let mut open = match self.open.take().filter(fits) {
            Some(open) => open,
            None => self.open_group(segment, group)?,
        };
        for _ in 0..segment.rows {
            while open.rows.is_empty() {
                let at = group.first_row + open.next;
                let batch = match open.batches.next() {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => return Err(self.fault(group, at, error.to_string())),
                    None => {
                        let reason = "the row group ends before its stated number of rows";
                        return Err(self.fault(group, at, reason.into()));
                    }
                };
                let file = &self.shards.files[group.shard];
                let place =
                    Place { shard: &file.path, first_row: at, first_number: file.first_row + at };
                open.rows.extend(row::rows(&batch, &self.shards.roles, &place));
            }
            if let Some(row) = open.rows.pop_front() {
                open.next += 1;
                each(row);
            }
        }
        if open.next < group.rows && self.keeps(group) {
            self.open = Some(open);
        }
        Ok(())
    }

    fn keeps(&self, group: Group) -> bool {
        group.bytes <= self.keep_bytes
    }

    fn open_group(&self, segment: Segment, group: Group) -> Result<OpenGroup, DataError> {
        let Segment { group: index, first, rows } = segment;
        let file = &self.shards.files[group.shard];
        let handle = File::open(&file.path)
            .map_err(|source| DataError::Io { path: file.path.to_path_buf(), source })?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(handle, file.metadata.clone())
                .with_row_groups(vec![group.index])
                .with_projection(file.projection.clone())
                .with_batch_size(ROWS_AT_ONCE);
        // Pages before `first` are skipped without being decompressed.
        let at = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        let builder = if first == 0 { builder } else { builder.with_offset(at(first)) };
        let builder = if self.keeps(group) { builder } else { builder.with_limit(at(rows)) };
        let batches = builder
            .build()
            .map_err(|error| self.fault(group, group.first_row + first, error.to_string()))?;
        Ok(OpenGroup { group: index, next: first, batches, rows: VecDeque::new() })
    }

    fn fault(&self, group: Group, row: u64, reason: String) -> DataError {
        let path = self.shards.files[group.shard].path.to_path_buf();
        DataError::Read { path, group: group.index, row, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::RawImage;
    use arrow_array::{BinaryArray, Int32Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use std::path::Path;

    /// A shard of 200 rows in row groups of 90, with pages of 7 rows.
    fn shards(dir: &Path) -> Arc<Shards> {
        let texts: Vec<String> = (0..200).map(|row| format!("row {row}")).collect();
        let images: BinaryArray = texts.iter().map(|text| Some(text.as_bytes())).collect();
        let columns: [(&str, arrow_array::ArrayRef); 3] = [
            ("image", Arc::new(images)),
            ("captions", Arc::new(StringArray::from(texts))),
            ("product_id", Arc::new(Int32Array::from_iter_values(0..200))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(90))
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(7)
            .build();
        let path = dir.join("a.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let paths = [path.to_str().unwrap().to_string()];
        Arc::new(Shards::open(&paths, &configs::Columns::default()).unwrap())
    }

    #[test]
    fn segments_give_their_rows_whether_groups_stay_open_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let shards = shards(dir.path());
        // Onward, onward across a batch of 64, a jump on, a jump back, other groups, to the end.
        let segments =
            [(0, 0, 5), (0, 5, 62), (0, 70, 20), (0, 3, 4), (2, 10, 10), (1, 1, 89), (1, 0, 90)];
        for keep_bytes in [0, u64::MAX] {
            let mut reader = Reader::new(shards.clone(), keep_bytes);
            for (group, first, rows) in segments {
                let mut found = Vec::new();
                reader.read(Segment { group, first, rows }, |row| found.push(row)).unwrap();
                let start = group as u64 * 90 + first;
                assert_eq!(found.len() as u64, rows);
                for (number, row) in (start..).zip(&found) {
                    let text = format!("row {number}");
                    assert_eq!((row.number, row.id.row), (number, number));
                    assert_eq!(row.image, RawImage::Bytes(text.clone().into_bytes()));
                    assert_eq!(row.captions.all(), [text]);
                    assert_eq!(row.id.product.as_deref(), Some(number.to_string().as_str()));
                    assert_eq!(row.weight, Some(1.0));
                }
            }
        }
    }
}
