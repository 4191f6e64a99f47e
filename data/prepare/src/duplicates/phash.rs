//! The perceptual hash (pHash) of a picture: 64 bits that stay when it is scaled, sharpened or
//! compressed again, and of which about half change when it is another picture.
//!
//! Defined as Python's `imagehash.phash` defines it: grey, 32 x 32 by Lanczos, the 8 x 8 lowest
//! frequencies of a two-dimensional DCT-II, each bit whether a frequency is above their median.
//! The small picture is Pillow's, pixel by pixel, and so are the bits, but for frequencies that are 0
//! because of a symmetry (a plain picture, one that is its own mirror image): they are exactly 0 here,
//! and rounding noise in `imagehash`.

use std::cell::RefCell;
use std::f64::consts::PI;
use std::sync::LazyLock;

use data::Area;

use super::miniature::{Miniatures, SIDE};

/// Frequencies kept along each axis, the lowest.
const LOWEST: usize = 8;

/// The hash of `width` x `height` RGB pixels, the first of which is the first of `rgb`; rows begin
/// `stride` bytes apart. The highest bit is the lowest frequency's, and rows of frequencies follow
/// each other from the lowest down the picture: `format!("{:016x}")` is `str(imagehash.phash(...))`.
///
/// # Errors
/// An empty side; a buffer or a stride too short for the size.
pub fn phash(rgb: &[u8], stride: usize, width: usize, height: usize) -> Result<u64, String> {
    thread_local! {
        static MINIATURES: RefCell<Miniatures> = RefCell::default();
    }
    let area = Area::new(rgb, stride, width, height)?;
    let pixels = MINIATURES.with_borrow_mut(|miniatures| miniatures.of(&area));
    Ok(bits(&frequencies(&pixels)))
}

/// cos(pi k (2 n + 1) / 64) by k and n, in 20 bits behind the point. In whole numbers, sums do not
/// depend on their order, and what cancels leaves 0: the bits are the same on every machine.
static COSINES: LazyLock<[[i64; SIDE]; LOWEST]> = LazyLock::new(|| {
    let cosine = |k: usize, n: usize| (PI * (k * (2 * n + 1)) as f64 / (2 * SIDE) as f64).cos();
    let scale = f64::from(1 << 20);
    std::array::from_fn(|k| std::array::from_fn(|n| (cosine(k, n) * scale).round() as i64))
});

/// The lowest frequencies, down times across, by 2^40. At most 32 x 32 x 255 x 2^40 < 2^58.
fn frequencies(pixels: &[u8; SIDE * SIDE]) -> [i64; LOWEST * LOWEST] {
    let mut down = [[0_i64; SIDE]; LOWEST];
    let (rows, _) = pixels.as_chunks::<SIDE>();
    for (sums, cosines) in down.iter_mut().zip(&*COSINES) {
        for (row, cosine) in rows.iter().zip(cosines) {
            for (sum, pixel) in sums.iter_mut().zip(row) {
                *sum += i64::from(*pixel) * cosine;
            }
        }
    }
    std::array::from_fn(|index| {
        let (sums, cosines) = (&down[index / LOWEST], &COSINES[index % LOWEST]);
        sums.iter().zip(cosines).map(|(sum, cosine)| sum * cosine).sum()
    })
}

/// Which frequencies are above their median, the first in the highest bit.
fn bits(frequencies: &[i64; LOWEST * LOWEST]) -> u64 {
    let mut sorted = *frequencies;
    sorted.sort_unstable();
    // The median of an even number of values lies midway between the middle two. Doubled, it is
    // whole, and still below 2^60.
    let middle = sorted.len() / 2;
    let median_doubled = sorted[middle - 1] + sorted[middle];
    frequencies.iter().fold(0, |bits, value| bits << 1 | u64::from(2 * value > median_doubled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> u64 {
        let pixels: Vec<u8> =
            (0..width * height).flat_map(|i| pixel(i % width, i / width)).collect();
        phash(&pixels, width * 3, width, height).unwrap()
    }

    #[test]
    fn a_plain_picture_has_only_its_mean() {
        for (width, height) in [(1, 1), (32, 32), (288, 190), (3, 500)] {
            let plain = hash(width, height, |_, _| [200, 180, 3]);
            assert_eq!(plain, 1 << 63, "{width} x {height}: {plain:016x}");
        }
        // Black has nothing above the median.
        assert_eq!(hash(40, 40, |_, _| [0; 3]), 0);
    }

    #[test]
    fn a_mirror_image_of_itself_has_no_odd_frequencies() {
        let odd = 0x5555_5555_5555_5555;
        let across = hash(64, 48, |x, y| [(x.min(63 - x) * 7) as u8, (y * 5) as u8, (y * y) as u8]);
        assert_eq!(across & odd, 0, "{across:016x}");
        let down = hash(48, 64, |x, y| [(y.min(63 - y) * 7) as u8, (x * 5) as u8, (x * x) as u8]);
        assert_eq!(down & 0x00ff_00ff_00ff_00ff, 0, "{down:016x}");
    }

    #[test]
    fn frequencies_lie_where_imagehash_has_them() {
        // One period across: the second frequency of the first row, cos(pi 2 (2 n + 1) / 64).
        let wave =
            |n: usize| (128.0 + 100.0 * (PI * (2 * (2 * n + 1)) as f64 / 64.0).cos()).round() as u8;
        let across: [u8; 1024] = std::array::from_fn(|i| wave(i % 32));
        let down: [u8; 1024] = std::array::from_fn(|i| wave(i / 32));
        let strongest = |pixels: &[u8; 1024]| {
            let values = frequencies(pixels);
            (1..64).max_by_key(|&i| values[i].abs()).unwrap()
        };
        assert_eq!((strongest(&across), strongest(&down)), (2, 16));
    }

    #[test]
    fn a_part_hashes_as_its_copy_and_what_does_not_fit_is_refused() {
        let pixels: Vec<u8> = (0..100 * 80 * 3).map(|i| (i * i / 97 % 251) as u8).collect();
        let part = &pixels[(7 * 100 + 11) * 3..];
        let copy: Vec<u8> =
            Area::new(part, 300, 60, 50).unwrap().rows().flatten().copied().collect();
        assert_eq!(phash(part, 300, 60, 50), phash(&copy, 180, 60, 50));
        let message = phash(&copy, 180, 60, 51).unwrap_err();
        assert_eq!(message, "60 x 51 RGB pixels with a stride of 180 bytes do not fit 9000 bytes");
    }
}
