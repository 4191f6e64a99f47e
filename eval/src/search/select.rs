//! What one query keeps while the scores of the pool stream past it: its best items, and how many
//! items score above and with each relevant one. Owns the tie rule: lower item index first.

use crate::Hit;
use std::cmp::Ordering;

/// Scores looked at together before the slow path is entered.
const LANE: usize = 16;
/// With more distinct target scores than this, each score is placed by bisection instead: about
/// where the two take equally long.
const MAX_SWEEPS: usize = 64;

/// Higher score first; equal scores (and only those) by lower index. Scores are finite.
pub(crate) fn order(a: &Hit, b: &Hit) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.item.cmp(&b.item))
}

/// The best `depth` items seen, in bounded memory.
#[derive(Debug)]
pub(crate) struct Best {
    depth: usize,
    threshold: f32,
    hits: Vec<Hit>,
}

impl Best {
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth, threshold: f32::NEG_INFINITY, hits: Vec::new() }
    }

    /// The score that an item must exceed to be kept.
    pub(crate) fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes the scores of `items`, which ascend and come after all items seen before. A score of
    /// minus infinity is no candidate.
    #[inline(always)]
    pub(crate) fn observe(&mut self, items: &[u32], scores: &[f32]) {
        for (chunk, items) in scores.chunks(LANE).zip(items.chunks(LANE)) {
            // Items come in index order, so one that only equals the worst kept comes after it.
            if chunk.iter().fold(false, |any, score| any | (*score > self.threshold)) {
                self.keep(items, chunk);
            }
        }
    }

    #[inline(never)]
    fn keep(&mut self, items: &[u32], scores: &[f32]) {
        for (score, item) in scores.iter().zip(items) {
            if *score > self.threshold {
                self.hits.push(Hit { item: *item, score: *score });
            }
        }
        if self.hits.len() >= 2 * self.depth + LANE {
            self.shrink();
        }
    }

    /// Drops what is no longer among the best, so that the threshold is as high as it can be.
    pub(crate) fn shrink(&mut self) {
        if self.hits.len() >= self.depth {
            let (_, worst, _) = self.hits.select_nth_unstable_by(self.depth - 1, order);
            self.threshold = worst.score;
            self.hits.truncate(self.depth);
        }
    }

    /// The kept items, best first.
    pub(crate) fn finish(mut self) -> Vec<Hit> {
        self.shrink();
        self.hits.sort_unstable_by(order);
        self.hits
    }
}

/// Where one relevant item stands among the items seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    pub score: f32,
    /// Items that score higher.
    pub above: u32,
    /// Items that score the same, itself included.
    pub level: u32,
    /// Of those, the ones with a lower index.
    pub earlier: u32,
}

/// Counts, for every relevant item of a query, the items above, level with and before it. The
/// relevant items need not be among those seen: another share of the pool may hold them.
#[derive(Debug)]
pub(crate) struct Targets {
    /// Relevant items by score, best first, then by index.
    hits: Vec<Hit>,
    /// Their distinct scores, best first.
    scores: Vec<f32>,
    /// Where the hits of each score start, and the end of the last.
    starts: Vec<usize>,
    above: Vec<u32>,
    level: Vec<u32>,
    /// Items above this score but not above the one before it, where scores are placed by bisection.
    between: Vec<u32>,
    /// By hit: level items that come before it but not before the hit before it.
    passed: Vec<u32>,
}

impl Targets {
    /// Takes the relevant items with their scores, in any order.
    pub(crate) fn new(relevant: &[Hit]) -> Self {
        let mut hits = relevant.to_vec();
        hits.sort_unstable_by(order);
        let mut scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
        scores.dedup();
        let mut starts: Vec<usize> =
            scores.iter().map(|s| hits.partition_point(|hit| hit.score > *s)).collect();
        starts.push(hits.len());
        let (slots, passed) = (scores.len(), vec![0; hits.len()]);
        let between = if slots > MAX_SWEEPS { vec![0; slots] } else { Vec::new() };
        Self { hits, scores, starts, above: vec![0; slots], level: vec![0; slots], between, passed }
    }

    /// The distinct scores of the relevant items, best first.
    pub(crate) fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// Takes the scores of `items`, each seen once.
    #[inline(always)]
    pub(crate) fn observe(&mut self, items: &[u32], scores: &[f32]) {
        if self.scores.len() > MAX_SWEEPS {
            return self.place(items, scores);
        }
        for slot in 0..self.scores.len() {
            let target = self.scores[slot];
            let (mut above, mut level) = (0, 0);
            for score in scores {
                above += u32::from(*score > target);
                level += u32::from(*score == target);
            }
            self.above[slot] += above;
            if level > 0 {
                self.meet_all(slot, items, scores);
            }
        }
    }

