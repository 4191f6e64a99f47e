//! Rows read one after the other, few at a time, only the columns that the roles need.

use crate::order::Segment;
use crate::panics::caught;
use crate::row::{self, Place, RawImage, RawRow};
use crate::shards::{Group, Opened, ShardFile, Shards};
use crate::source::Handle;
use crate::{DataError, SampleId};
use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::collections::VecDeque;
use std::sync::Arc;

/// The most rows decoded from Parquet at once.
const MAX_ROWS_AT_ONCE: u64 = 64;
/// The bytes decoded at once, as far as the row group's mean row tells: memory follows the windows
/// and not the row groups, and no Arrow array of pictures comes near its limit of 2 GiB.
const BYTES_AT_ONCE: u64 = 16 << 20;

/// The bytes of pages that all streams of a loader may keep in open row groups between windows.
///
/// An open row group holds a page of every column, and writers differ a thousandfold in page size
/// (pyarrow puts 1,024 pictures in one). Where the pages of all streams are more than this, row
/// groups are closed after each window and opened again at the next: a page is then read more than
/// once, but memory stays bounded. Over a network a row group without a page index stays open all
/// the same, for finding a place in its middle takes reading up to there.
pub(crate) const KEEP_OPEN_BYTES: u64 = 64 << 20;
/// Rows of a page, where nothing tells: what pyarrow writes.
const PAGE_ROWS: u64 = 1024;
/// The stored size of a row group that is fetched in one piece over a network.
const FETCH_WHOLE_BYTES: u64 = 16 << 20;

/// Reads segments of row groups.
pub(crate) struct Reader {
    shards: Arc<Shards>,
    /// Row groups with pages up to this size stay open, so that the segment that follows needs no
    /// seeking.
    keep_bytes: u64,
    open: Option<OpenGroup>,
}

struct OpenGroup {
    group: usize,
    /// The row of the group that `rows` begins with.
    next: u64,
    batches: ParquetRecordBatchReader,
    rows: VecDeque<RawRow>,
    handle: Handle,
    keep: bool,
}

/// Why rows were not read.
enum Fault {
    /// For what the bytes of these rows say.
    Damage(String),
    /// For another reason: nothing can be read.
    Other(DataError),
}

impl Reader {
    /// A reader that has read nothing yet and keeps a row group open whose pages have up to
    /// `keep_bytes`.
    pub fn new(shards: Arc<Shards>, keep_bytes: u64) -> Self {
        Self { shards, keep_bytes, open: None }
    }

