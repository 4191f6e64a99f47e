//! The pass over the pool: every query against every candidate, batch by batch, on all cores.
//! `kernel` owns the scores and `select` what is kept of them.

use super::batch::{Batch, Run, next, on_threads};
use super::items::{Rows, checked_blocks};
use super::state::State;
use super::{Items, Partial, RelevantScores, Search};
use crate::EvalError;
use std::sync::Mutex;

/// Rows that are worked on together: `items` are packed at once, `strip` of them scored at once
/// with `queries`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    pub items: usize,
    pub strip: usize,
    pub queries: usize,
    /// Items and queries that a device works on together.
    pub on_device: (usize, usize),
}

impl Blocks {
    /// At width 512: 32 MiB of packed items shared by all threads; per thread 192 KiB of packed
    /// queries and as much of scores, which stay in the second-level cache. On a device, half a GiB
    /// of scores.
    pub(crate) const DEFAULT: Self =
        Self { items: 16_384, strip: 512, queries: 96, on_device: (65_536, 2_048) };
}

/// Queries of one label that are scored together.
pub(crate) struct Group {
    pub label: u32,
    pub states: Vec<State>,
}

impl Search<'_> {
    /// The second phase: scores every query with all its candidates among `items`, the whole pool
    /// or one share of it. `scores` must hold the relevant items of all shares.
    ///
    /// Memory beyond queries and result is a few dozen MiB and the blocks that `items` hands out.
    ///
    /// # Errors
    /// What `items` returns; a block that is not finite, of unit norm, in order and in the pool;
    /// `scores` that lack an item.
    pub fn scan(
        &self,
        items: &(impl Items + ?Sized),
        scores: &RelevantScores,
    ) -> Result<Partial, EvalError> {
        let mut groups = self.groups(scores, self.blocks.queries)?;
        let mut batch = Batch::default();
        let covered = self.batches(items, self.blocks.items, &mut |rows| {
            batch.arrange(&self.kernel, rows, self.labels);
            batch.pack(&self.kernel, self.width(), rows, self.threads);
            let (work, batch) = (Mutex::new(groups.iter_mut()), &batch);
            on_threads(self.threads, || {
                let mut scores = Vec::new();
                while let Some(group) = next(&work) {
                    if let Some(run) = batch.run(group.label) {
                        self.score(batch, run, group, &mut scores);
                    }
                }
            });
            Ok(())
        })?;
        Ok(Partial::new(self.depth, covered, groups))
    }

    /// All queries by label, at most `most` in a group, and enough groups for all threads.
    pub(crate) fn groups(
        &self,
        scores: &RelevantScores,
        most: usize,
    ) -> Result<Vec<Group>, EvalError> {
        let scores = self.complete(scores)?;
        let mut states: Vec<(u32, State)> = Vec::with_capacity(self.judged.len());
        for (query, judged) in self.judged.iter().enumerate() {
            let scores = &scores[self.starts[query]..self.starts[query + 1]];
            states.push((judged.label, State::new(query, judged, scores, self.depth)));
        }
        states.sort_by_key(|(label, _)| *label);
        let size = states.len().div_ceil(self.threads).clamp(1, most);
        let mut groups: Vec<Group> = Vec::new();
        for (label, state) in states {
            match groups.last_mut() {
                Some(group) if group.label == label && group.states.len() < size => {
                    group.states.push(state);
                }
                _ => groups.push(Group { label, states: vec![state] }),
            }
        }
        Ok(groups)
    }

    /// Hands the rows of `items` to `work`, at most `most` at a time. Returns which rows there were: the
    /// first and the number of each unbroken series.
    pub(crate) fn batches(
        &self,
        items: &(impl Items + ?Sized),
        most: usize,
        work: &mut dyn FnMut(&mut [(u32, &[f32])]) -> Result<(), EvalError>,
    ) -> Result<Vec<(u32, u32)>, EvalError> {
        self.check_width(items)?;
        let mut run = |pending: &[Rows]| {
            let mut rows: Vec<_> = pending.iter().flat_map(Rows::iter).collect();
            rows.chunks_mut(most).try_for_each(&mut *work)
        };
        let mut covered: Vec<(u32, u32)> = Vec::new();
        let (mut pending, mut waiting) = (Vec::new(), 0);
        for rows in checked_blocks(items, &self.item_ids) {
            let rows = rows?;
            // Indices and lengths fit: the pool has at most u32::MAX items.
            let (first, len) = (rows.first as u32, rows.len as u32);
            match covered.last_mut() {
                Some((start, count)) if *start + *count == first => *count += len,
                _ => covered.push((first, len)),
            }
            if waiting > 0 && waiting + rows.len > most {
                run(&pending)?;
                pending.clear();
                waiting = 0;
            }
            waiting += rows.len;
            pending.push(rows);
        }
        run(&pending)?;
        Ok(covered)
    }

    fn score(&self, batch: &Batch, run: &Run, group: &mut Group, scores: &mut Vec<f32>) {
        let tile = self.kernel.item_tile();
        let strip_tiles = self.blocks.strip.div_ceil(tile);
        let rows: Vec<&[f32]> =
            group.states.iter().map(|state| self.queries.row(state.query)).collect();
        let queries = self.kernel.queries(&rows, self.width());
        let items = &batch.items[run.rows.clone()];
        let starts = run.tiles.clone().step_by(strip_tiles);
        for (start, items) in starts.zip(items.chunks(strip_tiles * tile)) {
            let tiles = start..start + items.len().div_ceil(tile);
            let stride = tiles.len() * tile;
            self.kernel.score(&queries, &batch.panels, tiles, scores);
            self.kernel.vectorised(
                #[inline(always)]
                || {
                    let rows = scores.chunks_exact_mut(stride);
                    for (state, scores) in group.states.iter_mut().zip(rows) {
                        state.observe(items, &mut scores[..items.len()]);
                    }
                },
            );
        }
    }
}
