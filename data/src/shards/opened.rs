//! A shard about to be read: its footer parsed, and where its pages lie.

use super::thrift::walk;
use super::{ShardFile, arrow_metadata};
use crate::DataError;
use crate::columns::Roles;
use crate::source::Access;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use std::collections::HashMap;
use std::ops::Range;

/// What a [`crate::reader::Reader`] needs to know of a shard.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The footer.
    pub metadata: ArrowReaderMetadata,
    /// The leaf columns to read; all others stay where they are.
    pub projection: ProjectionMask,
    /// Whether the places of all pages to read are known, so that reading may begin anywhere.
    pub indexed: bool,
    /// The pages' places, by row group and leaf column.
    pages: HashMap<(usize, usize), Vec<PageLocation>>,
}

impl Opened {
    pub(super) fn new(
        file: &ShardFile,
        metadata: ParquetMetaData,
        roles: &Roles,
        access: &Access,
    ) -> Result<Self, DataError> {
        let arrow = arrow_metadata(metadata, file.path())?;
        let projection = roles.projection(arrow.schema(), arrow.parquet_schema());
        let leaves: Vec<usize> = (0..arrow.parquet_schema().num_columns())
            .filter(|leaf| projection.leaf_included(*leaf))
            .collect();
        let pages = page_locations(file, &arrow, &leaves, access)?;
        Ok(Self {
            metadata: arrow,
            projection,
            indexed: pages.is_some(),
            pages: pages.unwrap_or_default(),
        })
    }

    /// Where the pages of a leaf column of a row group lie, where that is known.
    pub fn pages(&self, group: usize, leaf: usize) -> Option<&[PageLocation]> {
        self.pages.get(&(group, leaf)).map(Vec::as_slice)
    }

    /// The bytes that reading `rows` rows from `first` of a row group takes: of its whole columns
    /// where pages are not known.
    pub fn byte_ranges(&self, group: usize, first: u64, rows: u64) -> Vec<Range<u64>> {
        let columns = self.metadata.metadata().row_group(group).columns().iter().enumerate();
        columns
            .filter(|(leaf, _)| self.projection.leaf_included(*leaf))
            .flat_map(|(leaf, column)| {
                let (start, length) = column.byte_range();
                let whole = start..start + length;
                let Some(pages) = self.pages(group, leaf) else { return vec![whole] };
                let row = |page: usize| pages[page].first_row_index.cast_unsigned();
                let place = |page: usize| pages[page].offset.cast_unsigned();
                let from = (1..pages.len()).take_while(|&page| row(page) <= first).last();
                let after = (1..pages.len()).find(|&page| row(page) >= first + rows);
                let (Some(_), from) = (pages.first(), from.unwrap_or(0)) else {
                    return vec![whole];
                };
                let end = after.map_or(whole.end, place);
                // Before the first page there may be a dictionary.
                let dictionary = whole.start..place(0).max(whole.start);
                match from {
                    0 => vec![Range { start: whole.start, end }],
                    _ => vec![dictionary, place(from)..end],
                }
            })
            .filter(|range| !range.is_empty())
            .collect()
    }
}

/// Where the pages of some leaf columns lie, by row group and leaf: nothing where the file does not say
/// so of all of them, or says what cannot be. A page index only tells where pages are; without it
/// they are found one by one.
#[expect(clippy::type_complexity, reason = "a map that is used here alone")]
fn page_locations(
    file: &ShardFile,
    metadata: &ArrowReaderMetadata,
    leaves: &[usize],
    access: &Access,
) -> Result<Option<HashMap<(usize, usize), Vec<PageLocation>>>, DataError> {
    let groups = || metadata.metadata().row_groups().iter().enumerate();
    let has_index = |column: &ColumnChunkMetaData| column.offset_index_offset().is_some();
    if !groups().all(|(_, group)| leaves.iter().all(|leaf| has_index(group.column(*leaf)))) {
        return Ok(None);
    }
    let handle = file.object.open(access)?;
    let mut all = HashMap::new();
    for (index, group) in groups() {
        for leaf in leaves {
            let column = group.column(*leaf);
            let place = (column.offset_index_offset(), column.offset_index_length());
            let (Some(start), Some(length)) = place else { return Ok(None) };
            let (Ok(start), Ok(length)) = (start.try_into(), length.try_into()) else {
                return Ok(None);
            };
            let bytes = handle.read_for_parquet(start, length);
            if let Some(error) = handle.failure() {
                return Err(error);
            }
            let pages = bytes.ok().and_then(|bytes| parse(&bytes));
            match pages.filter(|pages| are_possible(pages, column, group.num_rows())) {
                Some(pages) => all.insert((index, *leaf), pages),
                None => return Ok(None),
            };
        }
    }
    Ok(Some(all))
}

/// The pages that an offset index lists.
fn parse(index: &[u8]) -> Option<Vec<PageLocation>> {
    let [mut offsets, mut sizes, mut rows] = [const { Vec::new() }; 3];
    walk(index, |path, value| match path {
        [1, 0, 1] => offsets.push(value),
        [1, 0, 2] => sizes.push(value),
        [1, 0, 3] => rows.push(value),
        _ => {}
    })
    .ok()?;
    if sizes.len() != offsets.len() || rows.len() != offsets.len() {
        return None;
    }
    let pages = offsets.into_iter().zip(sizes).zip(rows);
    pages
        .map(|((offset, size), first_row_index)| {
            let compressed_page_size = size.try_into().ok()?;
            Some(PageLocation { offset, compressed_page_size, first_row_index })
        })
        .collect()
}

/// Whether pages lie within their column, one after the other, and begin with its rows.
fn are_possible(pages: &[PageLocation], column: &ColumnChunkMetaData, rows: i64) -> bool {
    let (start, length) = column.byte_range();
    let (start, end) = (start.cast_signed(), start.saturating_add(length).cast_signed());
    let mut at = start;
    let mut row = -1;
    let in_order = pages.iter().all(|page| {
        let place = page.offset >= at && page.compressed_page_size > 0;
        let fits = place && page.first_row_index > row && page.first_row_index < rows;
        at = page.offset.saturating_add(page.compressed_page_size.into());
        row = page.first_row_index;
        fits && at <= end
    });
    in_order && (rows == 0 || pages.first().is_some_and(|page| page.first_row_index == 0))
}
