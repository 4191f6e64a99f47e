//! What identifies a task's pool and judgements.

use super::Digests;
use crate::Ranking;
use sha2::{Digest, Sha256};

impl Digests {
    /// Of the ids and judgements of a ranking, whatever their order.
    pub(super) fn of(ranking: &Ranking) -> Self {
        let mut items: Vec<&str> = ranking.item_ids.iter().map(String::as_str).collect();
        items.sort_unstable();
        let mut digest = Sha256::new();
        for id in items {
            digest.update(id);
            digest.update("\n");
        }
        let items = hexadecimal(digest);

        let mut queries: Vec<_> = ranking
            .query_ids
            .iter()
            .zip(&ranking.queries)
            .filter_map(|(id, query)| Some((id, query.pool, query.relevant.as_ref()?)))
            .collect();
        queries.sort_unstable_by_key(|(id, ..)| *id);
        let mut digest = Sha256::new();
        for (id, pool, places) in queries {
            digest.update(format!("{id}\t{pool}\n"));
            let mut judged: Vec<(&str, u32)> = places
                .iter()
                .map(|place| (ranking.item_ids[place.item as usize].as_str(), place.grade))
                .collect();
            judged.sort_unstable();
            for (item, grade) in judged {
                digest.update(format!("\t{item}\t{grade}\n"));
            }
        }
        Self { items, relevance: hexadecimal(digest) }
    }
}

fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
