//! A search whose scores a device computes, with the same result as without it.
//!
//! A device sums in an order of its own, so its scores differ from the kernel's, by at most
//! [`score_error`]. It sifts: it counts what certainly scores above a relevant item, drops what
//! certainly does not matter, and returns the few candidates in between, which the kernel scores.

use super::batch::{Batch, next, on_threads};
use super::scan::Group;
use super::state::State;
use super::{Items, Partial, RelevantScores, Search};
use crate::EvalError;
use std::ops::Range;
use std::sync::Mutex;

/// How far two f32 inner products of rows of `width` values can be apart when both multiply and
/// add in f32, rounding to nearest, in whatever order and with or without fused multiply-adds.
///
/// Each is within g * sum(|a_i b_i|) of the exact value, with g = n u / (1 - n u) and u = 2^-24
/// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and the sum is at most
/// the product of the norms, each at most 1.01 ([`Embeddings`](crate::Embeddings)). Products that
/// underflow add less than 2^-126 each.
pub fn score_error(width: usize) -> f32 {
    let roundings = width as f64 * f64::from(f32::EPSILON) / 2.0;
    let each = roundings / (1.0 - roundings) * 1.01 * 1.01 + width as f64 * 2f64.powi(-126);
    ((2.0 * each) as f32).next_up()
}

/// A device that scores approximately, each score within [`score_error`] of the kernel's: f32
/// products without TF32 or bf16.
pub trait Sieve {
    /// Takes items, row-major with `width` values each, in place of those before.
    ///
    /// # Errors
    /// What the device says.
    fn load(&mut self, items: &[f32], width: usize) -> Result<(), EvalError>;

    /// Scores queries with loaded items and keeps what may matter.
    ///
    /// # Errors
    /// What the device says.
    fn sift(&mut self, sifting: &Sifting) -> Result<Sifted, EvalError>;
}

/// What is to be scored, and what matters.
#[derive(Debug)]
pub struct Sifting<'a> {
    /// Queries, row-major.
    pub queries: &'a [f32],
    /// The loaded items to score them with; items below count from its start.
    pub items: Range<usize>,
    /// By query: an item that does not exist for it.
    pub skipped: &'a [Option<usize>],
    /// By query: every item that scores this or more is a candidate. Where it is `-inf`, the best
    /// `depth` items are, and all within `slack` of the last of them.
    pub floors: &'a [f32],
    /// See `floors`.
    pub depth: usize,
    /// See `floors`.
    pub slack: f32,
    /// Query, low and high end of a band of scores, by query. What scores in a band, ends
    /// included, is a candidate; what scores above it is counted.
    pub bands: &'a [(usize, f32, f32)],
}

/// An item that may matter to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Query of the [`Sifting`].
    pub query: u32,
    /// Item, from the start of the [`Sifting`]'s items.
    pub item: u32,
    /// Its approximate score.
    pub score: f32,
}

/// What a [`Sieve`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sifted {
    /// By band: items that score above it.
    pub above: Vec<u32>,
    /// By query, then item.
    pub candidates: Vec<Candidate>,
}

