//! One query while the pool streams past it: what it keeps of the scores.

use super::judged::Judged;
use super::select::{Best, Standing, Targets};
use crate::Hit;

/// What one query has kept of the items seen so far.
#[derive(Debug)]
pub(crate) struct State {
    /// Index of the query.
    pub query: usize,
    excluded: Option<u32>,
    pub best: Best,
    pub targets: Targets,
}

impl State {
    /// Starts with the scores of its relevant items, by item.
    pub(crate) fn new(query: usize, judged: &Judged, scores: &[f32], depth: usize) -> Self {
        let targets: Vec<Hit> = judged
            .relevant
            .iter()
            .zip(scores)
            .map(|((item, _), score)| Hit { item: *item, score: *score })
            .collect();
        Self {
            query,
            excluded: judged.excluded,
            best: Best::new(depth),
            targets: Targets::new(&targets),
        }
    }

    /// Where the query's own item stands in `items`, if it is excluded and there.
    pub(crate) fn skipped(&self, items: &[u32]) -> Option<usize> {
        self.excluded.and_then(|item| items.binary_search(&item).ok())
    }

    /// Takes the scores of `items`, which ascend and come after all items seen before.
    #[inline(always)]
    pub(crate) fn observe(&mut self, items: &[u32], scores: &mut [f32]) {
        if let Some(at) = self.skipped(items) {
            scores[at] = f32::NEG_INFINITY;
        }
        self.best.observe(items, scores);
        self.targets.observe(items, scores);
    }

    /// Its best items, best first, and its relevant items, by item.
    pub(crate) fn finish(self) -> (Vec<Hit>, Vec<Standing>) {
        (self.best.finish(), self.targets.finish())
    }
}
