//! What one query keeps while the scores of the pool stream past it: its best items, and how many
//! items score above and with each relevant one. Owns the tie rule: lower item index first.

use crate::Hit;
use std::cmp::Ordering;

/// Scores looked at together before the slow path is entered.
const LANE: usize = 16;
/// With more distinct target scores than this, each score is placed by bisection instead.
const MAX_SWEEPS: usize = 8;

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

    /// Takes the scores of items `first..`, which must come after all items seen before. A score of
    /// minus infinity is no candidate.
    pub(crate) fn observe(&mut self, first: u32, scores: &[f32]) {
        for (chunk, item) in scores.chunks(LANE).zip((first..).step_by(LANE)) {
            // Items come in index order, so one that only equals the worst kept comes after it.
            if !chunk.iter().fold(false, |any, score| any | (*score > self.threshold)) {
                continue;
            }
            for (score, item) in chunk.iter().zip(item..) {
                if *score > self.threshold {
                    self.hits.push(Hit { item, score: *score });
                }
            }
            if self.hits.len() >= 2 * self.depth + LANE {
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        if self.hits.len() > self.depth {
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

/// Where one relevant item stands in the whole pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    pub item: u32,
    pub score: f32,
    /// Items that score higher.
    pub above: u32,
    /// Items that score the same, itself included.
    pub level: u32,
    /// Of those, the ones with a lower index.
    pub earlier: u32,
}

/// Counts, for every relevant item of a query, the items above, level with and before it.
#[derive(Debug)]
pub(crate) struct Targets {
    /// Relevant items by index, with their slot in `scores` and the level items before them.
    items: Vec<(u32, usize, u32)>,
    /// Their distinct scores, best first.
    scores: Vec<f32>,
    /// By slot; differences between neighbours when scores are placed by bisection.
    above: Vec<u32>,
    level: Vec<u32>,
}

impl Targets {
    /// Takes the relevant items with their scores, in any order.
    pub(crate) fn new(relevant: &[Hit]) -> Self {
        let mut scores: Vec<f32> = relevant.iter().map(|hit| hit.score).collect();
        scores.sort_unstable_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        scores.dedup();
        let mut items: Vec<_> = relevant
            .iter()
            .map(|hit| (hit.item, scores.partition_point(|score| *score > hit.score), 0))
            .collect();
        items.sort_unstable();
        let slots = scores.len();
        Self { items, scores, above: vec![0; slots], level: vec![0; slots] }
    }

    /// Takes the scores of items `first..`, which must come after all items seen before.
    pub(crate) fn observe(&mut self, first: u32, scores: &[f32]) {
        if self.scores.len() <= MAX_SWEEPS {
            for slot in 0..self.scores.len() {
                let target = self.scores[slot];
                let (mut above, mut level) = (0, 0);
                for score in scores {
                    above += u32::from(*score > target);
                    level += u32::from(*score == target);
                }
                self.above[slot] += above;
                if level > 0 {
                    for (score, item) in scores.iter().zip(first..) {
                        if *score == target {
                            self.meet(slot, item);
                        }
                    }
                }
            }
        } else {
            for (score, item) in scores.iter().zip(first..) {
                let slot = self.scores.partition_point(|target| *target >= *score);
                if let Some(above) = self.above.get_mut(slot) {
                    *above += 1;
                }
                if slot > 0 && self.scores[slot - 1] == *score {
                    self.meet(slot - 1, item);
                }
            }
        }
    }

    /// An item whose score equals a target's: it may be that target itself.
    fn meet(&mut self, slot: usize, item: u32) {
        if let Ok(at) = self.items.binary_search_by_key(&item, |target| target.0) {
            self.items[at].2 = self.level[slot];
        }
        self.level[slot] += 1;
    }

    /// The relevant items, by index.
    pub(crate) fn finish(mut self) -> Vec<Standing> {
        if self.scores.len() > MAX_SWEEPS {
            for slot in 1..self.above.len() {
                self.above[slot] += self.above[slot - 1];
            }
        }
        self.items
            .iter()
            .map(|(item, slot, earlier)| Standing {
                item: *item,
                score: self.scores[*slot],
                above: self.above[*slot],
                level: self.level[*slot],
                earlier: *earlier,
            })
            .collect()
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
            let pool = 1 + random.below(300);
            // Few distinct values: most scores are ties.
            let scores: Vec<f32> = (0..pool).map(|_| random.below(9) as f32 / 8.0).collect();
            let depth = 1 + random.below(pool);
            // More than MAX_SWEEPS distinct scores in some cases, fewer in others.
            let share = if case % 2 == 0 { 20 } else { 2 };
            let relevant: Vec<Hit> = (0..pool as u32)
                .filter(|_| random.below(share) == 0)
                .map(|item| Hit { item, score: scores[item as usize] })
                .collect();
            let (mut best, mut targets) = (Best::new(depth), Targets::new(&relevant));
            let mut first = 0;
            while first < pool {
                let end = pool.min(first + 1 + random.below(50));
                best.observe(first as u32, &scores[first..end]);
                targets.observe(first as u32, &scores[first..end]);
                first = end;
            }

            let mut sorted: Vec<Hit> =
                scores.iter().zip(0..).map(|(score, item)| Hit { item, score: *score }).collect();
            sorted.sort_by(order);
            assert_eq!(best.finish(), sorted[..depth]);
            for found in targets.finish() {
                let place = sorted.iter().position(|hit| hit.item == found.item).expect("present");
                let count = |keep: &dyn Fn(&Hit) -> bool| {
                    sorted.iter().filter(|hit| keep(hit)).count() as u32
                };
                assert_eq!((found.above + found.earlier) as usize, place);
                assert_eq!(found.above, count(&|hit| hit.score > found.score));
                assert_eq!(found.level, count(&|hit| hit.score == found.score));
            }
        }
    }

    #[test]
    fn an_excluded_item_is_never_kept() {
        let mut best = Best::new(3);
        best.observe(0, &[0.5, f32::NEG_INFINITY, -0.5]);
        let items: Vec<u32> = best.finish().iter().map(|hit| hit.item).collect();
        assert_eq!(items, [0, 2]);
    }
}
