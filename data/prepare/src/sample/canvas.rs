//! A square picture being painted, and how a product is put on it.

use tiny_skia::{FillRule, Mask, Path, Transform};

use super::draw::{Part, Sketch, thick};
use super::rng::sin_cos;
use super::surface::{Rgb, Spot, Surface, blend};

/// Pixels as float red, green, blue in 0..=255, row by row.
pub(super) struct Canvas {
    pub(super) side: usize,
    pub(super) pixels: Vec<Rgb>,
}

/// Where a product's unit square goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Centre, in pixels.
    pub(super) cx: f32,
    pub(super) cy: f32,
    /// Width and height of the unit square, in pixels; a negative width mirrors.
    pub(super) width: f32,
    pub(super) height: f32,
    /// Clockwise turn in radians, within -pi/4..=pi/4.
    pub(super) tilt: f32,
}

/// Whole pixels `x0..x1` by `y0..y1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelBox {
    pub(super) x0: usize,
    pub(super) y0: usize,
    pub(super) x1: usize,
    pub(super) y1: usize,
}

impl PixelBox {
    fn cover(self, other: PixelBox) -> PixelBox {
        PixelBox {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    pub(super) fn area(self) -> usize {
        (self.x1 - self.x0) * (self.y1 - self.y0)
    }

    /// Area shared with `other`, in pixels.
    pub(super) fn overlap(self, other: PixelBox) -> usize {
        let width = self.x1.min(other.x1).saturating_sub(self.x0.max(other.x0));
        let height = self.y1.min(other.y1).saturating_sub(self.y0.max(other.y0));
        width * height
    }
}

impl Place {
    /// From the unit square to pixels: a 2 x 2 matrix by columns, then the offset.
    fn matrix(self) -> [f32; 6] {
        let (sin, cos) = sin_cos(self.tilt);
        let (a, b) = (self.width * cos, self.width * sin);
        let (c, d) = (-self.height * sin, self.height * cos);
        [a, b, c, d, self.cx - 0.5 * (a + c), self.cy - 0.5 * (b + d)]
    }
}

impl Canvas {
    pub(super) fn new(side: usize) -> Canvas {
        Canvas { side, pixels: vec![[0.0; 3]; side * side] }
    }

    /// Paints `sketch` and returns the box of the pixels it covers at least half; none when it
    /// lies outside the picture.
    pub(super) fn stamp(
        &mut self,
        sketch: &Sketch,
        surface: &Surface,
        place: Place,
    ) -> Option<PixelBox> {
        let matrix = place.matrix();
        let mut seen = None;
        for part in &sketch.parts {
            for covered in [self.fill(part, surface, matrix), self.edge(part, surface, matrix)] {
                seen = match (seen, covered) {
                    (Some(a), Some(b)) => Some(PixelBox::cover(a, b)),
                    (a, b) => a.or(b),
                };
            }
        }
        seen
    }

    fn fill(&mut self, part: &Part, surface: &Surface, matrix: [f32; 6]) -> Option<PixelBox> {
        let [a, b, c, d, e, f] = matrix;
        let det = a * d - b * c;
        let bounds = part.path.bounds();
        self.cover(&part.path, matrix, |px, py, under| {
            let (dx, dy) = (px - e, py - f);
            let (x, y) = ((dx * d - dy * c) / det, (dy * a - dx * b) / det);
            let u = (x - bounds.left()) / bounds.width();
            let v = (y - bounds.top()) / bounds.height();
            let (rgb, opacity) = surface.colour(part.paint, part.volume, Spot { x, y, u, v });
            blend(under, rgb, opacity)
        })
    }

    fn edge(&mut self, part: &Part, surface: &Surface, matrix: [f32; 6]) -> Option<PixelBox> {
        let outline = part.edge.then(|| thick(&part.path, 0.018)).flatten()?;
        let rgb = surface.edge(part.paint);
        self.cover(&outline, matrix, |_, _, under| blend(under, rgb, 0.7))
    }

    /// Repaints the pixels that `path` covers: `paint` gets the middle of each and what is there.
    fn cover(
        &mut self,
        path: &Path,
        [a, b, c, d, e, f]: [f32; 6],
        paint: impl Fn(f32, f32, Rgb) -> Rgb,
    ) -> Option<PixelBox> {
        let path = path.clone().transform(Transform::from_row(a, b, c, d, e, f))?;
        let bounds = path.bounds();
        let (x0, x1) = self.clip(bounds.left(), bounds.right())?;
        let (y0, y1) = self.clip(bounds.top(), bounds.bottom())?;
        let mut mask = Mask::new(u32::try_from(x1 - x0).ok()?, u32::try_from(y1 - y0).ok()?)?;
        let shift = Transform::from_translate(-(x0 as f32), -(y0 as f32));
        mask.fill_path(&path, FillRule::Winding, true, shift);
        let mut seen: Option<PixelBox> = None;
        for (row, line) in mask.data().chunks_exact(x1 - x0).enumerate() {
            for (column, &coverage) in line.iter().enumerate().filter(|(_, cov)| **cov > 0) {
                let (x, y) = (x0 + column, y0 + row);
                let pixel = &mut self.pixels[y * self.side + x];
                let fresh = paint(x as f32 + 0.5, y as f32 + 0.5, *pixel);
                *pixel = blend(*pixel, fresh, f32::from(coverage) / 255.0);
                if coverage >= 128 {
                    let here = PixelBox { x0: x, y0: y, x1: x + 1, y1: y + 1 };
                    seen = Some(seen.map_or(here, |box_| box_.cover(here)));
                }
            }
        }
        seen
    }

    /// The whole pixels of `low..high` inside the picture; none when there are none.
    fn clip(&self, low: f32, high: f32) -> Option<(usize, usize)> {
        let side = self.side as f32; // a few hundred: exact
        let (low, high) = (low.floor().clamp(0.0, side), high.ceil().clamp(0.0, side));
        (low < high).then_some((low as usize, high as usize)) // whole numbers within 0..=side
    }

    /// Rounded to bytes, row by row, three per pixel.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // `as u8` saturates, so that a channel past 255 is 255.
        self.pixels.iter().flatten().map(|channel| (channel + 0.5).floor() as u8).collect()
    }
}
