//! The only part of an inspection that touches files: opening shards, and reading chosen rows of
//! them, with or without their pictures.

use crate::columns::{Roles, resolve};
use crate::order::Segment;
use crate::panics::caught;
use crate::row::{self, Place, RawRow};
use crate::shards::{Memo, Opened, Shards};
use crate::source::Access;
use crate::{DataError, cells};
use bytes::Bytes;
use configs::Columns;
use parquet::arrow::ProjectionMask;
use std::sync::Arc;

/// Rows decoded from Parquet at once.
const ROWS_AT_ONCE: u64 = 64;

/// Opened shards, to be read in pieces.
pub(super) struct Rows {
    pub shards: Arc<Shards>,
    /// The column that slices are counted by.
    pub slice: Option<String>,
}

/// What to read of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The columns that play a role.
    Roles,
    /// The same without the picture, and the slice.
    Texts,
}

/// One row, and its slice where there is such a column, it was asked for and is not null.
pub(super) struct Row {
    pub row: RawRow,
    pub slice: Option<String>,
}

impl Rows {
    /// Opens the shards, as [`Rows::of`].
    pub fn open(
        paths: &[String],
        columns: &Columns,
        slice: Option<&str>,
    ) -> Result<Self, DataError> {
        let (access, memo) = (Access::default(), Memo::default());
        let shards = Shards::open(paths, Roles::new(columns), access, &memo, 0.0)?;
        Self::of(Arc::new(shards), slice)
    }

    /// The rows of opened shards. `slice`: a column of text or integers; where it is `None`,
    /// `product_type` if there is such a column.
    pub fn of(shards: Arc<Shards>, slice: Option<&str>) -> Result<Self, DataError> {
        let name = slice.unwrap_or("product_type");
        for shard in 0..shards.files.len() {
            let (metadata, _) = shards.layout(shard)?;
            let schema = metadata.schema();
            let found = resolve(schema, name);
            if found.is_some_and(|(_, field)| crate::columns::is_product(field.data_type())) {
                continue;
            }
            if slice.is_none() {
                return Ok(Self { shards, slice: None });
            }
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let expected = format!(
                "a column of text or integers in every shard (`{}` has {})",
                shards.files[shard].path().display(),
                names.join(", ")
            );
            return Err(DataError::Config { field: "slice", expected, found: name.into() });
        }
        let slice = Some(name.to_owned());
        Ok(Self { shards, slice })
    }

    /// Rows of all shards.
    pub fn num_rows(&self) -> u64 {
        self.shards.num_rows
    }

    /// Pieces of `piece` consecutive rows, at least `rows` in all, evenly spread over the shards
    /// and in file order; a piece that crosses row groups is one segment for each. Every row
    /// where `rows` or more are asked for.
    pub fn spread(&self, rows: u64, piece: u64) -> Vec<Segment> {
        let groups = self.shards.groups.iter().enumerate();
        let filled = groups.filter(|(_, group)| group.rows > 0);
        if rows >= self.num_rows() {
            let whole = |(group, of): (usize, &crate::shards::Group)| Segment {
                group,
                first: 0,
                rows: of.rows,
            };
            return filled.map(whole).collect();
        }
        let mut end = 0;
        let ends: Vec<(usize, u64, u64)> = filled
            .map(|(index, group)| {
                end += group.rows;
                (index, end, group.rows)
            })
            .collect();
        let pieces = rows.div_ceil(piece);
        let mut at = 0; // rows before this one are taken or passed over
        let mut segments = Vec::new();
        for number in 0..pieces {
            let wide = u128::from(self.num_rows()) * (2 * u128::from(number) + 1);
            let middle = u64::try_from(wide / (2 * u128::from(pieces))).unwrap_or(u64::MAX);
            at = middle.saturating_sub(piece / 2).max(at);
            let piece_end = at + piece;
            while at < piece_end {
                let index = ends.partition_point(|(_, end, _)| *end <= at);
                let Some(&(group, end, rows)) = ends.get(index) else { break };
                let taken = piece_end.min(end) - at;
                segments.push(Segment { group, first: at + rows - end, rows: taken });
                at += taken;
            }
        }
        segments
    }

