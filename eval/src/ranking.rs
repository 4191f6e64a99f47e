//! The outcome of a search: each query's best items and the exact place of every relevant one.

use crate::{EvalError, SelfMatch};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// An item and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Index of the item's row.
    pub item: u32,
    /// Inner product with the query.
    pub score: f32,
}

/// Where one relevant item stands in the full pool of its query. Ranks count from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Index of the item's row.
    pub item: u32,
    /// Its grade, above 0.
    pub grade: u32,
    /// Its score.
    pub score: f32,
    /// Rank with ties broken by lower index first.
    pub rank: usize,
    /// Rank if it came first among the items of equal score: items that score higher, plus 1.
    pub optimistic: usize,
    /// Rank if it came last among them: items that score at least as high.
    pub pessimistic: usize,
}

/// One query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedQuery {
    /// Number of candidates: the items, or those of the query's label, less the query itself where
    /// it is excluded. 0 when no item has the query's label.
    pub pool: usize,
    /// The best items, best first.
    pub top: Vec<Hit>,
    /// Every relevant item, by rank; `None` when the query has no judgements.
    pub relevant: Option<Vec<Place>>,
    /// Items judged and found not relevant: index and grade (0 or less), by index.
    pub irrelevant: Vec<(u32, i32)>,
    /// Judged items that are no candidates because their label is another: they do not count.
    pub outside: usize,
}

/// The results of all queries, in the order of the query embeddings.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub(crate) query_ids: Arc<[String]>,
    pub(crate) item_ids: Arc<[String]>,
    pub(crate) depth: usize,
    pub(crate) self_match: SelfMatch,
    pub(crate) within: bool,
    pub(crate) queries: Vec<RankedQuery>,
}

impl Ranking {
    /// One result per query, in the order of the query embeddings.
    pub fn queries(&self) -> &[RankedQuery] {
        &self.queries
    }

    /// Ids of the queries, in the same order.
    pub fn query_ids(&self) -> &[String] {
        &self.query_ids
    }

    /// Ids of the items, by the index that [`Hit`] and [`Place`] carry.
    pub fn item_ids(&self) -> &[String] {
        &self.item_ids
    }

    /// Most items kept per query.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Writes the lines of a TREC run: `query Q0 item rank score vlclip`. The score column is
    /// `depth + 1 - rank`: distinct, positive and exact in f32, so every tool sees our order,
    /// whatever its rule for ties. Ids are written as [`trec_id`] gives them, after `prefix`.
    ///
    /// # Errors
    /// What the writer returns.
    pub fn write_run(&self, prefix: &str, out: &mut impl Write) -> io::Result<()> {
        for (query, id) in self.queries.iter().zip(self.query_ids.iter()) {
            let id = trec_id(id);
            for (index, hit) in query.top.iter().enumerate() {
                let item = trec_id(&self.item_ids[hit.item as usize]);
                let (rank, score) = (index + 1, self.depth - index);
                writeln!(out, "{prefix}{id} Q0 {item} {rank} {score} vlclip")?;
            }
        }
        Ok(())
    }

    /// Writes the judgements of the searched queries as lines of a TREC qrels file, less those of
    /// a query's own item where it is excluded.
    ///
    /// # Errors
    /// What the writer returns.
    pub fn write_qrels(&self, prefix: &str, out: &mut impl Write) -> io::Result<()> {
        for (query, id) in self.queries.iter().zip(self.query_ids.iter()) {
            let id = trec_id(id);
            let mut judged: BTreeMap<u32, i64> =
                query.irrelevant.iter().map(|(item, grade)| (*item, i64::from(*grade))).collect();
            for place in query.relevant.iter().flatten() {
                judged.insert(place.item, i64::from(place.grade));
            }
            for (item, grade) in judged {
                let item = trec_id(&self.item_ids[item as usize]);
                writeln!(out, "{prefix}{id} 0 {item} {grade}")?;
            }
        }
        Ok(())
    }

    /// Whether candidates were confined to the items of the query's label.
    pub fn is_within(&self) -> bool {
        self.within
    }

    /// The largest cut-off that has a meaning: the smallest pool of all queries or, where pools
    /// differ by label, the largest, since small ones are part of the task.
    pub(crate) fn largest_k(&self) -> usize {
        let pools = self.queries.iter().map(|query| query.pool);
        if self.within { pools.max() } else { pools.min() }.unwrap_or(0)
    }
}

/// How many items per query a dump should keep so that pytrec_eval reproduces every metric: the
/// whole pool while the run file has at most 2,000,000 lines, and otherwise the larger of `max_k`
/// and 100. A shorter list reproduces the metrics with a cut-off, but its MRR is MRR@depth.
pub fn run_depth(queries: usize, pool: usize, max_k: usize) -> usize {
    if queries.saturating_mul(pool) <= 2_000_000 { pool } else { pool.min(max_k.max(100)) }
}

/// An id as the TREC files carry it: their fields are separated by white space, so white space,
/// control characters and `%` are percent-encoded; all other ids stay as they are.
pub fn trec_id(id: &str) -> std::borrow::Cow<'_, str> {
    let special = |c: char| c.is_whitespace() || c.is_control() || c == '%';
    if !id.contains(special) {
        return id.into();
    }
    let mut encoded = String::new();
    for c in id.chars() {
        if special(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(c);
        }
    }
    encoded.into()
}

/// Refuses cut-offs that no query's pool can fill, and puts the others in order.
pub(crate) fn cut_offs(ks: &[usize], pool: usize) -> Result<Vec<usize>, EvalError> {
    if ks.is_empty() || ks.contains(&0) {
        return Err(EvalError::BadCutOffs { found: ks.to_vec() });
    }
    if let Some(k) = ks.iter().copied().find(|k| *k > pool) {
        return Err(EvalError::KBeyondPool { k, pool });
    }
    let mut ks = ks.to_vec();
    ks.sort_unstable();
    ks.dedup();
    Ok(ks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_white_space_stay_one_field() {
        assert_eq!(trec_id("sku-12/é"), "sku-12/é");
        assert_eq!(trec_id("red shoe 50%"), "red%20shoe%2050%25");
        assert_eq!(trec_id("a\u{a0}b"), "a%C2%A0b");
    }

    #[test]
    fn the_default_dump_is_whole_while_it_is_small() {
        assert_eq!(run_depth(1_000, 2_000, 10), 2_000);
        assert_eq!(run_depth(100_000, 1_000_000, 10), 100);
        assert_eq!(run_depth(100_000, 1_000_000, 500), 500);
        assert_eq!(run_depth(3_000_000, 7, 5), 7);
    }
}
