//! Exact search: every query against every candidate, block by block, on all cores.
//!
//! A pool may be in one place or in several. In one, [`search`] and [`search_items`] do it all. In
//! several (ranks that hold a share each) it takes two phases, because an item's rank is a count
//! over all shares of what scores above it:
//!
//! 1. each share: [`Search::score_relevant`]; exchange; [`RelevantScores::merge`];
//! 2. each share: [`Search::scan`] with the merged scores; collect; [`Partial::merge`];
//! 3. once: [`Search::finish`].
//!
//! The result is the same to the last bit, however the pool is divided.

mod batch;
mod items;
mod judged;
mod kernel;
mod partial;
mod pools;
mod scan;
mod select;
mod sieve;
mod state;
#[cfg(test)]
mod tests;

pub use items::{Block, ItemShare, Items};
pub use partial::{Partial, RelevantScores};
pub use pools::Pools;
pub use sieve::{Candidate, Sieve, Sifted, Sifting, score_error};

use crate::embeddings::check_ids;
use crate::ranking::{Place, RankedQuery};
use crate::{Embeddings, EvalError, Qrels, Ranking};
use batch::{next, on_threads};
use items::checked_blocks;
use judged::{Judged, judge};
use kernel::Kernel;
use scan::Blocks;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::thread;

/// The run's score column must be exact in f32.
const MAX_DEPTH: usize = (1 << 24) - 1;
/// Relevant items scored by a thread at a time.
const PAIRS: usize = 256;

/// What becomes of an item that has the query's own id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfMatch {
    /// It is a candidate like any other: text against pictures of the same products.
    #[default]
    Keep,
    /// It is no candidate and its judgement does not count: similar items.
    Exclude,
}

/// How a search is done.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions<'a> {
    /// Items to keep per query, at most the pool; metrics do not depend on it. See
    /// [`run_depth`](crate::run_depth).
    pub depth: usize,
    /// What becomes of an item that has the query's own id.
    pub self_match: SelfMatch,
    /// Pools that confine each query's candidates to the items of its own; `None` for all items.
    /// A judgement of an item of another label does not count ([`RankedQuery::outside`]). A query
    /// whose label no item has is kept with a pool of 0: if it is judged it scores 0, like every
    /// query without relevant items.
    pub within: Option<&'a Pools>,
    /// Worker threads; `None` for one per available core. Results do not depend on it.
    pub threads: Option<usize>,
}

impl SearchOptions<'_> {
    /// Keeps `depth` items per query and the query's own item, over the whole pool, on all cores.
    pub fn new(depth: usize) -> Self {
        Self { depth, self_match: SelfMatch::Keep, within: None, threads: None }
    }
}

/// Ranks all items for every query by descending inner product, lower item index first on ties.
///
/// Memory beyond the two matrices and the result is a few dozen MiB whatever their sizes. Each
/// relevant item's rank in the full pool is exact, and independent of `options.depth`.
///
/// # Errors
/// Embeddings of different width or without rows, a depth of 0 or above 2^24 - 1, labels that are
/// not one per row, and judgements of unknown queries or items.
pub fn search(
    queries: &Embeddings,
    items: &Embeddings,
    qrels: &Qrels,
    options: &SearchOptions,
) -> Result<Ranking, EvalError> {
    search_items(queries, items.shared_ids(), items, qrels, options)
}

/// Like [`search`], over items that come in blocks and need not fit in memory; `ids` names them.
///
/// # Errors
/// As [`search`] and [`Search::scan`], ids that are empty or not distinct, and items that are
/// missing.
pub fn search_items(
    queries: &Embeddings,
    ids: Arc<[String]>,
    items: &(impl Items + ?Sized),
    qrels: &Qrels,
    options: &SearchOptions,
) -> Result<Ranking, EvalError> {
    let search = Search::new(queries, ids, qrels, options)?;
    let scores = search.score_relevant(items)?;
    let found = search.scan(items, &scores)?;
    search.finish(found)
}

