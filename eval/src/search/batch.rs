//! Some items of the pool, packed for the kernel: grouped by label, each group in tiles of its own.

use super::Pools;
use super::items::Row;
use super::kernel::{Kernel, Panels, pack};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The items of one label in a batch.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub label: u32,
    /// Its part of [`Batch::items`].
    pub rows: Range<usize>,
    /// Its tiles.
    pub tiles: Range<usize>,
}

/// Packed items. Its buffers are kept from one batch to the next.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Pool indices by run, ascending in each.
    pub items: Vec<u32>,
    /// By label.
    pub runs: Vec<Run>,
    pub panels: Panels,
}

impl Batch {
    /// Puts `rows`, which ascend by index, in the order of their labels.
    pub(crate) fn arrange(&mut self, kernel: &Kernel, rows: &mut [Row], labels: Option<&Pools>) {
        let label = |item: u32| labels.map_or(0, |labels| labels.items[item as usize]);
        if labels.is_some() {
            rows.sort_by_key(|(item, _)| label(*item));
        }
        self.items.clear();
        self.items.extend(rows.iter().map(|(item, _)| *item));
        self.runs.clear();
        let (mut first_row, mut first_tile) = (0, 0);
        for run in rows.chunk_by(|a, b| label(a.0) == label(b.0)) {
            let end_row = first_row + run.len();
            let end_tile = first_tile + run.len().div_ceil(kernel.item_tile());
            self.runs.push(Run {
                label: label(run[0].0),
                rows: first_row..end_row,
                tiles: first_tile..end_tile,
            });
            (first_row, first_tile) = (end_row, end_tile);
        }
    }

    /// Packs `rows`, arranged before, on `threads` threads.
    pub(crate) fn pack(&mut self, kernel: &Kernel, width: usize, rows: &[Row], threads: usize) {
        let tile = kernel.item_tile();
        let contents = self.runs.iter().flat_map(|run| rows[run.rows.clone()].chunks(tile));
        let num_tiles = self.runs.last().map_or(0, |run| run.tiles.end);
        let work = Mutex::new(self.panels.tiles_mut(width, tile, num_tiles).zip(contents));
        on_threads(threads, || {
            let mut slices = Vec::with_capacity(tile);
            while let Some((panel, rows)) = next(&work) {
                slices.clear();
                slices.extend(rows.iter().map(|(_, row)| *row));
                pack(panel, tile, &slices);
            }
        });
    }

    /// The items of `label`, if there are any.
    pub(crate) fn run(&self, label: u32) -> Option<&Run> {
        let at = self.runs.binary_search_by_key(&label, |run| run.label).ok()?;
        Some(&self.runs[at])
    }
}

/// Runs `work` on as many threads, this one included.
pub(crate) fn on_threads(threads: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&work);
        }
        work();
    });
}

/// The next piece of work, for whichever thread asks first.
pub(crate) fn next<I: Iterator>(work: &Mutex<I>) -> Option<I::Item> {
    work.lock().unwrap_or_else(PoisonError::into_inner).next()
}
