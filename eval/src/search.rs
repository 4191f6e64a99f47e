//! Exact search: every query against every item, block by block, on all cores. Owns the loop over
//! blocks; `kernel` owns the scores and `select` what is kept of them.

use crate::kernel::Kernel;
use crate::state::{judge, score_targets};
use crate::{Embeddings, EvalError, Qrels, Ranking};
use serde::{Deserialize, Serialize};
use std::thread;

/// The run's score column must be exact in f32.
const MAX_DEPTH: usize = (1 << 24) - 1;

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
pub struct SearchOptions {
    /// Items to keep per query, at most the pool; metrics do not depend on it. See
    /// [`run_depth`](crate::run_depth).
    pub depth: usize,
    /// What becomes of an item that has the query's own id.
    pub self_match: SelfMatch,
    /// Worker threads; `None` for one per available core. Results do not depend on it.
    pub threads: Option<usize>,
}

impl SearchOptions {
    /// Keeps `depth` items per query and the query's own item, on all cores.
    pub fn new(depth: usize) -> Self {
        Self { depth, self_match: SelfMatch::Keep, threads: None }
    }
}

/// Rows per block: `items` are packed at once, `strip` of them scored at once with `queries`.
#[derive(Clone, Copy)]
struct Blocks {
    items: usize,
    strip: usize,
    queries: usize,
}

/// At width 512: 8 MiB of packed items shared by all threads; per thread 192 KiB of packed queries
/// and as much of scores, which stay in the second-level cache.
const BLOCKS: Blocks = Blocks { items: 4096, strip: 512, queries: 96 };

/// Ranks all items for every query by descending inner product, lower item index first on ties.
///
/// Memory beyond the two matrices and the result is a few MiB whatever their sizes. Each relevant
/// item's rank in the full pool is exact, and independent of `options.depth`.
///
/// # Errors
/// Embeddings of different width or without rows, a depth of 0 or above 2^24 - 1, and judgements
/// of unknown queries or items.
pub fn search(
    queries: &Embeddings,
    items: &Embeddings,
    qrels: &Qrels,
    options: &SearchOptions,
) -> Result<Ranking, EvalError> {
    search_in_blocks(queries, items, qrels, options, BLOCKS)
}

