//! The colour of every point of a product: its pattern, what it is made of, and how light falls.

use super::draw::{Paint, Volume};
use super::lexicon::{Material, Pattern};
use super::rng::{lattice, noise};

pub(super) type Rgb = [f32; 3];

/// A point of a part: `x, y` in the product's unit square, `u, v` in the part's own box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) u: f32,
    pub(super) v: f32,
}

/// The outside of one product.
pub(super) struct Surface {
    pub(super) first: Rgb,
    pub(super) second: Rgb,
    pub(super) pattern: Pattern,
    pub(super) material: Material,
    /// Length of one repeat of the pattern, in unit squares.
    pub(super) period: f32,
    /// Where the pattern starts, in repeats.
    pub(super) phase: f32,
    /// Makes the texture of this product its own.
    pub(super) salt: u32,
}

impl Surface {
    /// Colour and opacity at `at`.
    pub(super) fn colour(&self, paint: Paint, volume: Volume, at: Spot) -> (Rgb, f32) {
        let lit = light(volume, at);
        match paint {
            Paint::Fixed(rgb) => (shaded(rgb, lit), 1.0),
            Paint::Inside => (shaded(self.first, 0.5), 0.92),
            Paint::Accent => (shaded(self.second, lit), 1.0),
            Paint::Plain => self.textured(self.first, volume, lit, at),
            Paint::Pattern => {
                let share = self.second_share(at);
                self.textured(blend(self.first, self.second, share), volume, lit, at)
            }
        }
    }

    /// How much of the second colour shows at `at`: four samples soften the pattern's edges.
    fn second_share(&self, at: Spot) -> f32 {
        let mut hits = 0.0;
        for (dx, dy) in [(-0.004, -0.004), (0.004, -0.004), (-0.004, 0.004), (0.004, 0.004)] {
            if self.is_second(at.x + dx, at.y + dy) {
                hits += 0.25;
            }
        }
        hits
    }

    fn is_second(&self, x: f32, y: f32) -> bool {
        let (px, py) = (x / self.period + self.phase, y / self.period + self.phase);
        match self.pattern {
            Pattern::Solid => false,
            Pattern::Stripes => fract(py) < 0.45,
            Pattern::Pinstripes => fract(px) < 0.45,
            Pattern::Dots => {
                let shift = if fract(py * 0.5) < 0.5 { 0.5 } else { 0.0 };
                let (dx, dy) = (fract(px + shift) - 0.5, fract(py) - 0.5);
                dx * dx + dy * dy < 0.1
            }
            Pattern::Checks => (fract(px * 0.62) < 0.5) != (fract(py * 0.62) < 0.5),
            Pattern::Zigzag => fract(py + (fract(px * 0.8) - 0.5).abs() * 1.5) < 0.45,
            Pattern::Diamonds => {
                let (dx, dy) = (fract(px * 0.8) - 0.5, fract(py * 0.55) - 0.5);
                dx.abs() + dy.abs() < 0.33
            }
            Pattern::TwoTone => y > 0.5 + (self.phase - 0.5) * 0.1,
        }
    }

