//! Inner products of a block of queries with a block of items, in f32.
//!
//! Owns the arithmetic of a score and nothing else. A score is one chain of multiply-adds over the
//! components in their order, starting at zero, whatever the place of the two rows in their blocks
//! and (where multiply-adds are fused) whatever the vector width of the processor. So equal rows
//! have equal scores, bit for bit, and a score computed alone is the one the block product gives:
//! ties are real ties. A library GEMM promises none of this (it splits the sum by shape), and
//! `pulp` needs no `unsafe`.

use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Query rows that one register tile covers: 6 rows x 2 vectors keep 12 independent chains, enough
/// to hide the latency of two multiply-add units, within the 16 registers of AVX2. Larger tiles are
/// no faster where there are 32 registers: these already keep both units busy.
const QUERY_TILE: usize = 6;
/// Vectors of item rows that one register tile covers.
const VECTORS: usize = 2;
/// Components summed before the tile moves on: 256 x 32 floats stay in the first-level cache.
const DEPTH_STEP: usize = 256;

/// The processor's widest vector unit, chosen once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    arch: Arch,
    item_tile: usize,
}

/// Rows rearranged for the kernel: groups of `tile` rows, component-major, padded with zero rows.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    width: usize,
    tile: usize,
    values: Vec<f32>,
}

impl Panels {
    /// Makes room for `tiles` tiles and hands them out to be filled by [`pack`].
    pub(crate) fn tiles_mut(
        &mut self,
        width: usize,
        tile: usize,
        tiles: usize,
    ) -> std::slice::ChunksExactMut<'_, f32> {
        (self.width, self.tile) = (width, tile);
        self.values.resize(tiles * tile * width, 0.0);
        self.values.chunks_exact_mut(tile * width)
    }

    fn num_tiles(&self) -> usize {
        self.values.len() / (self.tile * self.width)
    }
}

/// Fills one tile of [`Panels`] with at most `tile` rows.
pub(crate) fn pack(panel: &mut [f32], tile: usize, rows: &[&[f32]]) {
    if rows.len() < tile {
        panel.fill(0.0);
    }
    // Few components at a time, so that what is written stays in the first-level cache.
    const STEP: usize = 16;
    for (start, panel) in (0..).step_by(STEP).zip(panel.chunks_mut(STEP * tile)) {
        let num_components = panel.len() / tile;
        for (at, row) in rows.iter().enumerate() {
            let row = &row[start..start + num_components];
            for (value, held) in row.iter().zip(panel[at..].iter_mut().step_by(tile)) {
                *held = *value;
            }
        }
    }
}

impl Kernel {
    pub(crate) fn new() -> Self {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        let arch = Arch::new();
        Self { arch, item_tile: arch.dispatch(Lanes) * VECTORS }
    }

    /// Packs rows of `width` components as queries.
    pub(crate) fn queries(&self, rows: &[&[f32]], width: usize) -> Panels {
        Self::packed(rows, width, QUERY_TILE)
    }

    /// Packs rows of `width` components as items.
    pub(crate) fn items(&self, rows: &[&[f32]], width: usize) -> Panels {
        Self::packed(rows, width, self.item_tile)
    }

    fn packed(rows: &[&[f32]], width: usize, tile: usize) -> Panels {
        let mut panels = Panels::default();
        let tiles = panels.tiles_mut(width, tile, rows.len().div_ceil(tile));
        for (panel, rows) in tiles.zip(rows.chunks(tile)) {
            pack(panel, tile, rows);
        }
        panels
    }

    /// Item rows that one tile holds: blocks of items start and end at multiples of it.
    pub(crate) fn item_tile(&self) -> usize {
        self.item_tile
    }

    /// Writes the scores of all packed queries with the item tiles `tiles`. Row `q` of the result
    /// starts at `q * tiles.len() * item_tile`; what belongs to padding has no meaning.
    pub(crate) fn score(
        &self,
        queries: &Panels,
        items: &Panels,
        tiles: Range<usize>,
        scores: &mut Vec<f32>,
    ) {
        let stride = tiles.len() * self.item_tile;
        scores.resize(queries.num_tiles() * QUERY_TILE * stride, 0.0);
        self.arch.dispatch(Product { queries, items, tiles, stride, scores });
    }

    /// Runs `work` compiled for the vector unit, as far as it is inlined.
    pub(crate) fn vectorised<R>(&self, work: impl FnOnce() -> R) -> R {
        self.arch.dispatch(work)
    }
}

