//! What one rank embeds of the evaluation set: whole batches of it.

use super::{EvalSet, Gathered};
use crate::encoder::{Encoder, unit};
use anyhow::Result;
use configs::{CaptionsUsed, Sides};
use data::{Captions, Scan, ScanOptions, Shard};
use serde::{Deserialize, Serialize};

/// A rank's share of the products: its batches in order, with pictures and captions as rows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// What is in each batch.
    pub batches: Vec<Listed>,
    /// Rows that could not be used, a few lines per cause.
    pub warnings: Vec<String>,
    /// Unit vectors of the pictures [rows, D] and of the captions [captions, D].
    #[serde(skip)]
    pub vectors: [Vec<f32>; 2],
}

/// What is in a batch of the set.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its number in the set.
    pub number: u64,
    /// Product ids.
    pub products: Vec<String>,
    /// Rows of the set, counted over all shards.
    pub rows: Vec<u64>,
    /// Each product's captions.
    pub captions: Vec<Vec<String>>,
    /// Each label column's values.
    pub labels: Vec<Vec<Option<String>>>,
}

impl Part {
    /// Embeds this rank's share of the distinct products: picture and captions of each one's first
    /// row, with the columns `labels`.
    ///
    /// # Errors
    /// When the shards cannot be read.
    pub fn embed(
        encoder: &Encoder,
        set: &EvalSet,
        labels: &[String],
        shard: Shard,
        mut progress: impl FnMut(usize),
    ) -> Result<Self> {
        let every = set.tasks.iter().any(|task| task.captions == Some(CaptionsUsed::All));
        let options = ScanOptions {
            batch: set.batch,
            shard,
            captions: if every { Captions::All } else { Captions::First },
            distinct_products: true,
            workers: set.workers,
            max_bad_fraction: set.max_bad_fraction,
            labels: labels.to_vec(),
            ..ScanOptions::default()
        };
        let tokenizer = encoder.dir.tokenizer.clone();
        let picture = &encoder.dir.picture;
        let mut scan = Scan::open(&set.items, &set.columns, tokenizer, picture, &options)?;
        let mut part = Self::default();
        let mut done = 0;
        for batch in scan.by_ref() {
            let batch = batch?;
            for (vectors, rows) in part.vectors.iter_mut().zip(encoder.pairs(&batch)?) {
                vectors.extend(rows);
            }
            done += batch.len();
            part.batches.push(Listed {
                number: batch.number,
                products: batch.products,
                rows: batch.rows,
                captions: batch.captions,
                labels: batch.labels,
            });
            progress(done);
        }
        part.warnings = scan.drain_warnings();
        Ok(part)
    }

    /// This rank's share of a pool, where `starts` says with which product and which caption of the
    /// set each batch begins: blocks of rows, each with the index of its first in the pool.
    pub fn share(
        &self,
        pool: Gathered,
        width: usize,
        starts: &std::collections::BTreeMap<u64, (usize, usize)>,
    ) -> Vec<(usize, Vec<f32>)> {
        let [image, text] = &self.vectors;
        let mut blocks = Vec::new();
        let (mut row, mut caption) = (0, 0);
        for batch in &self.batches {
            let (first_row, first_caption) = starts[&batch.number];
            let (rows, captions) = (batch.products.len(), batch.num_captions());
            let image = &image[row * width..(row + rows) * width];
            let text = &text[caption * width..(caption + captions) * width];
            blocks.push(match pool {
                Gathered::Captions => (first_caption, text.to_vec()),
                Gathered::Products(sides) => {
                    let firsts = batch.first_captions().map(|at| &text[at * width..][..width]);
                    (first_row, weighted(sides, image.chunks_exact(width).zip(firsts)))
                }
            });
            row += rows;
            caption += captions;
        }
        blocks
    }
}

impl Listed {
    /// Captions of all products.
    pub fn num_captions(&self) -> usize {
        self.captions.iter().map(Vec::len).sum()
    }

    /// Where each product's first caption stands among those of the batch.
    pub fn first_captions(&self) -> impl Iterator<Item = usize> {
        self.captions.iter().scan(0, |next, captions| {
            let first = *next;
            *next += captions.len();
            Some(first)
        })
    }
}

/// The weighted sums of pictures and texts, brought to unit norm; a side alone stays as it is.
pub fn weighted<'a>(sides: Sides, pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Vec<f32> {
    let mut rows = Vec::new();
    for (image, text) in pairs {
        if sides.text == 0.0 {
            rows.extend_from_slice(image);
        } else if sides.image == 0.0 {
            rows.extend_from_slice(text);
        } else {
            let start = rows.len();
            rows.extend(image.iter().zip(text).map(|(image, text)| {
                (f64::from(*image) * sides.image + f64::from(*text) * sides.text) as f32
            }));
            unit(&mut rows[start..]);
        }
    }
    rows
}
