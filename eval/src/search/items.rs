//! Where the items of a search come from: rows in blocks, in memory or from a file, the whole pool
//! or one share of it. Owns what a block may be; checks each one as it passes.

use crate::embeddings::check_rows;
use crate::{Embeddings, EvalError};
use std::borrow::Cow;

/// Rows that a matrix in memory hands out at a time.
const MEMORY_BLOCK: usize = 16_384;

/// Consecutive rows of the pool, row-major, of unit norm.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    first: usize,
    values: Cow<'a, [f32]>,
    /// Rows of an [`Embeddings`] were checked when it was made.
    checked: bool,
}

impl<'a> Block<'a> {
    /// The items from index `first` of the pool on. The search checks the values.
    pub fn new(first: usize, values: impl Into<Cow<'a, [f32]>>) -> Self {
        Self { first, values: values.into(), checked: false }
    }
}

/// The items of a search, block by block. What implements it needs memory for a block or two only.
pub trait Items {
    /// Components per row.
    fn width(&self) -> usize;

    /// The blocks, by ascending index of their first row and none twice. A share of the pool has
    /// gaps between them. A search calls this twice: for the relevant items, then for all.
    ///
    /// # Errors
    /// What the source of the rows returns; the search ends with it.
    fn blocks(&self) -> Box<dyn Iterator<Item = Result<Block<'_>, EvalError>> + '_>;
}

impl Items for Embeddings {
    fn width(&self) -> usize {
        self.width()
    }

    fn blocks(&self) -> Box<dyn Iterator<Item = Result<Block<'_>, EvalError>> + '_> {
        let blocks = self.values().chunks(MEMORY_BLOCK * self.width());
        Box::new(blocks.zip((0..).step_by(MEMORY_BLOCK)).map(|(values, first)| {
            Ok(Block { first, values: Cow::Borrowed(values), checked: true })
        }))
    }
}

/// A share of the pool in memory: the batches that one rank embedded, say.
#[derive(Clone, Debug)]
pub struct ItemShare {
    pub(super) width: usize,
    pub(super) blocks: Vec<(usize, Vec<f32>)>,
}

impl ItemShare {
    /// Takes blocks of rows of `width` values, each with the pool index of its first row, in any
    /// order. The rows must be of unit norm; the search checks them.
    pub fn new(width: usize, mut blocks: Vec<(usize, Vec<f32>)>) -> Self {
        blocks.sort_by_key(|(first, _)| *first);
        Self { width, blocks }
    }
}

impl Items for ItemShare {
    fn width(&self) -> usize {
        self.width
    }

    fn blocks(&self) -> Box<dyn Iterator<Item = Result<Block<'_>, EvalError>> + '_> {
        Box::new(self.blocks.iter().map(|(first, values)| Ok(Block::new(*first, &values[..]))))
    }
}

/// An item: its index in the pool and its values.
pub(crate) type Row<'a> = (u32, &'a [f32]);

/// A block that was checked against the pool.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub first: usize,
    pub len: usize,
    width: usize,
    values: Cow<'a, [f32]>,
}

impl Rows<'_> {
    /// The rows with their index in the pool.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        // `Search` has at most u32::MAX items.
        let first = u32::try_from(self.first).unwrap_or(u32::MAX);
        (first..).zip(self.values.chunks_exact(self.width))
    }

    /// Row `item` of the pool, which this block holds.
    pub(crate) fn row(&self, item: u32) -> &[f32] {
        let at = item as usize - self.first;
        &self.values[at * self.width..(at + 1) * self.width]
    }
}

/// The non-empty blocks of `items`, each checked: whole finite rows of unit norm, within the pool
/// of `ids` and after the block before it.
pub(crate) fn checked_blocks<'a>(
    items: &'a (impl Items + ?Sized),
    ids: &'a [String],
) -> impl Iterator<Item = Result<Rows<'a>, EvalError>> {
    let (width, mut end) = (items.width(), 0);
    let check = move |block: Result<Block<'a>, EvalError>| {
        let Block { first, values, checked } = block?;
        if !values.len().is_multiple_of(width) {
            return Err(EvalError::BlockShape { first, width, found: values.len() });
        }
        let len = values.len() / width;
        if first < end {
            return Err(EvalError::BlockOrder { first, end });
        }
        end = first.saturating_add(len);
        let Some(ids) = ids.get(first..end) else {
            return Err(EvalError::BlockBeyondPool { first, end, items: ids.len() });
        };
        if !checked {
            check_rows(ids, first, width, &values)?;
        }
        Ok(Rows { first, len, width, values })
    };
    items.blocks().map(check).filter(|rows| !matches!(rows, Ok(rows) if rows.len == 0))
}