impl Search<'_> {
    /// Like [`Search::scan`] and with the same result, but most of the scores are `sieve`'s.
    ///
    /// # Errors
    /// As [`Search::scan`], and what the device says.
    pub fn scan_on(
        &self,
        sieve: &mut dyn Sieve,
        items: &(impl Items + ?Sized),
        scores: &RelevantScores,
    ) -> Result<Partial, EvalError> {
        let mut groups = self.groups(scores, self.blocks.on_device.1)?;
        let mut batch = Batch::default();
        let covered = self.batches(items, self.blocks.on_device.0, &mut |rows| {
            batch.arrange(&self.kernel, rows, self.labels);
            let values: Vec<f32> = rows.iter().flat_map(|(_, row)| *row).copied().collect();
            sieve.load(&values, self.width())?;
            for group in &mut groups {
                if let Some(run) = batch.run(group.label) {
                    self.sift(sieve, run.rows.clone(), &rows[run.rows.clone()], group)?;
                }
            }
            Ok(())
        })?;
        Ok(Partial::new(self.depth, covered, groups))
    }

    /// Sifts `rows`, which stand at `range` of what was loaded, for one group of queries.
    fn sift(
        &self,
        sieve: &mut dyn Sieve,
        range: Range<usize>,
        rows: &[(u32, &[f32])],
        group: &mut Group,
    ) -> Result<(), EvalError> {
        let error = score_error(self.width());
        let (below, beyond) =
            (|score: f32| (score - error).next_down(), |score: f32| (score + error).next_up());
        let items: Vec<u32> = rows.iter().map(|(item, _)| *item).collect();
        let mut queries = Vec::with_capacity(group.states.len() * self.width());
        let (mut skipped, mut floors, mut bands) = (Vec::new(), Vec::new(), Vec::new());
        for (query, state) in group.states.iter_mut().enumerate() {
            queries.extend_from_slice(self.queries.row(state.query));
            skipped.push(state.skipped(&items));
            state.best.shrink();
            floors.push(below(state.best.threshold()));
            let targets = state.targets.scores();
            bands.extend(targets.iter().map(|score| (query, below(*score), beyond(*score))));
        }
        let sifted = sieve.sift(&Sifting {
            queries: &queries,
            items: range,
            skipped: &skipped,
            floors: &floors,
            depth: self.depth,
            // An item among the best `depth` here is at most twice the error below the last of
            // them there; the rest is for the rounding of the subtraction.
            slack: 2.0 * error + 4.0 * f32::EPSILON,
            bands: &bands,
        })?;
        if sifted.above.len() != bands.len() {
            let (found, expected) = (sifted.above.len(), bands.len());
            let problem = format!("it returned {found} counts for {expected} bands");
            return Err(EvalError::Device { problem });
        }
        let (mut candidates, mut counts) =
            (&sifted.candidates[..], bands.iter().zip(&sifted.above));
        let mut work = Vec::with_capacity(group.states.len());
        for (query, state) in group.states.iter_mut().enumerate() {
            let (of_query, rest) =
                candidates.split_at(candidates.partition_point(|c| c.query as usize <= query));
            candidates = rest;
            let slots = state.targets.scores().len();
            work.push((state, of_query, counts.by_ref().take(slots).collect::<Vec<_>>()));
        }
        let work = Mutex::new(work.into_iter());
        on_threads(self.threads, || {
            let mut scores = Vec::new();
            while let Some((state, candidates, counts)) = next(&work) {
                self.settle(rows, state, candidates, &counts, &mut scores);
            }
        });
        Ok(())
    }

    /// Scores the candidates of a query with the kernel.
    fn settle(
        &self,
        rows: &[(u32, &[f32])],
        state: &mut State,
        candidates: &[Candidate],
        counts: &[(&(usize, f32, f32), &u32)],
        scores: &mut Vec<f32>,
    ) {
        for (slot, (_, above)) in counts.iter().enumerate() {
            state.targets.rise(slot, **above);
        }
        if candidates.is_empty() {
            return;
        }
        let found: Vec<_> = candidates.iter().map(|c| rows[c.item as usize]).collect();
        let items: Vec<u32> = found.iter().map(|(item, _)| *item).collect();
        let values: Vec<&[f32]> = found.iter().map(|(_, row)| *row).collect();
        let query = self.kernel.queries(&[self.queries.row(state.query)], self.width());
        let packed = self.kernel.items(&values, self.width());
        let tiles = 0..values.len().div_ceil(self.kernel.item_tile());
        self.kernel.score(&query, &packed, tiles, scores);
        let scores = &scores[..items.len()];
        state.best.observe(&items, scores);
        for (slot, ((_, low, high), _)) in counts.iter().enumerate() {
            let target = state.targets.scores()[slot];
            for ((candidate, score), item) in candidates.iter().zip(scores).zip(&items) {
                if candidate.score < *low || candidate.score > *high {
                    continue;
                }
                if *score > target {
                    state.targets.rise(slot, 1);
                } else if *score == target {
                    state.targets.meet(slot, *item);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::SMALL;
    use crate::testing::{Random, embeddings, random_rows, repeated_rows};
    use crate::{Embeddings, Pools, Qrels, SearchOptions, SelfMatch, search};

    /// Sums backwards, so that scores differ from the kernel's, then counts plainly.
    #[derive(Default)]
    struct Backwards {
        items: Vec<f32>,
        width: usize,
        candidates: usize,
    }

    impl Sieve for Backwards {
        fn load(&mut self, items: &[f32], width: usize) -> Result<(), EvalError> {
            (self.items, self.width) = (items.to_vec(), width);
            Ok(())
        }

        fn sift(&mut self, sifting: &Sifting) -> Result<Sifted, EvalError> {
            let mut sifted = Sifted { above: vec![0; sifting.bands.len()], ..Sifted::default() };
            let rows: Vec<&[f32]> = self.items.chunks(self.width).collect();
            for (query, row) in sifting.queries.chunks(self.width).enumerate() {
                let mut scores: Vec<f32> = rows[sifting.items.clone()]
                    .iter()
                    .map(|item| row.iter().zip(*item).rev().map(|(a, b)| a * b).sum())
                    .collect();
                if let Some(skipped) = sifting.skipped[query] {
                    scores[skipped] = f32::NEG_INFINITY;
                }
                let mut floor = sifting.floors[query];
                if floor == f32::NEG_INFINITY {
                    let mut sorted = scores.clone();
                    sorted.sort_by(|a, b| b.total_cmp(a));
                    floor = sorted.get(sifting.depth - 1).map_or(f32::MIN, |s| s - sifting.slack);
                }
                for (score, item) in scores.iter().zip(0..) {
                    let mut matters = *score >= floor.max(f32::MIN);
                    for (at, (of, low, high)) in sifting.bands.iter().enumerate() {
                        if *of == query {
                            sifted.above[at] += u32::from(score > high);
                            matters |= low <= score && score <= high;
                        }
                    }
                    if matters {
                        let query = query as u32;
                        sifted.candidates.push(Candidate { query, item, score: *score });
                    }
                }
            }
            self.candidates += sifted.candidates.len();
            Ok(sifted)
        }
    }

    /// Rows of which many differ by a rounding or two: their scores are within the error.
    fn close_rows(random: &mut Random, count: usize, width: usize) -> Vec<Vec<f32>> {
        let mut rows = repeated_rows(random, count, 5, width);
        for row in &mut rows {
            let at = random.below(width);
            row[at] *= 1.0 + f32::EPSILON * random.below(3) as f32;
        }
        rows
    }

    #[test]
    fn a_device_changes_nothing() {
        let mut random = Random::new(31);
        let (mut inexact, mut candidates) = (0, 0);
        for case in 0..24 {
            let width = [5, 64][case % 2];
            let num_items = 1 + random.below(400);
            let rows = match case / 2 % 3 {
                0 => random_rows(&mut random, num_items, width),
                1 => repeated_rows(&mut random, num_items, 4, width),
                _ => close_rows(&mut random, num_items, width),
            };
            let queries = embeddings("d", &close_rows(&mut random, 13, width));
            let items = embeddings("d", &rows);
            let mut judged = Vec::new();
            for query in queries.ids() {
                for item in items.ids() {
                    if random.below([4, 50][case % 2]) == 0 {
                        judged.push((query.clone(), item.clone(), 1));
                    }
                }
            }
            let qrels = Qrels::new(judged).expect("distinct");
            let mut names = |count| -> Vec<String> {
                (0..count).map(|_| random.below(3).to_string()).collect()
            };
            let labels = Pools::new(&names(13), &names(num_items));
            let options = SearchOptions {
                within: (case % 5 == 0).then_some(&labels),
                self_match: [SelfMatch::Keep, SelfMatch::Exclude][case / 3 % 2],
                ..SearchOptions::new(1 + random.below(20))
            };
            let expected = search(&queries, &items, &qrels, &options).expect("valid");
            let mut process =
                Search::new(&queries, items.shared_ids(), &qrels, &options).expect("valid");
            let scores = process.score_relevant(&items).expect("valid");
            let mut sieve = Backwards::default();
            // In parts, so that later ones meet thresholds.
            process.blocks = SMALL;
            let partial = process.scan_on(&mut sieve, &items, &scores).expect("valid");
            let found = process.finish(partial).expect("whole");
            assert_eq!(found.queries(), expected.queries());
            candidates += sieve.candidates;
            inexact += count_inexact(&queries, &items);
        }
        assert!(inexact > 1000, "the two orders of summation must differ: {inexact}");
        assert!(candidates > 1000);
    }

    fn count_inexact(queries: &Embeddings, items: &Embeddings) -> usize {
        let pairs = queries.rows().flat_map(|query| items.rows().map(move |item| (query, item)));
        pairs
            .filter(|(query, item)| {
                let forward: f32 =
                    query.iter().zip(*item).fold(0.0, |sum, (a, b)| a.mul_add(*b, sum));
                let backward: f32 = query.iter().zip(*item).rev().map(|(a, b)| a * b).sum();
                assert!((forward - backward).abs() <= score_error(query.len()));
                forward != backward
            })
            .count()
    }
}