struct Product<'a> {
    queries: &'a Panels,
    items: &'a Panels,
    tiles: Range<usize>,
    stride: usize,
    scores: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.queries.width;
        let tile = S::F32_LANES * VECTORS;
        let panels =
            self.items.values[self.tiles.start * tile * width..].chunks_exact(tile * width);
        for (column, panel) in panels.take(self.tiles.len()).enumerate() {
            let mut start = 0;
            while start < width {
                let end = width.min(start + DEPTH_STEP);
                let items = &panel[start * tile..end * tile];
                let rows = self.scores.chunks_exact_mut(QUERY_TILE * self.stride);
                for (query, rows) in self.queries.values.chunks_exact(QUERY_TILE * width).zip(rows)
                {
                    let query = &query[start * QUERY_TILE..end * QUERY_TILE];
                    let scores = &mut rows[column * tile..];
                    accumulate(simd, query, items, scores, self.stride, start > 0);
                }
                start = end;
            }
        }
    }
}

/// Sums `query x items` over their common components into one tile of scores, on top of what it
/// holds if `resume`.
#[inline(always)]
fn accumulate<S: Simd>(
    simd: S,
    query: &[f32],
    items: &[f32],
    scores: &mut [f32],
    stride: usize,
    resume: bool,
) {
    let tile = S::F32_LANES * VECTORS;
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; QUERY_TILE];
    if resume {
        for (row, sums) in sums.iter_mut().enumerate() {
            let (held, _) = S::as_simd_f32s(&scores[row * stride..row * stride + tile]);
            sums.copy_from_slice(held);
        }
    }
    let (queries, _) = query.as_chunks::<QUERY_TILE>();
    let (vectors, _) = S::as_simd_f32s(items);
    let (items, _) = vectors.as_chunks::<VECTORS>();
    for (query, item) in queries.iter().zip(items) {
        for (sums, component) in sums.iter_mut().zip(query) {
            let component = simd.splat_f32s(*component);
            for (sum, item) in sums.iter_mut().zip(item) {
                *sum = simd.mul_add_e_f32s(component, *item, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let (held, _) = S::as_mut_simd_f32s(&mut scores[row * stride..row * stride + tile]);
        held.copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, random_rows as rows};

    fn scores<'a>(
        kernel: &Kernel,
        queries: &'a [Vec<f32>],
        items: &'a [Vec<f32>],
    ) -> Vec<Vec<f32>> {
        let width = queries[0].len();
        let slices = |rows: &'a [Vec<f32>]| rows.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let packed_queries = kernel.queries(&slices(queries), width);
        let packed_items = kernel.items(&slices(items), width);
        let (mut out, tiles) = (Vec::new(), packed_items.num_tiles());
        kernel.score(&packed_queries, &packed_items, 0..tiles, &mut out);
        let stride = tiles * kernel.item_tile();
        (0..queries.len()).map(|q| out[q * stride..q * stride + items.len()].to_vec()).collect()
    }

    #[test]
    fn is_the_inner_product_for_every_shape() {
        let (kernel, mut random) = (Kernel::new(), Random::new(1));
        for (num_queries, num_items, width) in
            [(1, 1, 1), (5, 33, 7), (6, 32, 256), (7, 31, 257), (13, 70, 600)]
        {
            let (queries, items) =
                (rows(&mut random, num_queries, width), rows(&mut random, num_items, width));
            let found = scores(&kernel, &queries, &items);
            for (query, found) in queries.iter().zip(&found) {
                for (item, found) in items.iter().zip(found) {
                    let exact: f64 =
                        query.iter().zip(item).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!((exact - f64::from(*found)).abs() < 1e-4, "{exact} {found}");
                }
            }
        }
    }

    #[test]
    fn a_score_does_not_depend_on_where_its_rows_stand() {
        let (kernel, mut random) = (Kernel::new(), Random::new(2));
        for width in [3, 255, 512, 700] {
            let (query, item) = (rows(&mut random, 1, width), rows(&mut random, 1, width));
            let alone = scores(&kernel, &query, &item)[0][0];
            let (mut queries, mut items) =
                (rows(&mut random, 14, width), rows(&mut random, 101, width));
            for at in [0, 5, 6, 13] {
                queries[at].clone_from(&query[0]);
            }
            for at in [0, 1, 31, 32, 64, 100] {
                items[at].clone_from(&item[0]);
            }
            let found = scores(&kernel, &queries, &items);
            for q in [0, 5, 6, 13] {
                for i in [0, 1, 31, 32, 64, 100] {
                    assert_eq!(found[q][i].to_bits(), alone.to_bits(), "width {width} at {q}, {i}");
                }
            }
        }
    }
}
