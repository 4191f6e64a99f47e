//! The geometry of training: torchvision's RandomResizedCrop and RandomHorizontalFlip.

use crate::rng::Rng;
use configs::Augment;

/// A box in pixels: (left, top, width, height).
pub(super) type Box = (usize, usize, usize, usize);

/// `torchvision.transforms.RandomResizedCrop.get_params`: ten tries at an area and an aspect
/// ratio, else the greatest central box of an allowed ratio.
pub(super) fn random_crop(width: usize, height: usize, augment: &Augment, rng: &mut Rng) -> Box {
    let [scale_low, scale_high] = augment.scale;
    let [ratio_low, ratio_high] = augment.ratio;
    let area = width as f64 * height as f64;
    for _ in 0..10 {
        let target = area * rng.between(scale_low, scale_high);
        let ratio = rng.between(ratio_low.ln(), ratio_high.ln()).exp();
        // Python's `round` takes halves to even.
        let w = (target * ratio).sqrt().round_ties_even() as usize;
        let h = (target / ratio).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = rng.below((height - h + 1) as u64) as usize;
            let left = rng.below((width - w + 1) as u64) as usize;
            return (left, top, w, h);
        }
    }
    let (w, h) = (width as f64, height as f64);
    let ratio = w / h;
    let (w, h) = if ratio < ratio_low {
        (width, ((w / ratio_low).round_ties_even() as usize).clamp(1, height))
    } else if ratio > ratio_high {
        (((h * ratio_high).round_ties_even() as usize).clamp(1, width), height)
    } else {
        (width, height)
    };
    ((width - w) / 2, (height - h) / 2, w, h)
}

/// Mirrors a square picture left to right.
pub(super) fn flip(pixels: &mut [u8], size: usize) {
    for row in pixels.chunks_exact_mut(size * 3) {
        let (row, _) = row.as_chunks_mut::<3>();
        row.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn crops(width: usize, height: usize, augment: Augment) -> impl Iterator<Item = Box> {
        (0..2000).map(move |key| {
            random_crop(width, height, &augment, &mut Rng::new(Purpose::Sample, &[key]))
        })
    }

    #[test]
    fn crops_keep_to_scale_ratio_and_picture() {
        let augment = Augment { scale: [0.1, 0.5], ..Augment::default() };
        let mut shares = Vec::new();
        for (left, top, w, h) in crops(400, 300, augment) {
            assert!(left + w <= 400 && top + h <= 300);
            let share = (w * h) as f64 / 120_000.0;
            assert!((0.098..=0.505).contains(&share), "{share}");
            let ratio = w as f64 / h as f64;
            assert!((0.74..=1.35).contains(&ratio), "{ratio}");
            shares.push(share);
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((mean - 0.3).abs() < 0.015, "uniform in area: mean {mean}");
    }

    #[test]
    fn impossible_ratios_fall_back_to_the_centre() {
        // Torchvision: width 1000, height 100, ratio at most 4/3: w = round(100 * 4/3) = 133.
        let augment = Augment { scale: [1.0, 1.0], ..Augment::default() };
        assert!(crops(1000, 100, augment).all(|b| b == (433, 0, 133, 100)));
        assert!(crops(100, 1000, augment).all(|b| b == (0, 433, 100, 133)));
        assert!(crops(1, 1, augment).all(|b| b == (0, 0, 1, 1)));
    }

    #[test]
    fn flipping_mirrors_rows() {
        let mut pixels = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        flip(&mut pixels, 2);
        assert_eq!(pixels, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
    }
}