fn search_in_blocks(
    queries: &Embeddings,
    items: &Embeddings,
    qrels: &Qrels,
    options: &SearchOptions,
    blocks: Blocks,
) -> Result<Ranking, EvalError> {
    for (rows, what) in [(queries, "queries"), (items, "items")] {
        if rows.is_empty() {
            return Err(EvalError::Empty { what });
        }
    }
    let width = items.width();
    if queries.width() != width {
        return Err(EvalError::WidthMismatch { queries: queries.width(), items: width });
    }
    if !(1..=MAX_DEPTH).contains(&options.depth) {
        return Err(EvalError::BadDepth { depth: options.depth });
    }
    let depth = options.depth.min(items.len());
    let kernel = Kernel::new();
    let mut states = judge(queries, items, qrels, options.self_match, depth)?;

    let num_threads = options
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let share = queries.len().div_ceil(num_threads);
    thread::scope(|scope| {
        for (index, states) in states.chunks_mut(share).enumerate() {
            scope.spawn(move || score_targets(kernel, queries, items, index * share, states));
        }
    });

    let tile = kernel.item_tile();
    let strip_tiles = blocks.strip.div_ceil(tile);
    let block_rows = blocks.items.div_ceil(tile * strip_tiles) * tile * strip_tiles;
    for start in (0..items.len()).step_by(block_rows) {
        let rows = items.len().min(start + block_rows) - start;
        let packed = kernel.items(items.rows().skip(start).take(rows), width);
        let packed = &packed;
        thread::scope(|scope| {
            for (index, states) in states.chunks_mut(share).enumerate() {
                scope.spawn(move || {
                    let mut scores = Vec::new();
                    let mut first_query = index * share;
                    for states in states.chunks_mut(blocks.queries) {
                        let rows_of = queries.rows().skip(first_query).take(states.len());
                        let packed_queries = kernel.queries(rows_of, width);
                        first_query += states.len();
                        for strip in (0..rows).step_by(strip_tiles * tile) {
                            let num_rows = rows.min(strip + strip_tiles * tile) - strip;
                            let tiles = strip / tile..(strip + num_rows).div_ceil(tile);
                            let stride = tiles.len() * tile;
                            kernel.score(&packed_queries, packed, tiles, &mut scores);
                            for (state, scores) in
                                states.iter_mut().zip(scores.chunks_exact_mut(stride))
                            {
                                state.observe(start + strip, &mut scores[..num_rows]);
                            }
                        }
                    }
                });
            }
        });
    }

    Ok(Ranking {
        query_ids: queries.shared_ids(),
        item_ids: items.shared_ids(),
        depth,
        self_match: options.self_match,
        queries: states.into_iter().map(|state| state.finish(items.len())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hit;
    use crate::testing::{Random, embeddings, repeated_rows};

    const SMALL: Blocks = Blocks { items: 40, strip: 20, queries: 7 };

    /// Scores of one query with all items, one at a time.
    fn brute_force(queries: &Embeddings, items: &Embeddings, query: usize) -> Vec<f32> {
        let (kernel, mut scores) = (Kernel::new(), Vec::new());
        let packed = kernel.queries(std::iter::once(queries.row(query)), items.width());
        let mut score = |row| {
            let item = kernel.items(std::iter::once(row), items.width());
            kernel.score(&packed, &item, 0..1, &mut scores);
            scores[0]
        };
        items.rows().map(&mut score).collect()
    }

    #[test]
    fn finds_by_hand() {
        let queries = embeddings("q", &[vec![1.0, 0.0], vec![0.0, 1.0]]);
        let rows = [vec![0.6, 0.8], vec![1.0, 0.0], vec![0.8, 0.6], vec![1.0, 0.0]];
        let items = embeddings("d", &rows);
        let qrels =
            Qrels::new([("q0", "d3", 1), ("q0", "d0", 2), ("q1", "d2", 1), ("q1", "d1", 0)]);
        let found = search(&queries, &items, &qrels.expect("valid"), &SearchOptions::new(3));
        let found = found.expect("valid");
        let tops: Vec<Vec<u32>> = found
            .queries()
            .iter()
            .map(|query| query.top.iter().map(|hit| hit.item).collect())
            .collect();
        assert_eq!(tops, [[1, 3, 2], [0, 2, 1]]);
        let place = |query: usize, at: usize| {
            let place = found.queries()[query].relevant.as_ref().expect("judged")[at];
            (place.item, place.grade, place.rank, place.optimistic, place.pessimistic)
        };
        assert_eq!(place(0, 0), (3, 1, 2, 1, 2));
        assert_eq!(place(0, 1), (0, 2, 4, 4, 4));
        assert_eq!(place(1, 0), (2, 1, 2, 2, 2));
        assert_eq!(found.queries()[1].irrelevant, [(1, 0)]);
    }

    #[test]
    fn equals_brute_force_for_any_blocks_threads_and_duplicates() {
        let mut random = Random::new(11);
        for (num_queries, num_items, distinct, width) in
            [(1, 1, 1, 3), (23, 150, 12, 5), (9, 101, 101, 300), (31, 64, 1, 8)]
        {
            let queries = embeddings("q", &repeated_rows(&mut random, num_queries, 20, width));
            let items = embeddings("d", &repeated_rows(&mut random, num_items, distinct, width));
            let mut judged = Vec::new();
            for query in queries.ids() {
                judged.extend(
                    items
                        .ids()
                        .iter()
                        .filter(|_| random.below(6) == 0)
                        .map(|item| (query.clone(), item.clone(), 1)),
                );
            }
            let qrels = Qrels::new(judged).expect("distinct pairs");
            let depth = 1 + random.below(num_items);
            for (threads, blocks) in [(Some(1), SMALL), (Some(3), SMALL), (None, BLOCKS)] {
                let options = SearchOptions { threads, ..SearchOptions::new(depth) };
                let found = search_in_blocks(&queries, &items, &qrels, &options, blocks);
                for (index, found) in found.expect("valid").queries.iter().enumerate() {
                    let scores = brute_force(&queries, &items, index);
                    let mut order: Vec<Hit> = scores
                        .iter()
                        .zip(0..)
                        .map(|(score, item)| Hit { item, score: *score })
                        .collect();
                    order.sort_by(crate::select::order);
                    assert_eq!(found.top, order[..depth]);
                    for place in found.relevant.iter().flatten() {
                        let score = scores[place.item as usize];
                        let count = |keep: &dyn Fn(f32) -> bool| {
                            scores.iter().filter(|s| keep(**s)).count()
                        };
                        assert_eq!(place.score, score);
                        assert_eq!(order[place.rank - 1].item, place.item);
                        assert_eq!(place.optimistic, count(&|other| other > score) + 1);
                        assert_eq!(place.pessimistic, count(&|other| other >= score));
                    }
                }
            }
        }
    }

    #[test]
    fn the_querys_own_item_can_be_excluded() {
        let rows = [vec![1.0, 0.0], vec![0.9, 0.1], vec![0.0, 1.0]];
        let items = embeddings("d", &rows);
        let qrels = Qrels::new([("d0", "d0", 1), ("d0", "d2", 1), ("d1", "d0", 1)]).expect("valid");
        let options = SearchOptions { self_match: SelfMatch::Exclude, ..SearchOptions::new(3) };
        let found = search(&items, &items, &qrels, &options).expect("valid");
        let first = &found.queries()[0];
        assert_eq!(first.pool, 2);
        assert_eq!(first.top.iter().map(|hit| hit.item).collect::<Vec<_>>(), [1, 2]);
        let ranks: Vec<_> =
            first.relevant.iter().flatten().map(|place| (place.item, place.rank)).collect();
        assert_eq!(ranks, [(2, 2)]);
        let mut dumped = Vec::new();
        found.write_qrels("", &mut dumped).expect("writes to memory");
        assert_eq!(String::from_utf8_lossy(&dumped), "d0 0 d2 1\nd1 0 d0 1\n");
    }

    #[test]
    fn refuses_inputs_that_do_not_fit_together() {
        let two = embeddings("q", &[vec![1.0, 0.0]]);
        let three = embeddings("d", &[vec![1.0, 0.0, 0.0]]);
        let none = Embeddings::new(Vec::new(), 2, Vec::new()).expect("valid");
        let judged = |pairs: &[(&str, &str, i32)]| Qrels::new(pairs.to_vec()).expect("distinct");
        let message = |queries, items, qrels: &Qrels, depth| {
            let found = search(queries, items, qrels, &SearchOptions::new(depth));
            found.expect_err("must be refused").to_string()
        };
        let nothing = Qrels::default();
        assert_eq!(
            message(&two, &three, &nothing, 1),
            "queries have width 2 and items have width 3: both must come from the same model"
        );
        assert_eq!(message(&none, &two, &nothing, 1), "there are no queries to evaluate");
        assert_eq!(message(&two, &none, &nothing, 1), "there are no items to evaluate");
        assert!(message(&two, &two, &nothing, 0).starts_with("depth 0 is not possible"));
        assert_eq!(
            message(&two, &two, &judged(&[("q0", "x", 1), ("q0", "y", 0)]), 1),
            "the qrels name item `x` for query `q0`, which is not among the 1 items of the pool \
             (and 1 more like it)"
        );
        assert_eq!(
            message(&two, &two, &judged(&[("q0", "q0", 1), ("p", "q0", 1)]), 1),
            "the qrels name query `p`, which is not among the 1 queries"
        );
    }
}
