//! Candidates within a group: which items a query may find, by a label on both sides.

use std::collections::HashMap;

/// A label per query and per item, such as the product type. A query's candidates are the items of
/// its label only. The empty label is one like any other.
#[derive(Clone, Debug)]
pub struct Pools {
    pub(crate) queries: Vec<u32>,
    pub(crate) items: Vec<u32>,
    /// Number of items by label.
    pub(crate) counts: Vec<usize>,
}

impl Pools {
    /// Takes the labels in the order of the query embeddings and of the items.
    pub fn new<Q: AsRef<str>, I: AsRef<str>>(queries: &[Q], items: &[I]) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut number = |label| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(label).or_insert(next)
        };
        let items: Vec<u32> = items.iter().map(|label| number(label.as_ref())).collect();
        let queries: Vec<u32> = queries.iter().map(|label| number(label.as_ref())).collect();
        let mut counts = vec![0; numbers.len()];
        for label in &items {
            counts[*label as usize] += 1;
        }
        Self { queries, items, counts }
    }
}
