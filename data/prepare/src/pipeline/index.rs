//! `index.json`: what a set of shards holds and what it was made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{RejectMeta, RowMeta};
use super::identity::Identity;
use crate::{CONTRACT_VERSION, ShardFile, Split};

/// What a set of shards holds, and what it was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    /// Version of this program.
    pub vlclip: String,
    /// Version of the shard contract.
    pub contract: u32,
    /// SHA-256 of what the rows follow from.
    pub identity_sha256: String,
    /// The shards of each split.
    pub splits: BTreeMap<Split, Vec<ShardFile>>,
    /// Counts over all rows.
    pub counts: Tally,
    pub(super) identity: Identity,
}

/// Counts over all products of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows of the catalogue.
    pub products: u64,
    /// Rows of the shards.
    pub rows: u64,
    /// By what the crop is.
    pub grounding: BTreeMap<String, u64>,
    /// By why the caption agent stopped.
    pub caption_stop: BTreeMap<String, u64>,
    /// By rounds of criticism and refinement.
    pub caption_rounds: BTreeMap<u32, u64>,
    /// By the model that wrote the caption.
    pub caption_model: BTreeMap<String, u64>,
    /// By product type.
    pub product_type: BTreeMap<String, u64>,
    /// Groups of more than one product.
    pub groups: u64,
    /// Products in these.
    pub grouped: u64,
    /// Rejected products by cause.
    pub rejected: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn row(&mut self, meta: &RowMeta) {
        self.products += 1;
        self.rows += 1;
        add(&mut self.grounding, meta.grounding.name());
        add(&mut self.caption_stop, &meta.caption_stop);
        *self.caption_rounds.entry(meta.caption_rounds).or_default() += 1;
        if !meta.caption_model.is_empty() {
            add(&mut self.caption_model, &meta.caption_model);
        }
        add(&mut self.product_type, &meta.product_type);
    }

    pub(super) fn reject(&mut self, meta: &RejectMeta) {
        self.products += 1;
        add(&mut self.rejected, &meta.cause);
    }

    /// Rejected products.
    pub fn num_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

impl Index {
    pub(super) fn new(
        identity: Identity,
        identity_sha256: String,
        counts: Tally,
        splits: BTreeMap<Split, Vec<ShardFile>>,
    ) -> Self {
        Self {
            vlclip: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT_VERSION,
            identity_sha256,
            splits,
            counts,
            identity,
        }
    }

    /// Rows of a split.
    pub fn rows(&self, split: Split) -> u64 {
        self.splits.get(&split).into_iter().flatten().map(|file| file.rows).sum()
    }

    /// Bytes of all shards.
    pub fn bytes(&self) -> u64 {
        self.splits.values().flatten().map(|file| file.bytes).sum()
    }
}
