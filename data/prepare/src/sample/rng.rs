//! Random draws that are the same on every machine, forever: SplitMix64 and exact arithmetic.
//!
//! Floats are made from 24 random bits by one exact division, and only `+ - * /` and comparisons
//! follow, which IEEE 754 fixes to the bit. Sines come from a polynomial, not from the platform's
//! libm.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// The stream of `index` within the purpose `tag`: independent of every other stream.
    pub(super) fn keyed(seed: u64, tag: u64, index: u64) -> Rng {
        let mut state = 0x5851_f42d_4c95_7f2d;
        for key in [seed, tag, index] {
            state = Rng(state ^ key).next();
        }
        Rng(state)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..n` (0 when `n` is 0).
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The high half of a 128-bit product; below 2^64 always, and below n by construction.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A number in `0.0..1.0`, a multiple of 2^-24.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0 // 24 bits fit f32 exactly
    }

    /// A number in `low..high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// One of `items`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// The index of one of `weights`, drawn in proportion.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut left = self.below(total as usize);
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight as usize {
                return index;
            }
            left -= weight as usize;
        }
        weights.len().saturating_sub(1)
    }
}

/// Sine and cosine of an angle in radians within -pi/4..=pi/4, to about 1e-6.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    let a2 = angle * angle;
    let sin = angle * (1.0 - a2 / 6.0 * (1.0 - a2 / 20.0 * (1.0 - a2 / 42.0)));
    let cos = 1.0 - a2 / 2.0 * (1.0 - a2 / 12.0 * (1.0 - a2 / 30.0 * (1.0 - a2 / 56.0)));
    (sin, cos)
}

/// A random-looking number in `0.0..1.0` fixed by a lattice point: value noise's corners.
pub(super) fn lattice(x: i32, y: i32, salt: u32) -> f32 {
    let mut h = salt
        .wrapping_add((x as u32).wrapping_mul(0x9e37_79b1)) // two's complement on purpose
        .wrapping_add((y as u32).wrapping_mul(0x85eb_ca77));
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / 16_777_216.0
}

/// Smooth noise in `0.0..1.0` with features about one unit wide.
pub(super) fn noise(x: f32, y: f32, salt: u32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let (ix, iy) = (x0 as i32, y0 as i32);
    let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let top = lattice(ix, iy, salt) * (1.0 - sx) + lattice(ix + 1, iy, salt) * sx;
    let bottom = lattice(ix, iy + 1, salt) * (1.0 - sx) + lattice(ix + 1, iy + 1, salt) * sx;
    top * (1.0 - sy) + bottom * sy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_independent() {
        let mut rng = Rng(0);
        assert_eq!(rng.next(), 0xe220_a839_7b1d_cdaf, "SplitMix64's published first output");
        assert_ne!(Rng::keyed(1, 2, 3).next(), Rng::keyed(1, 3, 2).next());
    }

    #[test]
    fn draws_stay_in_range() {
        let mut rng = Rng::keyed(7, 0, 0);
        for _ in 0..1000 {
            assert!(rng.below(3) < 3);
            assert!((0.0..1.0).contains(&rng.unit()));
            assert!(rng.weighted(&[0, 5, 1]) >= 1);
            let x = rng.range(-40.0, 40.0);
            assert!((0.0..=1.0).contains(&noise(x, x * 0.3, 1)));
        }
    }

    #[test]
    fn sine_is_close_to_libm() {
        for i in -20..=20 {
            let angle = i as f32 * 0.039;
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 2e-6 && (cos - angle.cos()).abs() < 2e-6);
        }
    }
}