    /// Reads the rows of a segment, `each` called with one after the other.
    pub fn read(
        &self,
        segment: Segment,
        part: Part,
        mut each: impl FnMut(Row),
    ) -> Result<(), DataError> {
        let Segment { group: index, first, rows } = segment;
        let group = self.shards.groups[index];
        let file = &self.shards.files[group.shard];
        let fault = |row: u64, reason: String| DataError::Read {
            path: file.path().to_path_buf(),
            group: group.index,
            row,
            reason,
        };
        let opened = self.shards.opened(group.shard)?;
        let handle = file.object.open(&self.shards.access)?;
        let mut row = group.first_row + first;
        let projection = self.projection(&opened, part);
        let rows_read = first..first + rows;
        let build = || opened.batches(&handle, group.index, rows_read, projection, ROWS_AT_ONCE);
        let mut batches = understood(caught(build)).map_err(|reason| fault(row, reason))?;
        loop {
            let batch = understood(caught(|| batches.next().transpose()));
            let Some(batch) = batch.map_err(|reason| fault(row, reason))? else { break };
            let schema = batch.schema();
            let slice = self.slice.as_deref().filter(|_| part == Part::Texts);
            let slice = slice.and_then(|name| {
                let (path, _) = resolve(&schema, name)?;
                Some((cells::at_path(&batch, &path)?, path))
            });
            let place =
                Place { shard: file.path(), first_row: row, first_number: file.first_row + row };
            for (i, row) in row::rows(&batch, &self.shards.roles, &place).into_iter().enumerate() {
                let slice = slice.as_ref().and_then(|(array, path)| {
                    let null = cells::is_null(&batch, path, i);
                    cells::identity(array, i).filter(|_| !null)
                });
                each(Row { row, slice });
            }
            row += batch.num_rows() as u64;
        }
        let expected = group.first_row + first + rows;
        if row < expected {
            let reason = "the row group ends before its stated number of rows";
            return Err(fault(row, reason.into()));
        }
        Ok(())
    }

    /// The leaf columns of a part.
    fn projection(&self, opened: &Opened, part: Part) -> ProjectionMask {
        if part == Part::Roles {
            return opened.projection.clone();
        }
        let schema = opened.metadata.schema();
        let path = |name: &str| resolve(schema, name).map(|(path, _)| path);
        let picture = self.shards.roles.image.as_deref().and_then(path).unwrap_or_default();
        let slice = self.slice.as_deref().and_then(path);
        let parquet = opened.metadata.parquet_schema();
        let leaves = parquet.columns().iter().enumerate().filter(|(leaf, column)| {
            let parts = column.path().parts();
            let role = opened.projection.leaf_included(*leaf) && !parts.starts_with(&picture);
            role || slice.as_ref().is_some_and(|slice| parts.starts_with(slice))
        });
        ProjectionMask::leaves(parquet, leaves.map(|(leaf, _)| leaf))
    }

    /// The first bytes of a shard from `offset` on, at most `len`.
    pub fn head(&self, shard: usize, offset: u64, len: u64) -> Result<Bytes, DataError> {
        let object = &self.shards.files[shard].object;
        let end = offset.saturating_add(len).min(object.size);
        object.open(&self.shards.access)?.read(offset.min(end)..end)
    }

    /// Bytes of all shards.
    pub fn num_bytes(&self) -> u64 {
        self.shards.files.iter().map(|file| file.object.size).sum()
    }
}

/// What was read, or why it was not.
fn understood<T, E: std::fmt::Display>(outcome: Result<Result<T, E>, String>) -> Result<T, String> {
    outcome?.map_err(|error| error.to_string())
}