/// A search in two phases, for a pool in several places: [`Search::score_relevant`], then
/// [`Search::scan`], on each share, and [`Search::finish`] once. All processes make it from the same
/// queries, ids, judgements and options. For a pool in one place there is [`search_items`].
#[derive(Debug)]
pub struct Search<'a> {
    queries: &'a Embeddings,
    item_ids: Arc<[String]>,
    labels: Option<&'a Pools>,
    self_match: SelfMatch,
    depth: usize,
    threads: usize,
    judged: Vec<Judged>,
    /// Where each query's relevant items start among those of all, and the end.
    starts: Vec<usize>,
    kernel: Kernel,
    blocks: Blocks,
}

impl<'a> Search<'a> {
    /// Prepares a search over the items that `item_ids` names, in the order of the whole pool.
    ///
    /// # Errors
    /// As [`search`], and ids that are empty or not distinct.
    pub fn new(
        queries: &'a Embeddings,
        item_ids: Arc<[String]>,
        qrels: &Qrels,
        options: &SearchOptions<'a>,
    ) -> Result<Self, EvalError> {
        for (rows, what) in [(queries.len(), "queries"), (item_ids.len(), "items")] {
            if rows == 0 {
                return Err(EvalError::Empty { what });
            }
        }
        if !(1..=MAX_DEPTH).contains(&options.depth) {
            return Err(EvalError::BadDepth { depth: options.depth });
        }
        if let Some(labels) = options.within {
            for (what, labels, rows) in [
                ("queries", labels.queries.len(), queries.len()),
                ("items", labels.items.len(), item_ids.len()),
            ] {
                if labels != rows {
                    return Err(EvalError::PoolLabelCount { labels, rows, what });
                }
            }
        }
        let places = check_ids(&item_ids)?;
        let judged = judge(queries, &places, qrels, options.self_match, options.within)?;
        let mut starts = vec![0];
        for query in &judged {
            starts.push(starts[starts.len() - 1] + query.relevant.len());
        }
        let threads = options
            .threads
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
            .max(1);
        Ok(Self {
            queries,
            labels: options.within,
            self_match: options.self_match,
            depth: options.depth.min(item_ids.len()),
            item_ids,
            threads,
            judged,
            starts,
            kernel: Kernel::new(),
            blocks: Blocks::DEFAULT,
        })
    }

    fn width(&self) -> usize {
        self.queries.width()
    }

    fn check_width(&self, items: &(impl Items + ?Sized)) -> Result<(), EvalError> {
        let (queries, items) = (self.width(), items.width());
        if queries == items { Ok(()) } else { Err(EvalError::WidthMismatch { queries, items }) }
    }

    /// The first phase: scores the relevant items that are among `items`, with the kernel, so that
    /// these are the very numbers that the second phase meets.
    ///
    /// # Errors
    /// What `items` returns, and blocks as in [`Search::scan`].
    pub fn score_relevant(
        &self,
        items: &(impl Items + ?Sized),
    ) -> Result<RelevantScores, EvalError> {
        self.check_width(items)?;
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (query, judged) in self.judged.iter().enumerate() {
            let places = self.starts[query]..self.starts[query + 1];
            pairs.extend(
                judged.relevant.iter().zip(places).map(|((item, _), at)| (*item, query, at)),
            );
        }
        pairs.sort_unstable();
        let mut scores = vec![f32::NAN; pairs.len()];
        for rows in checked_blocks(items, &self.item_ids) {
            let rows = rows?;
            let from = pairs.partition_point(|(item, ..)| (*item as usize) < rows.first);
            let to = pairs.partition_point(|(item, ..)| (*item as usize) < rows.first + rows.len);
            let mut here = pairs[from..to].to_vec();
            here.sort_unstable_by_key(|(_, query, at)| (*query, *at));
            let mut found = vec![0.0; here.len()];
            let work = Mutex::new(here.chunks(PAIRS).zip(found.chunks_mut(PAIRS)));
            on_threads(self.threads, || {
                while let Some((pairs, found)) = next(&work) {
                    self.score_pairs(&rows, pairs, found);
                }
            });
            for ((_, _, at), found) in here.iter().zip(found) {
                scores[*at] = found;
            }
        }
        Ok(RelevantScores { scores })
    }