    /// Reads the rows of a segment, `each` called with one after the other. Rows that a damaged
    /// page hides come as such.
    pub fn read(
        &mut self,
        segment: Segment,
        mut each: impl FnMut(RawRow),
    ) -> Result<(), DataError> {
        let end = segment.first + segment.rows;
        let mut at = segment.first;
        while at < end {
            let left = Segment { first: at, rows: end - at, ..segment };
            let fault = match self.read_on(left, &mut at, &mut each) {
                Ok(()) => return Ok(()),
                Err(Fault::Other(error)) => return Err(error),
                Err(Fault::Damage(reason)) => reason,
            };
            // The rows decoded together fail together: one by one, the good ones come through.
            let group = self.shards.groups[segment.group];
            let together = at..end.min(at + rows_at_once(group));
            for row in together {
                let one = Segment { first: row, rows: 1, ..segment };
                match self.read_on(one, &mut at, &mut each) {
                    Ok(()) => {}
                    Err(Fault::Other(error)) => return Err(error),
                    Err(Fault::Damage(_)) => {
                        each(self.damaged(group, row, &fault));
                        at = row + 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads rows until the segment ends or damage is met; `at` moves with them.
    fn read_on(
        &mut self,
        segment: Segment,
        at: &mut u64,
        each: &mut impl FnMut(RawRow),
    ) -> Result<(), Fault> {
        let group = self.shards.groups[segment.group];
        let fits = |open: &OpenGroup| open.group == segment.group && open.next == segment.first;
        let mut open = match self.open.take().filter(fits) {
            Some(open) => open,
            None => self.open_group(segment, group)?,
        };
        for _ in 0..segment.rows {
            while open.rows.is_empty() {
                let batch = next_batch(&mut open)?;
                let first_row = group.first_row + open.next;
                let file = &self.shards.files[group.shard];
                let first_number = file.first_row + first_row;
                let place = Place { shard: file.path(), first_row, first_number };
                let mut rows = row::rows(&batch, &self.shards.roles, &place);
                if file.object.is_remote() {
                    rows.iter_mut().try_for_each(|row| self.fetch_beside(file, row))?;
                }
                open.rows.extend(rows);
            }
            if let Some(row) = open.rows.pop_front() {
                open.next += 1;
                *at += 1;
                each(row);
            }
        }
        if open.next < group.rows && open.keep {
            self.open = Some(open);
        }
        Ok(())
    }

    fn open_group(&self, segment: Segment, group: Group) -> Result<OpenGroup, Fault> {
        let Segment { group: index, first, rows } = segment;
        let file = &self.shards.files[group.shard];
        let opened = self.shards.opened(group.shard).map_err(Fault::Other)?;
        let handle = file.object.open(&self.shards.access).map_err(Fault::Other)?;
        let remote = file.object.is_remote();
        let pages = opened.largest_page(group.index).unwrap_or_else(|| page_bytes(group));
        let keep = pages <= self.keep_bytes || (remote && !opened.indexed);
        if remote {
            prefetch(&handle, &opened, segment, group).map_err(Fault::Other)?;
        }
        let end = if keep { group.rows } else { first + rows };
        let at_once = rows_at_once(group).min(rows);
        let projection = opened.projection.clone();
        let build = || opened.batches(&handle, group.index, first..end, projection, at_once);
        let batches = understood(caught(build), &handle)?;
        Ok(OpenGroup { group: index, next: first, batches, rows: VecDeque::new(), handle, keep })
    }

    /// Fetches a picture that lies in a file of its own beside a remote shard. One that is not
    /// there stays as it is, to be counted with its name.
    fn fetch_beside(&self, file: &ShardFile, row: &mut RawRow) -> Result<(), Fault> {
        let RawImage::File(path) = &row.image else { return Ok(()) };
        let folder = file.path().parent();
        let Some(name) = folder.and_then(|folder| path.strip_prefix(folder).ok()) else {
            return Ok(());
        };
        let found = file.object.sibling(&name.to_string_lossy()).map_err(Fault::Other)?;
        if let Some(object) = found {
            let handle = object.open(&self.shards.access).map_err(Fault::Other)?;
            let bytes = handle.read(0..object.size).map_err(Fault::Other)?;
            row.image = RawImage::Bytes(bytes.into());
        }
        Ok(())
    }

    /// A row that cannot be read.
    fn damaged(&self, group: Group, row: u64, reason: &str) -> RawRow {
        let file = &self.shards.files[group.shard];
        let row = group.first_row + row;
        let reason = format!("row group {}: {reason}", group.index);
        let id = SampleId { shard: file.path().clone(), row, product: None };
        RawRow::unreadable(&self.shards.roles, id, file.first_row + row, reason)
    }
}

/// Rows of a group that are decoded at once.
fn rows_at_once(group: Group) -> u64 {
    (BYTES_AT_ONCE / row_bytes(group)).clamp(1, MAX_ROWS_AT_ONCE)
}

/// A guess at the size of a group's largest page.
fn page_bytes(group: Group) -> u64 {
    group.bytes.min((row_bytes(group) * PAGE_ROWS).max(1 << 20))
}

fn row_bytes(group: Group) -> u64 {
    group.bytes.checked_div(group.rows).unwrap_or(0).max(1)
}

/// Fetches what is about to be read in as few requests as memory allows.
fn prefetch(
    handle: &Handle,
    opened: &Opened,
    segment: Segment,
    group: Group,
) -> Result<(), DataError> {
    if opened.indexed {
        handle.prefetch(&opened.byte_ranges(group.index, segment.first, segment.rows))
    } else if group.stored_bytes <= FETCH_WHOLE_BYTES {
        handle.prefetch(&opened.byte_ranges(group.index, 0, group.rows))
    } else {
        Ok(())
    }
}

fn next_batch(open: &mut OpenGroup) -> Result<RecordBatch, Fault> {
    let next = caught(|| open.batches.next().transpose());
    let ended = || "the row group ends before its stated number of rows".to_owned();
    understood(next, &open.handle)?.ok_or_else(|| Fault::Damage(ended()))
}

/// Tells damaged bytes, on which parquet's reader may also panic, from bytes that did not come.
fn understood<T, E: std::fmt::Display>(
    outcome: Result<Result<T, E>, String>,
    handle: &Handle,
) -> Result<T, Fault> {
    if let Some(error) = handle.failure() {
        return Err(Fault::Other(error));
    }
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::Damage(error.to_string())),
        Err(panic) => Err(Fault::Damage(panic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Roles;
    use crate::shards::Memo;
    use crate::source::Access;
    use arrow_array::{BinaryArray, Int32Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use std::fs::File;
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
        let (roles, memo) = (Roles::new(&configs::Columns::default()), Memo::default());
        Arc::new(Shards::open(&paths, roles, Access::default(), &memo, 0.0).unwrap())
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
