//! A shard about to be read: its footer parsed, and where its pages lie.

use super::{ShardFile, arrow_metadata};
use crate::DataError;
use crate::columns::Roles;
use crate::source::Access;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
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
}

impl Opened {
    pub(super) fn new(
        file: &ShardFile,
        metadata: ParquetMetaData,
        roles: &Roles,
        access: &Access,
    ) -> Result<Self, DataError> {
        let arrow = arrow_metadata(metadata.clone(), file.path())?;
        let projection = roles.projection(arrow.schema(), arrow.parquet_schema());
        let leaves: Vec<usize> = (0..arrow.parquet_schema().num_columns())
            .filter(|leaf| projection.leaf_included(*leaf))
            .collect();
        let indexed = metadata.row_groups().iter().all(|group| {
            leaves.iter().all(|leaf| {
                let column = group.columns().get(*leaf);
                column.is_some_and(|column| column.offset_index_offset().is_some())
            })
        });
        if !indexed {
            return Ok(Self { metadata: arrow, projection, indexed });
        }
        let handle = file.object.open(access)?;
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_offset_index_mask(ColumnChunkMask::columns(leaves));
        let read = reader.read_page_indexes(&handle).and_then(|()| reader.finish());
        match (read, handle.failure()) {
            (_, Some(error)) => Err(error),
            // A page index only tells where pages are; without it they are found one by one.
            (Err(_), None) => Ok(Self { metadata: arrow, projection, indexed: false }),
            (Ok(metadata), None) => {
                let metadata = arrow_metadata(metadata, file.path())?;
                Ok(Self { metadata, projection, indexed })
            }
        }
    }

    /// The stored size of a row group's largest page to read, where pages are known.
    pub fn largest_page(&self, group: usize) -> Option<u64> {
        let metadata = self.metadata.metadata();
        let index = metadata.page_index_for_row_group(group);
        let leaves = 0..metadata.row_group(group).num_columns();
        let pages = leaves.filter(|leaf| self.indexed && self.projection.leaf_included(*leaf));
        let pages = pages.filter_map(|leaf| Some(index.offset_index(leaf)?.page_locations()));
        let sizes = pages.flatten().map(|page| u64::try_from(page.compressed_page_size));
        sizes.map(|size| size.unwrap_or(u64::MAX)).max()
    }

    /// The bytes that reading `rows` rows from `first` of a row group takes: of its whole columns
    /// where pages are not known.
    pub fn byte_ranges(&self, group: usize, first: u64, rows: u64) -> Vec<Range<u64>> {
        let metadata = self.metadata.metadata();
        let index = metadata.page_index_for_row_group(group);
        let columns = metadata.row_group(group).columns().iter().enumerate();
        columns
            .filter(|(leaf, _)| self.projection.leaf_included(*leaf))
            .flat_map(|(leaf, column)| {
                let (start, length) = column.byte_range();
                let whole = start..start.saturating_add(length);
                let pages = index.offset_index(leaf).filter(|_| self.indexed);
                let pages = pages.map_or(&[][..], |pages| pages.page_locations());
                let row = |page: usize| pages[page].first_row_index.cast_unsigned();
                let place = |page: usize| pages[page].offset.cast_unsigned();
                let from = (1..pages.len()).take_while(|&page| row(page) <= first).last();
                let after = (1..pages.len()).find(|&page| row(page) >= first + rows);
                let end = after.map_or(whole.end, place);
                match from {
                    // Before the first page there may be a dictionary.
                    Some(from) => [whole.start..place(0), place(from)..end],
                    None => [whole.start..end, 0..0],
                }
            })
            .filter(|range| !range.is_empty())
            .collect()
    }
}