    fn textured(&self, rgb: Rgb, volume: Volume, lit: f32, at: Spot) -> (Rgb, f32) {
        let Spot { x, y, u, v } = at;
        let rim = u.min(1.0 - u).min(v.min(1.0 - v)).max(0.0);
        match self.material {
            Material::Ceramic => {
                let (du, dv) = ((u - 0.27) / 0.1, (v - 0.3) / 0.2);
                let shine = (2.0 * (1.0 - du * du - dv * dv)).clamp(0.0, 1.0);
                (blend(shaded(rgb, lit), WHITE, 0.8 * shine), 1.0)
            }
            Material::Glass => {
                let streak = if (0.16..0.24).contains(&u) && (0.08..0.85).contains(&v) {
                    0.6
                } else if rim < 0.07 {
                    0.45
                } else {
                    0.12
                };
                (blend(shaded(rgb, lit), WHITE, streak), 0.62)
            }
            Material::Metal => {
                let along = if volume == Volume::Flat { 0.65 * u + 0.35 * v } else { u };
                let brushed = lattice((y * 70.0).floor() as i32, 0, self.salt) - 0.5;
                let grey = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
                let steel = blend(rgb, [grey, grey, grey + 8.0], 0.3);
                (shaded(steel, bands(along) + 0.16 * brushed), 1.0)
            }
            Material::Wood => {
                let rings = fract(y * 8.0 + 1.8 * noise(x * 2.2, y * 2.6, self.salt));
                let grain = if rings < 0.2 { 0.8 } else { 0.92 + 0.18 * rings };
                let brown = blend(rgb, [156.0, 104.0, 58.0], 0.25);
                (shaded(brown, lit * grain), 1.0)
            }
            Material::Leather => {
                let pores = noise(x * 24.0, y * 24.0, self.salt);
                let crease = (noise(x * 7.0, y * 7.0, self.salt ^ 1) - 0.5).abs() < 0.035;
                let worn = if crease { 0.7 } else { 0.8 + 0.35 * pores };
                let sheen = (1.0 - ((u - 0.3) / 0.22).abs()).max(0.0) * 0.18;
                (blend(shaded(rgb, lit * worn), WHITE, sheen * pores), 1.0)
            }
            Material::Linen => {
                let (tx, ty) = ((x / 0.036).floor(), (y / 0.036).floor());
                let over = fract((tx + ty) * 0.5) < 0.25;
                let thread = lattice(tx as i32, 7, self.salt) + lattice(7, ty as i32, self.salt);
                let weave = if over { 0.84 } else { 1.06 };
                (shaded(blend(rgb, WHITE, 0.08), lit * (weave + 0.1 * (thread - 1.0))), 1.0)
            }
            Material::Knit => {
                let fx = fract(x / 0.085);
                let fy = fract(y / 0.07 - (fx - 0.5).abs() * 1.3);
                let seam = !(0.07..0.93).contains(&fx) || (fx - 0.5).abs() < 0.05;
                let stitch = if seam { 0.62 } else { 0.72 + 0.42 * fy };
                (shaded(rgb, lit * stitch), 1.0)
            }
            Material::Velvet => {
                let clump = 0.84 + 0.34 * noise(x * 6.0, y * 6.0, self.salt);
                let glow = 0.55 * (1.0 - rim / 0.22).max(0.0);
                (shaded(rgb, clump * (0.8 + glow)), 1.0)
            }
        }
    }

    /// The darker colour of a part's edge.
    pub(super) fn edge(&self, paint: Paint) -> Rgb {
        let base = match paint {
            Paint::Fixed(rgb) => rgb,
            Paint::Accent => self.second,
            Paint::Pattern | Paint::Plain | Paint::Inside => self.first,
        };
        base.map(|channel| channel * 0.42)
    }
}

const WHITE: Rgb = [255.0, 255.0, 255.0];

fn light(volume: Volume, at: Spot) -> f32 {
    let (du, dv) = (at.u - 0.36, at.v - 0.3);
    match volume {
        Volume::Flat => 1.05 - 0.12 * at.v,
        Volume::Round => 1.12 - 1.05 * du * du,
        Volume::Ball => 1.14 - 0.7 * (du * du + dv * dv),
    }
}

/// Light and dark along a piece of polished metal.
fn bands(along: f32) -> f32 {
    const AT: [(f32, f32); 6] =
        [(0.0, 0.6), (0.17, 1.35), (0.32, 0.8), (0.55, 1.3), (0.78, 0.6), (1.0, 1.0)];
    for pair in AT.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if along <= x1 {
            return y0 + (y1 - y0) * ((along - x0) / (x1 - x0)).clamp(0.0, 1.0);
        }
    }
    1.0
}

/// Lighter above 1, darker below; the second term lets texture show on black as well.
fn shaded(rgb: Rgb, by: f32) -> Rgb {
    rgb.map(|channel| (channel * by + 38.0 * (by - 1.0)).clamp(0.0, 255.0))
}

/// `a` at 0, `b` at 1.
pub(super) fn blend(a: Rgb, b: Rgb, share: f32) -> Rgb {
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * share)
}

fn fract(x: f32) -> f32 {
    x - x.floor()
}
