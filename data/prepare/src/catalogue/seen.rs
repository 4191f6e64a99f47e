//! The ids met so far, and where: a number per product, not its text.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};

use super::files::CatalogueFile;
use crate::RowRef;

/// Where each id stood first, by 64 bits of its hash: among ten million products two share them
/// with a probability of 3e-6.
#[derive(Default)]
pub(super) struct Seen(HashMap<u64, First>);

/// Where an id stood first.
#[derive(Clone, Copy)]
pub(super) struct First {
    /// The file's index in the upper 24 bits, below it the line, or in Parquet the row.
    packed: u64,
}

const ROW_BITS: u32 = 40;

impl Seen {
    /// Notes an id; returns where it stood before, if it did.
    pub(super) fn add(&mut self, id: &str, at: &RowRef) -> Option<First> {
        // Without keys of its own it is the same in every run.
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let packed = ((at.file_index as u64) << ROW_BITS) | at.line.unwrap_or(at.row);
        match self.0.entry(hasher.finish()) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(First { packed });
                None
            }
        }
    }
}

impl First {
    /// What a later row with the id is told; `here`: its file.
    pub(super) fn describe(self, files: &[CatalogueFile], here: usize) -> String {
        let number = self.packed & ((1 << ROW_BITS) - 1);
        let file = (self.packed >> ROW_BITS) as usize;
        let of = files.get(file).filter(|_| file != here);
        let of = of.map_or_else(String::new, |file| format!(" of `{}`", file.path().display()));
        let lines = files.get(file).is_some_and(CatalogueFile::has_lines);
        let unit = if lines { "line" } else { "row" };
        format!("the id is that of {unit} {number}{of}, which is kept; ids must differ")
    }
}
