//! Resizing as Pillow 13 does it, bit for bit: separable filters in 22-bit fixed point, each
//! pass rounded to 8 bits.

use super::Picture;

/// A resampling filter, numbered as Pillow (and `preprocessor_config.json`) numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Pillow's 1.
    Lanczos = 1,
    /// Pillow's 2.
    Bilinear = 2,
    /// Pillow's 3, with a = -0.5: what CLIP uses.
    Bicubic = 3,
}

impl Filter {
    /// Half the filter's width at scale 1.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        use std::f64::consts::PI;
        match self {
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => {
                let (a, x) = (-0.5, x.abs());
                if x < 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * a
                } else {
                    0.0
                }
            }
        }
    }
}

/// Bits behind the binary point of a coefficient: 32 less 8 for the pixel and 2 for the sum.
const BITS: u32 = 22;

/// The inputs and coefficients of each output position along one axis: an output is the sum of
/// [`Taps::HALF`] and of its inputs times their coefficients, through [`Taps::to_u8`].
#[derive(Clone, Debug)]
pub struct Taps {
    /// Per output: first input, and where its coefficients lie in `coefficients`.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    coefficients: Vec<i32>,
}

impl Taps {
    /// What a sum begins with, so that it is rounded.
    pub const HALF: i32 = 1 << (BITS - 1);

    /// Those of `size_out` outputs from `size_in` inputs, neither of them 0.
    pub fn new(size_in: usize, size_out: usize, filter: Filter) -> Self {
        let scale = size_in as f64 / size_out as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let inverse = 1.0 / filter_scale;
        let mut taps = Self { spans: Vec::with_capacity(size_out), coefficients: Vec::new() };
        let mut weights = Vec::new();
        for out in 0..size_out {
            let center = (out as f64 + 0.5) * scale;
            // `as usize` saturates at 0 and truncates, as Pillow's cast and clip.
            let first = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(size_in);
            weights.clear();
            weights
                .extend((first..end).map(|x| filter.weight((x as f64 - center + 0.5) * inverse)));
            let sum: f64 = weights.iter().sum();
            let start = taps.coefficients.len();
            taps.coefficients.extend(weights.iter().map(|weight| {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = weight * f64::from(1u32 << BITS);
                // Half away from zero, written as Pillow writes it.
                if weight < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 }
            }));
            taps.spans.push((first, start..taps.coefficients.len()));
        }
        taps
    }

    /// By output: its first input, and the coefficients of that and of those after it.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = (usize, &[i32])> {
        self.spans.iter().map(|(first, span)| (*first, &self.coefficients[span.clone()]))
    }

    /// Number of coefficients of all outputs.
    pub fn num_coefficients(&self) -> usize {
        self.coefficients.len()
    }

    /// The pixel that a sum stands for.
    #[inline(always)]
    pub fn to_u8(sum: i32) -> u8 {
        (sum >> BITS).clamp(0, 255) as u8
    }
}

fn horizontal(source: &Picture, width: usize, filter: Filter) -> Picture {
    let taps = Taps::new(source.width, width, filter);
    let mut pixels = Vec::with_capacity(width * source.height * 3);
    for row in source.pixels.chunks_exact(source.width * 3) {
        for (first, coefficients) in taps.outputs() {
            let mut sum = [Taps::HALF; 3];
            let inputs = row[first * 3..].chunks_exact(3);
            for (&k, pixel) in coefficients.iter().zip(inputs) {
                for c in 0..3 {
                    sum[c] += i32::from(pixel[c]) * k;
                }
            }
            pixels.extend(sum.map(Taps::to_u8));
        }
    }
    Picture { width, height: source.height, pixels }
}

fn vertical(source: &Picture, height: usize, filter: Filter) -> Picture {
    let taps = Taps::new(source.height, height, filter);
    let stride = source.width * 3;
    let mut pixels = Vec::with_capacity(stride * height);
    let mut sums = vec![Taps::HALF; stride];
    for (first, coefficients) in taps.outputs() {
        sums.fill(Taps::HALF);
        let rows = source.pixels[first * stride..].chunks_exact(stride);
        for (&k, row) in coefficients.iter().zip(rows) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * k;
            }
        }
        pixels.extend(sums.iter().map(|&sum| Taps::to_u8(sum)));
    }
    Picture { width: source.width, height, pixels }
}

/// Pillow 13's rule for which pass comes first.
pub fn vertical_first(width_in: usize, height_in: usize, width: usize, height: usize) -> bool {
    height < height_in
        && height_in as i128 - height as i128 > 2 * (width_in as i128 - width as i128)
}

impl Picture {
    /// Resized as `PIL.Image.resize((width, height), filter)` of Pillow 13, bit for bit.
    pub fn resize(&self, width: usize, height: usize, filter: Filter) -> Self {
        let across = |picture: &Self| match picture.width == width {
            true => picture.clone(),
            false => horizontal(picture, width, filter),
        };
        let down = |picture: &Self| match picture.height == height {
            true => picture.clone(),
            false => vertical(picture, height, filter),
        };
        if vertical_first(self.width, self.height, width, height) {
            across(&down(self))
        } else {
            down(&across(self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn noise(width: usize, height: usize, seed: u64) -> Picture {
        let mut rng = Rng::new(Purpose::Sample, &[seed]);
        let pixels = (0..width * height * 3).map(|_| rng.below(256) as u8).collect();
        Picture { width, height, pixels }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = noise(7, 5, 1);
        assert_eq!(picture.resize(7, 5, Filter::Bicubic), picture);
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let picture = Picture { width: 9, height: 4, pixels: vec![200; 108] };
        for filter in [Filter::Bicubic, Filter::Bilinear, Filter::Lanczos] {
            for (width, height) in [(3, 3), (20, 11), (1, 1)] {
                let out = picture.resize(width, height, filter);
                assert!(out.pixels.iter().all(|&v| v == 200), "{filter:?} {width}x{height}");
            }
        }
    }
}