    /// Scores pairs of item and query; those of a query stand together.
    fn score_pairs(
        &self,
        rows: &items::Rows,
        pairs: &[(u32, usize, usize)],
        mut found: &mut [f32],
    ) {
        let mut scores = Vec::new();
        for pairs in pairs.chunk_by(|a, b| a.1 == b.1) {
            let query = self.kernel.queries(&[self.queries.row(pairs[0].1)], self.width());
            let items: Vec<&[f32]> = pairs.iter().map(|(item, ..)| rows.row(*item)).collect();
            let packed = self.kernel.items(&items, self.width());
            let tiles = 0..items.len().div_ceil(self.kernel.item_tile());
            self.kernel.score(&query, &packed, tiles, &mut scores);
            let (of_query, rest) = found.split_at_mut(pairs.len());
            of_query.copy_from_slice(&scores[..pairs.len()]);
            found = rest;
        }
    }

    /// The scores of all relevant items.
    fn complete<'s>(&self, scores: &'s RelevantScores) -> Result<&'s [f32], EvalError> {
        let (expected, found) = (self.starts[self.judged.len()], scores.scores.len());
        if expected != found {
            return Err(EvalError::PartsDiffer { what: "relevant items", expected, found });
        }
        let relevant = self.judged.iter().flat_map(|query| &query.relevant);
        match relevant.zip(&scores.scores).find(|(_, score)| score.is_nan()) {
            None => Ok(&scores.scores),
            Some(((item, _), _)) => Err(self.uncovered(*item as usize, false)),
        }
    }

    fn uncovered(&self, row: usize, twice: bool) -> EvalError {
        EvalError::Coverage { id: self.item_ids[row].clone(), row, twice }
    }

    /// Makes the ranking of what all shares together found.
    ///
    /// # Errors
    /// When the shares overlap, leave items out, or belong to another search.
    pub fn finish(self, found: Partial) -> Result<Ranking, EvalError> {
        for (what, expected, found) in [
            ("queries", self.judged.len(), found.tops.len()),
            ("relevant items", self.starts[self.judged.len()], found.standings.len()),
        ] {
            if expected != found {
                return Err(EvalError::PartsDiffer { what, expected, found });
            }
        }
        let mut covered = found.covered;
        covered.sort_unstable();
        let mut end = 0;
        for (first, len) in covered {
            let first = first as usize;
            if first != end && end < self.item_ids.len() {
                return Err(self.uncovered(first.min(end), first < end));
            }
            end += len as usize;
        }
        match self.item_ids.len() {
            items if end < items => return Err(self.uncovered(end, false)),
            expected if end > expected => {
                return Err(EvalError::PartsDiffer { what: "items", expected, found: end });
            }
            _ => {}
        }
        let mut standings = found.standings.into_iter();
        let mut queries = Vec::with_capacity(self.judged.len());
        for (judged, top) in self.judged.into_iter().zip(found.tops) {
            let of_query = standings.by_ref().take(judged.relevant.len());
            let mut relevant: Vec<Place> = judged
                .relevant
                .iter()
                .zip(of_query)
                .map(|((item, grade), standing)| Place {
                    item: *item,
                    grade: *grade,
                    score: standing.score,
                    rank: standing.above as usize + standing.earlier as usize + 1,
                    optimistic: standing.above as usize + 1,
                    pessimistic: standing.above as usize + standing.level as usize,
                })
                .collect();
            relevant.sort_unstable_by_key(|place| place.rank);
            queries.push(RankedQuery {
                pool: judged.pool,
                top,
                relevant: judged.judged.then_some(relevant),
                irrelevant: judged.irrelevant,
                outside: judged.outside,
            });
        }
        Ok(Ranking {
            query_ids: self.queries.shared_ids(),
            item_ids: self.item_ids,
            depth: self.depth,
            self_match: self.self_match,
            within: self.labels.is_some(),
            queries,
        })
    }
}
