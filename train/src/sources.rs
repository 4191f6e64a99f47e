//! How many training pairs each source of a mixture gave.

use crate::dist::Group;
use anyhow::Result;
use data::Counts;
use std::collections::BTreeMap;

/// Counts of the ranks, told from one report to the next.
#[derive(Debug, Default)]
pub struct SourceCounts {
    told: BTreeMap<String, u64>,
}

impl SourceCounts {
    /// Pairs by source since the last call, over all ranks; empty where there is one source. With
    /// several sources a collective: every rank must call it.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn since_last(&mut self, counts: &Counts, group: &Group) -> Result<BTreeMap<String, u64>> {
        if counts.sources.is_empty() {
            return Ok(BTreeMap::new());
        }
        let told = std::mem::replace(&mut self.told, counts.sources.clone());
        let fresh = |(name, rows): (&String, &u64)| {
            (name.clone(), rows - told.get(name).copied().unwrap_or(0))
        };
        let mine: BTreeMap<String, u64> = counts.sources.iter().map(fresh).collect();
        let mut all = BTreeMap::new();
        for rank in group.gather_bytes(serde_json::to_vec(&mine)?)? {
            for (name, rows) in serde_json::from_slice::<BTreeMap<String, u64>>(&rank)? {
                *all.entry(name).or_default() += rows;
            }
        }
        Ok(all)
    }
}
