//! Pictures in grey, 32 x 32: Pillow's `convert("L").resize((32, 32), LANCZOS)`, pixel by pixel.
//!
//! Coefficients are kept by size, for their sines cost more than all the rest of a hash; sums run
//! over many pixels at once in the processor's widest vectors, which `pulp` picks.

use std::collections::HashMap;

use data::{Area, Filter, Taps, vertical_first};
use pulp::{Arch, Simd, WithSimd};

/// Side of a miniature, in pixels.
pub(super) const SIDE: usize = 32;

/// Rows that are narrowed at once.
const ROWS: usize = 16;
/// Beyond so many, 4 MB, coefficients are made anew.
const MAX_COEFFICIENTS: usize = 1 << 20;

/// Makes miniatures of one picture after another.
#[derive(Default)]
pub(super) struct Miniatures {
    /// By the length that becomes [`SIDE`].
    taps: HashMap<usize, Taps>,
    num_coefficients: usize,
    /// The grey picture, and between the two passes of resizing it.
    grey: Vec<u8>,
    between: Vec<u8>,
    /// Some rows side by side, and the sums of a row.
    columns: Vec<[u8; ROWS]>,
    sums: Vec<i32>,
}

impl Miniatures {
    /// The miniature of an area, row by row.
    pub(super) fn of(&mut self, area: &Area) -> [u8; SIDE * SIDE] {
        if self.num_coefficients > MAX_COEFFICIENTS {
            self.taps.clear();
            self.num_coefficients = 0;
        }
        self.prepare(area.width());
        self.prepare(area.height());
        Arch::new().dispatch(Making { with: self, area })
    }

    /// Makes sure that there are taps for `length`.
    fn prepare(&mut self, length: usize) {
        if self.taps.contains_key(&length) {
            return;
        }
        let taps = Taps::new(length, SIDE, Filter::Lanczos);
        self.num_coefficients += taps.num_coefficients();
        self.taps.insert(length, taps);
    }
}

/// One miniature being made.
struct Making<'a> {
    with: &'a mut Miniatures,
    area: &'a Area<'a>,
}

impl WithSimd for Making<'_> {
    type Output = [u8; SIDE * SIDE];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [u8; SIDE * SIDE] {
        let Miniatures { taps, grey, between, columns, sums, .. } = self.with;
        let (width, height) = (self.area.width(), self.area.height());
        grey_of(self.area, grey);
        let mut small = [0; SIDE * SIDE];
        // As Pillow, which leaves out a pass that changes nothing.
        let (wide, high) = (taps.get(&width), taps.get(&height));
        let (wide, high) = (wide.filter(|_| width != SIDE), high.filter(|_| height != SIDE));
        match (wide, high) {
            (Some(wide), Some(high)) if vertical_first(width, height, SIDE, SIDE) => {
                between.resize(width * SIDE, 0);
                down(high, grey, width, sums, between);
                across(wide, between, width, columns, &mut small);
            }
            (Some(wide), Some(high)) => {
                between.resize(SIDE * height, 0);
                across(wide, grey, width, columns, between);
                down(high, between, SIDE, sums, &mut small);
            }
            (Some(wide), None) => across(wide, grey, width, columns, &mut small),
            (None, Some(high)) => down(high, grey, width, sums, &mut small),
            (None, None) => small.copy_from_slice(grey),
        }
        small
    }
}

/// As Pillow's `convert("L")`.
#[inline(always)]
fn grey_of(area: &Area, grey: &mut Vec<u8>) {
    grey.clear();
    for row in area.rows() {
        let (row, _) = row.as_chunks::<3>();
        grey.extend(row.iter().map(|&[r, g, b]| {
            // ITU-R 601-2 in 16 bits behind the point, rounded.
            let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
            ((sum + 0x8000) >> 16) as u8
        }));
    }
}

/// Rows of `width` pixels to rows of [`SIDE`].
#[inline(always)]
fn across(taps: &Taps, from: &[u8], width: usize, columns: &mut Vec<[u8; ROWS]>, to: &mut [u8]) {
    columns.resize(width, [0; ROWS]);
    for (from, to) in from.chunks(width * ROWS).zip(to.chunks_mut(SIDE * ROWS)) {
        for (index, row) in from.chunks_exact(width).enumerate() {
            columns.iter_mut().zip(row).for_each(|(column, pixel)| column[index] = *pixel);
        }
        for (x, (first, coefficients)) in taps.outputs().enumerate() {
            let mut sums = [Taps::HALF; ROWS];
            for (column, k) in columns[first..].iter().zip(coefficients) {
                for (sum, pixel) in sums.iter_mut().zip(column) {
                    *sum += i32::from(*pixel) * k;
                }
            }
            for (row, sum) in to.chunks_exact_mut(SIDE).zip(sums) {
                row[x] = Taps::to_u8(sum);
            }
        }
    }
}

/// Rows of `width` pixels to [`SIDE`] of them.
#[inline(always)]
fn down(taps: &Taps, from: &[u8], width: usize, sums: &mut Vec<i32>, to: &mut [u8]) {
    sums.resize(width, 0);
    for ((first, coefficients), to) in taps.outputs().zip(to.chunks_exact_mut(width)) {
        sums.fill(Taps::HALF);
        for (row, k) in from[first * width..].chunks_exact(width).zip(coefficients) {
            for (sum, pixel) in sums.iter_mut().zip(row) {
                *sum += i32::from(*pixel) * k;
            }
        }
        to.iter_mut().zip(&*sums).for_each(|(pixel, sum)| *pixel = Taps::to_u8(*sum));
    }
}
