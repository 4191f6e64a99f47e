//! How each product type looks: parts in the unit square, from back to front.
//!
//! A drawing function lays out parts (a path, where its colour comes from, how it is rounded) in
//! 0..=1 with y down; it knows neither the picture nor the product's colours. Paths hold lines and
//! quadratic curves only, whose outlines tiny-skia makes with exact arithmetic alone.

pub(super) mod clothes;
pub(super) mod decor;
pub(super) mod fashion;
pub(super) mod furniture;
pub(super) mod kitchen;

use tiny_skia::{LineCap, LineJoin, Path, PathBuilder, Rect, Stroke};

/// A drawing function: adds the parts of a product with these proportions.
pub(super) type DrawFn = fn(&mut Sketch, [f32; 3]);

/// Where the colour of a part comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// The product's pattern in its two colours, in its material.
    Pattern,
    /// The first colour, in the product's material.
    Plain,
    /// The second colour, in the product's material: trims, legs, lids.
    Accent,
    /// The first colour in deep shadow: the inside of something hollow.
    Inside,
    /// This colour, whatever the product: plants, flames, clock faces.
    Fixed([f32; 3]),
}

/// How light falls off over a part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Volume {
    Flat,
    /// Rounded from left to right.
    Round,
    /// Rounded both ways.
    Ball,
}

/// One part of a product.
pub(super) struct Part {
    pub(super) path: Path,
    pub(super) paint: Paint,
    pub(super) volume: Volume,
    /// Whether its edge is drawn darker, which sets it apart from what is behind it.
    pub(super) edge: bool,
}

/// The parts of a product drawn so far.
#[derive(Default)]
pub(super) struct Sketch {
    pub(super) parts: Vec<Part>,
}

impl Sketch {
    fn add(&mut self, path: Option<Path>, paint: Paint, volume: Volume) {
        // A path without extent is simply not seen.
        if let Some(path) = path {
            self.parts.push(Part { path, paint, volume, edge: true });
        }
    }

    /// A detail too fine for an edge of its own.
    fn detail(&mut self, path: Option<Path>, paint: Paint) {
        if let Some(path) = path {
            self.parts.push(Part { path, paint, volume: Volume::Flat, edge: false });
        }
    }
}

/// From `low` at 0 to `high` at 1.
fn mix(low: f32, high: f32, knob: f32) -> f32 {
    low + (high - low) * knob
}

fn rect(x0: f32, y0: f32, x1: f32, y1: f32) -> Option<Path> {
    Rect::from_ltrb(x0, y0, x1, y1).map(PathBuilder::from_rect)
}

fn oval(cx: f32, cy: f32, rx: f32, ry: f32) -> Option<Path> {
    Rect::from_ltrb(cx - rx, cy - ry, cx + rx, cy + ry).and_then(PathBuilder::from_oval)
}

/// A rectangle with corners rounded by `r`.
fn rounded(x0: f32, y0: f32, x1: f32, y1: f32, r: f32) -> Option<Path> {
    let mut pen = PathBuilder::new();
    pen.move_to(x0 + r, y0);
    pen.line_to(x1 - r, y0);
    pen.quad_to(x1, y0, x1, y0 + r);
    pen.line_to(x1, y1 - r);
    pen.quad_to(x1, y1, x1 - r, y1);
    pen.line_to(x0 + r, y1);
    pen.quad_to(x0, y1, x0, y1 - r);
    pen.line_to(x0, y0 + r);
    pen.quad_to(x0, y0, x0 + r, y0);
    pen.close();
    pen.finish()
}

fn polygon(points: &[[f32; 2]]) -> Option<Path> {
    let mut pen = PathBuilder::new();
    for (index, &[x, y]) in points.iter().enumerate() {
        if index == 0 { pen.move_to(x, y) } else { pen.line_to(x, y) }
    }
    pen.close();
    pen.finish()
}

/// A closed curve that passes the middle of every side of the polygon `points`.
fn blob(points: &[[f32; 2]]) -> Option<Path> {
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let (&first, &last) = (points.first()?, points.last()?);
    let mut pen = PathBuilder::new();
    let start = middle(last, first);
    pen.move_to(start[0], start[1]);
    for (index, &point) in points.iter().enumerate() {
        let next = points.get(index + 1).copied().unwrap_or(first);
        let end = middle(point, next);
        pen.quad_to(point[0], point[1], end[0], end[1]);
    }
    pen.close();
    pen.finish()
}

/// A body of revolution around x = `cx`: half-widths at heights, from top to bottom, joined
/// smoothly.
fn turned(cx: f32, profile: &[[f32; 2]]) -> Option<Path> {
    let (&[top_half, top_y], &[bottom_half, bottom_y]) = (profile.first()?, profile.last()?);
    let mut pen = PathBuilder::new();
    pen.move_to(cx - top_half, top_y);
    pen.line_to(cx + top_half, top_y);
    smooth(&mut pen, profile.iter().map(|&[half, y]| [cx + half, y]).collect());
    pen.line_to(cx - bottom_half, bottom_y);
    smooth(&mut pen, profile.iter().rev().map(|&[half, y]| [cx - half, y]).collect());
    pen.close();
    pen.finish()
}

/// Continues from the first of `points` to the last, bending at those between.
fn smooth(pen: &mut PathBuilder, points: Vec<[f32; 2]>) {
    for (index, triple) in points.windows(3).enumerate() {
        let (bend, next) = (triple[1], triple[2]);
        let last = index + 3 == points.len();
        let to = if last { next } else { [(bend[0] + next[0]) / 2.0, (bend[1] + next[1]) / 2.0] };
        pen.quad_to(bend[0], bend[1], to[0], to[1]);
    }
    if let [_, [x, y]] = points[..] {
        pen.line_to(x, y);
    }
}

/// An open line through `points`, `width` thick, with round ends.
fn line(points: &[[f32; 2]], width: f32) -> Option<Path> {
    let mut pen = PathBuilder::new();
    for (index, &[x, y]) in points.iter().enumerate() {
        if index == 0 { pen.move_to(x, y) } else { pen.line_to(x, y) }
    }
    thick(&pen.finish()?, width)
}

/// A bow from `a` to `b` pulled towards `pull`, `width` thick.
fn bow(a: [f32; 2], pull: [f32; 2], b: [f32; 2], width: f32) -> Option<Path> {
    let mut pen = PathBuilder::new();
    pen.move_to(a[0], a[1]);
    pen.quad_to(pull[0], pull[1], b[0], b[1]);
    thick(&pen.finish()?, width)
}

/// An oval ring, `width` thick.
fn ring(cx: f32, cy: f32, rx: f32, ry: f32, width: f32) -> Option<Path> {
    thick(&oval(cx, cy, rx, ry)?, width)
}

/// The outline of `path` as an area `width` thick.
pub(super) fn thick(path: &Path, width: f32) -> Option<Path> {
    let stroke =
        Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    path.stroke(&stroke, 200.0) // curves exact to a fraction of a pixel at 200 px
}
