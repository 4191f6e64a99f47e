//! From the journal to shards: groups, splits, a shuffled order, files.

use std::collections::HashSet;
use std::sync::Arc;

use configs::prepare::PrepareConfig;

use super::entry::RowMeta;
use super::journal::Place;
use crate::Split;
use crate::duplicates::groups;
use crate::split::stable_hash;

/// A row's place in the journal, and what its place in the shards follows from.
struct Listed {
    place: Place,
    /// Of its id: rows come in the order of these numbers, which is as good as random and stays
    /// when others are added.
    shuffle: u64,
    /// Of its own group's name.
    key: u64,
    phash: Option<u64>,
    /// The group that the catalogue gives.
    given: Option<Arc<str>>,
}

/// All rows of a run, in the catalogue's order.
#[derive(Default)]
pub(super) struct Listing {
    rows: Vec<Listed>,
    /// Each group once.
    given: HashSet<Arc<str>>,
}

/// One row where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub split: Split,
    pub place: Place,
    /// The row whose name its group has: the first that is listed.
    pub first: Place,
}

/// Where every row goes.
pub(super) struct Plan {
    /// By split, in the order of writing.
    pub rows: Vec<Placed>,
    /// Groups of more than one product, and the products in them.
    pub groups: u64,
    pub grouped: u64,
}

/// What a row's group is called: as the catalogue says, else by its id.
pub(super) fn group_name(meta: &RowMeta) -> &str {
    meta.group.as_deref().unwrap_or(&meta.product_id)
}

impl Listing {
    /// Adds the next row.
    pub fn add(&mut self, meta: &RowMeta, place: Place) {
        let given = meta.group.as_deref().map(|group| match self.given.get(group) {
            Some(known) => known.clone(),
            None => {
                let new: Arc<str> = group.into();
                self.given.insert(new.clone());
                new
            }
        });
        self.rows.push(Listed {
            place,
            shuffle: stable_hash(&format!("order\n{}", meta.product_id)),
            key: stable_hash(group_name(meta)),
            phash: meta.phash,
            given,
        });
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Joins rows into groups, and sends each group to a split.
    pub fn plan(&self, cfg: &PrepareConfig) -> Plan {
        let hashes: Vec<Option<u64>> = self.rows.iter().map(|row| row.phash).collect();
        let given: Vec<Option<Arc<str>>> = self.rows.iter().map(|row| row.given.clone()).collect();
        let firsts = groups(&hashes, &given, cfg.duplicates.max_distance);
        let mut sizes = vec![0_u64; self.rows.len()];
        firsts.iter().for_each(|&first| sizes[first as usize] += 1);
        let mut rows: Vec<(Split, u64, usize)> = Vec::with_capacity(self.rows.len());
        for (i, (row, &first)) in self.rows.iter().zip(&firsts).enumerate() {
            let split = Split::of_hash(self.rows[first as usize].key, &cfg.output.splits);
            rows.push((split, row.shuffle, i));
        }
        rows.sort_unstable();
        let placed = |(split, _, i): (Split, u64, usize)| Placed {
            split,
            place: self.rows[i].place,
            first: self.rows[firsts[i] as usize].place,
        };
        let grouped = sizes.iter().filter(|&&size| size > 1);
        Plan {
            groups: grouped.clone().count() as u64,
            grouped: grouped.sum(),
            rows: rows.into_iter().map(placed).collect(),
        }
    }
}
