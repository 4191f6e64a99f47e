//! What the crate hands out: batches of rows and the names of their samples.

use crate::Pixels;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Which row a sample came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SampleId {
    /// The shard's file.
    pub shard: Arc<Path>,
    /// The row in the shard, from 0.
    pub row: u64,
    /// The product id, where there is such a column and it is not null.
    pub product: Option<Arc<str>>,
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard `{}` row {}", self.shard.display(), self.row)?;
        match &self.product {
            Some(product) => write!(f, " (product `{product}`)"),
            None => Ok(()),
        }
    }
}

/// One training batch of this rank: B rows in an order that follows from seed and epoch alone.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// B x size x size x 3, RGB, not normalised.
    pub pixels: Pixels,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// B x length: one caption per row, padded with the pad id.
    pub token_ids: Vec<i64>,
    /// Tokens of the longest caption of the batch, at most the context length.
    pub length: usize,
    /// B stable hashes of the product ids. Rows with equal hashes are the same product.
    pub products: Vec<u64>,
    /// B stable hashes of the captions' tokens. Rows with equal hashes have the same caption.
    pub captions: Vec<u64>,
    /// B row weights; 1 where there is no weight column.
    pub weights: Vec<f32>,
    /// B names of rows.
    pub samples: Vec<SampleId>,
    /// B numbers of the samples in the epoch, over all ranks: what follows from (seed, epoch,
    /// number) alone is the same for any number of ranks.
    pub numbers: Vec<u64>,
    /// The epoch, from 0.
    pub epoch: u64,
}

impl Batch {
    /// B: rows of this batch.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether the batch has no rows (the loader never gives such a one).
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// Rows of an evaluation set, in shard and row order, with the picture as evaluation sees it.
/// B rows with C captions in all.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalBatch {
    /// B x size x size x 3, RGB, not normalised; empty where a scan gives no pictures.
    pub pixels: Vec<u8>,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// C x length, padded with the pad id: the captions of row 0, then of row 1, ...
    pub token_ids: Vec<i64>,
    /// Tokens of the longest caption of the batch, at most the context length.
    pub length: usize,
    /// C indices of rows: `caption_rows[c]` is the row of caption `c`.
    pub caption_rows: Vec<usize>,
    /// B lists of captions before cleaning, C texts in all.
    pub captions: Vec<Vec<String>>,
    /// B product ids; where there is none, the row's shard and number.
    pub products: Vec<String>,
    /// B values of each label column of [`crate::ScanOptions::labels`], in its order; `None` where
    /// null or empty.
    pub labels: Vec<Vec<Option<String>>>,
    /// B names of rows.
    pub samples: Vec<SampleId>,
    /// B numbers of rows, counted over all shards: what [`crate::ScanOptions::rows`] takes.
    pub rows: Vec<u64>,
    /// Number of the batch in the pass over all ranks, from 0.
    pub number: u64,
}

impl EvalBatch {
    /// B: rows of this batch.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether the batch has no rows (a scan never gives such a one).
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// Stacks token ids into rows of equal length: (flat ids, length).
pub(crate) fn pad<'a>(
    rows: impl Iterator<Item = &'a [i64]> + Clone,
    pad_id: i64,
) -> (Vec<i64>, usize) {
    let length = rows.clone().map(<[i64]>::len).max().unwrap_or(0);
    let mut flat = Vec::with_capacity(length * rows.clone().count());
    for ids in rows {
        flat.extend_from_slice(ids);
        flat.resize(flat.len() + length - ids.len(), pad_id);
    }
    (flat, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_prints_where_it_is() {
        let shard: Arc<Path> = Arc::from(Path::new("a/b.parquet"));
        let id = SampleId { shard, row: 12, product: Some("p7".into()) };
        assert_eq!(id.to_string(), "shard `a/b.parquet` row 12 (product `p7`)");
        assert_eq!(SampleId { product: None, ..id }.to_string(), "shard `a/b.parquet` row 12");
    }

    #[test]
    fn padding_goes_to_the_longest() {
        let rows: [&[i64]; 2] = [&[1, 2, 3], &[1, 3]];
        assert_eq!(pad(rows.into_iter(), 9), (vec![1, 2, 3, 1, 3, 9], 3));
    }
}
