//! The products of an evaluation set, embedded: what the first rank gathers from all.

use super::listing::Listing;
use super::part::{Listed, Part, weighted};
use anyhow::{Context, Result, ensure};
use configs::{CaptionsUsed, Sides};
use eval::{Embeddings, Labels};
use std::collections::BTreeMap;

/// All products of the set, in its order.
pub struct Products {
    /// Ids and labels.
    pub listing: Listing,
    /// Rows of the set, counted over all shards.
    pub rows: Vec<u64>,
    /// Captions before cleaning.
    pub captions: Vec<Vec<String>>,
    width: usize,
    image: Vec<f32>,
    text: Vec<f32>,
}

/// With which product and which caption of the set a batch begins, by its number.
pub type Starts = BTreeMap<u64, (usize, usize)>;

impl Products {
    /// Puts the batches of all ranks into the order of the set. `columns` names the labels.
    ///
    /// # Errors
    /// When there is no product.
    pub fn assemble(
        parts: Vec<Part>,
        columns: &[String],
        width: usize,
        items: &[String],
    ) -> Result<(Self, Starts, Vec<String>)> {
        let mut batches = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let (mut row, mut caption) = (0, 0);
            for batch in &part.batches {
                batches.push((batch.number, batch, index, row, caption));
                row += batch.products.len();
                caption += batch.num_captions();
            }
        }
        batches.sort_by_key(|(number, ..)| *number);
        let mut all = Self {
            listing: Listing::new(columns),
            rows: Vec::new(),
            captions: Vec::new(),
            width,
            image: Vec::new(),
            text: Vec::new(),
        };
        let (mut starts, mut num_captions) = (Starts::new(), 0);
        for (number, batch, part, row, caption) in batches {
            starts.insert(number, (all.len(), num_captions));
            num_captions += batch.num_captions();
            let [image, text] = &parts[part].vectors;
            let (rows, captions) = (batch.products.len(), batch.num_captions());
            all.image.extend_from_slice(&image[row * width..(row + rows) * width]);
            all.text.extend_from_slice(&text[caption * width..(caption + captions) * width]);
            all.extend(batch, columns);
        }
        let warnings: Vec<String> = parts.into_iter().flat_map(|part| part.warnings).collect();
        ensure!(
            !all.listing.is_empty(),
            "no usable row in `{}`: {}",
            items.join("`, `"),
            warnings.first().map_or("the shards have no rows", String::as_str)
        );
        Ok((all, starts, warnings))
    }

    fn extend(&mut self, batch: &Listed, columns: &[String]) {
        self.listing.extend(&batch.products, columns, &batch.labels);
        self.rows.extend(&batch.rows);
        self.captions.extend(batch.captions.iter().cloned());
    }

    /// Number of products.
    pub fn len(&self) -> usize {
        self.listing.len()
    }

    /// Every product as the weighted sum of its picture and its first caption.
    ///
    /// # Errors
    /// What the model gave is no direction.
    pub fn embeddings(&self, sides: Sides) -> Result<Embeddings> {
        let firsts = self.first_captions().map(|at| &self.text[at * self.width..][..self.width]);
        let rows = weighted(sides, self.image.chunks_exact(self.width).zip(firsts));
        self.named(self.listing.ids.clone(), rows)
    }

    /// The captions that take part, and the product of each. The first one has its product's id, the
    /// second one `ID#2`, and so on.
    ///
    /// # Errors
    /// As [`Products::embeddings`].
    pub fn captions(&self, used: CaptionsUsed) -> Result<(Embeddings, Vec<usize>)> {
        let (mut ids, mut owners, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for (owner, (id, captions)) in self.listing.ids.iter().zip(&self.captions).enumerate() {
            let taken = match used {
                CaptionsUsed::First => 1,
                CaptionsUsed::All => captions.len(),
            };
            for nth in 0..taken {
                ids.push(if nth == 0 { id.clone() } else { format!("{id}#{}", nth + 1) });
                owners.push(owner);
            }
            rows.extend_from_slice(&self.text[at * self.width..][..taken * self.width]);
            at += captions.len();
        }
        Ok((self.named(ids, rows)?, owners))
    }

    /// The values of a slice column for queries that stand for the products `owners`: a label, or the
    /// number of words of their captions.
    pub fn slice(&self, column: &str, owners: &[usize], texts: &[&str]) -> Labels {
        if column == CAPTION_LENGTH {
            let words = texts.iter().map(|text| Some(text.split_whitespace().count() as f64));
            return Labels::binned(column, &words.collect::<Vec<_>>());
        }
        Labels { column: column.into(), values: self.labels_of(column, owners) }
    }

    /// Values of a label column for the products `owners`.
    pub fn labels_of(&self, column: &str, owners: &[usize]) -> Vec<Option<String>> {
        let values = self.listing.label(column);
        owners.iter().map(|owner| values.get(*owner).cloned().flatten()).collect()
    }

    fn first_captions(&self) -> impl Iterator<Item = usize> {
        self.captions.iter().scan(0, |next, captions| {
            let first = *next;
            *next += captions.len();
            Some(first)
        })
    }

    fn named(&self, ids: Vec<String>, rows: Vec<f32>) -> Result<Embeddings> {
        Embeddings::new(ids, self.width, rows).context("the model's embeddings")
    }
}

/// The slice that is no column: words of the caption.
pub const CAPTION_LENGTH: &str = "caption_length";