    #[inline(never)]
    fn place(&mut self, items: &[u32], scores: &[f32]) {
        for (score, item) in scores.iter().zip(items) {
            let slot = self.scores.partition_point(|target| *target >= *score);
            if let Some(between) = self.between.get_mut(slot) {
                *between += 1;
            }
            if slot > 0 && self.scores[slot - 1] == *score {
                self.meet(slot - 1, *item);
            }
        }
    }

    #[inline(never)]
    fn meet_all(&mut self, slot: usize, items: &[u32], scores: &[f32]) {
        let target = self.scores[slot];
        for (score, item) in scores.iter().zip(items) {
            if *score == target {
                self.meet(slot, *item);
            }
        }
    }

    /// Counts `items` items that score above the target of `slot`.
    pub(crate) fn rise(&mut self, slot: usize, items: u32) {
        self.above[slot] += items;
    }

    /// Counts an item whose score equals the target of `slot`: it may be that target itself.
    pub(crate) fn meet(&mut self, slot: usize, item: u32) {
        let hits = self.starts[slot]..self.starts[slot + 1];
        let after = self.hits[hits.clone()].partition_point(|hit| hit.item <= item);
        if let Some(passed) = self.passed[hits].get_mut(after) {
            *passed += 1;
        }
        self.level[slot] += 1;
    }

    /// The relevant items' standings, by item.
    pub(crate) fn finish(self) -> Vec<Standing> {
        let mut standings = Vec::with_capacity(self.hits.len());
        let mut higher = 0;
        for slot in 0..self.scores.len() {
            higher += self.between.get(slot).unwrap_or(&0);
            let (above, level, mut earlier) = (self.above[slot] + higher, self.level[slot], 0);
            for at in self.starts[slot]..self.starts[slot + 1] {
                earlier += self.passed[at];
                let Hit { item, score } = self.hits[at];
                standings.push((item, Standing { score, above, level, earlier }));
            }
        }
        standings.sort_unstable_by_key(|(item, _)| *item);
        standings.into_iter().map(|(_, standing)| standing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn agrees_with_a_full_sort_whatever_the_blocks() {
        let mut random = Random::new(3);
        for case in 0..60 {
            let pool = 1 + random.below(600);
            // Few distinct values: most scores are ties. Many: more than MAX_SWEEPS targets.
            let kinds = [9, 200][case % 3 % 2];
            let scores: Vec<f32> = (0..pool).map(|_| random.below(kinds) as f32 / 8.0).collect();
            let depth = 1 + random.below(pool);
            // Many targets or few.
            let share = if case % 2 == 0 { 20 } else { 2 };
            let relevant: Vec<Hit> = (0..pool as u32)
                .filter(|_| random.below(share) == 0)
                .map(|item| Hit { item, score: scores[item as usize] })
                .collect();
            let (mut best, mut targets) = (Best::new(depth), Targets::new(&relevant));
            let mut first = 0;
            while first < pool {
                let end = pool.min(first + 1 + random.below(50));
                let items: Vec<u32> = (first as u32..end as u32).collect();
                best.observe(&items, &scores[first..end]);
                targets.observe(&items, &scores[first..end]);
                first = end;
            }

            let mut sorted: Vec<Hit> =
                scores.iter().zip(0..).map(|(score, item)| Hit { item, score: *score }).collect();
            sorted.sort_by(order);
            assert_eq!(best.finish(), sorted[..depth]);
            for (found, target) in targets.finish().into_iter().zip(&relevant) {
                let place = sorted.iter().position(|hit| hit.item == target.item).expect("present");
                let count = |keep: &dyn Fn(&Hit) -> bool| {
                    sorted.iter().filter(|hit| keep(hit)).count() as u32
                };
                assert_eq!((found.above + found.earlier) as usize, place);
                assert_eq!(found.above, count(&|hit| hit.score > target.score));
                assert_eq!(found.level, count(&|hit| hit.score == target.score));
            }
        }
    }

    #[test]
    fn an_excluded_item_is_never_kept() {
        let mut best = Best::new(3);
        best.observe(&[0, 1, 2], &[0.5, f32::NEG_INFINITY, -0.5]);
        let items: Vec<u32> = best.finish().iter().map(|hit| hit.item).collect();
        assert_eq!(items, [0, 2]);
    }
}
