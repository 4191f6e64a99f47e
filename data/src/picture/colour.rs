//! Colours changed as torchvision changes them on Pillow's pictures: ColorJitter's four operations
//! and grey, bit for bit.

use crate::rng::Rng;
use configs::Augment;

/// One change of all pixels, as `torchvision.transforms.functional` on `PIL.Image`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colour {
    /// `adjust_brightness`: times a factor.
    Brightness(f64),
    /// `adjust_contrast`: away from the picture's mean grey by a factor.
    Contrast(f64),
    /// `adjust_saturation`: away from each pixel's grey by a factor.
    Saturation(f64),
    /// `adjust_hue`: a turn of the colour circle by this share, in [-0.5, 0.5].
    Hue(f64),
    /// `to_grayscale` with three channels.
    Grey,
}

impl Colour {
    /// Changes RGB pixels in place.
    pub fn apply(self, pixels: &mut [u8]) {
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        match self {
            Self::Brightness(factor) => blend(pixels, factor, |_| 0),
            Self::Contrast(factor) => {
                let sum: u64 = pixels.iter().map(|&pixel| u64::from(luma(pixel))).sum();
                let mean = (sum as f64 / pixels.len() as f64 + 0.5) as u8;
                blend(pixels, factor, |_| mean);
            }
            Self::Saturation(factor) => blend(pixels, factor, luma),
            Self::Hue(turn) => {
                // As a C cast to an integer, then its low byte.
                let turn = ((turn * 255.0) as i32).to_le_bytes()[0];
                for pixel in pixels {
                    let [h, s, v] = hsv(*pixel);
                    *pixel = rgb([h.wrapping_add(turn), s, v]);
                }
            }
            Self::Grey => pixels.iter_mut().for_each(|pixel| *pixel = [luma(*pixel); 3]),
        }
    }
}

/// The changes that `augment` asks for, drawn from `rng`; what is off draws nothing.
pub(super) fn jitter(augment: &Augment, rng: &mut Rng) -> Vec<Colour> {
    let mut changes = Vec::new();
    if augment.color_jitter_prob > 0.0 && rng.unit() < augment.color_jitter_prob {
        let [brightness, contrast, saturation, hue] = augment.color_jitter;
        let order = rng.permutation(4);
        let mut factor = |amount: f64| rng.between((1.0 - amount).max(0.0), 1.0 + amount);
        let mut drawn = [None; 4];
        if brightness > 0.0 {
            drawn[0] = Some(Colour::Brightness(factor(brightness)));
        }
        if contrast > 0.0 {
            drawn[1] = Some(Colour::Contrast(factor(contrast)));
        }
        if saturation > 0.0 {
            drawn[2] = Some(Colour::Saturation(factor(saturation)));
        }
        if hue > 0.0 {
            drawn[3] = Some(Colour::Hue(rng.between(-hue, hue)));
        }
        changes.extend(order.into_iter().filter_map(|index| drawn[index]));
    }
    if augment.gray_scale_prob > 0.0 && rng.unit() < augment.gray_scale_prob {
        changes.push(Colour::Grey);
    }
    changes
}

/// `PIL.Image.blend` from what `from` makes of a pixel to the pixel, in 32-bit floats.
fn blend(pixels: &mut [[u8; 3]], factor: f64, from: impl Fn([u8; 3]) -> u8) {
    let factor = factor as f32;
    for pixel in pixels {
        let start = f32::from(from(*pixel));
        // `as u8` truncates and clips, as Pillow does beyond [0, 1]; within, nothing is clipped.
        *pixel = pixel.map(|value| (start + factor * (f32::from(value) - start)) as u8);
    }
}

/// Pillow's `convert("L")`: ITU-R 601 in 16-bit fixed point.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 0x8000;
    (sum >> 16) as u8
}

/// Pillow's RGB to HSV.
fn hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let [rc, gc, bc] = [r, g, b].map(|value| f32::from(max - value) / range);
    let hue = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    // Pillow computes this line in doubles and keeps it as a float.
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(max);
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

/// Pillow's HSV to RGB.
fn rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = (f64::from(h) * 6.0 / 255.0) as f32;
    let sector = sixths.floor();
    let within = f64::from(sixths - sector);
    let saturation = f64::from((f64::from(s) / 255.0) as f32);
    // The product is kept as a float before it is rounded.
    let scaled = |share: f64| ((f64::from(v) * (1.0 - saturation * share)) as f32).round() as u8;
    let (p, q, t) = (scaled(1.0), scaled(within), scaled(1.0 - within));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn drawn(augment: Augment) -> impl Iterator<Item = Vec<Colour>> {
        (0..4000).map(move |key| jitter(&augment, &mut Rng::new(Purpose::Sample, &[key])))
    }

    #[test]
    fn colours_are_left_alone_by_default_and_draw_nothing() {
        let mut rng = Rng::new(Purpose::Sample, &[1]);
        assert!(jitter(&Augment::default(), &mut rng).is_empty());
        assert_eq!(rng.bits(), Rng::new(Purpose::Sample, &[1]).bits());
    }

    #[test]
    fn jitter_keeps_to_its_ranges_and_probabilities() {
        let augment = Augment {
            color_jitter: [0.4, 1.5, 0.0, 0.1],
            color_jitter_prob: 0.75,
            gray_scale_prob: 0.25,
            ..Augment::default()
        };
        let (mut jittered, mut grey, mut brightness_first) = (0, 0, 0);
        for changes in drawn(augment) {
            grey += usize::from(changes.last() == Some(&Colour::Grey));
            let jitters = changes.iter().filter(|&&change| change != Colour::Grey).count();
            assert!(jitters == 0 || jitters == 3, "{changes:?}");
            jittered += usize::from(jitters == 3);
            brightness_first += usize::from(matches!(changes.first(), Some(Colour::Brightness(_))));
            for change in changes {
                let holds = match change {
                    Colour::Brightness(factor) => (0.6..1.4).contains(&factor),
                    Colour::Contrast(factor) => (0.0..2.5).contains(&factor),
                    Colour::Hue(turn) => (-0.1..0.1).contains(&turn),
                    Colour::Saturation(_) => false,
                    Colour::Grey => true,
                };
                assert!(holds, "{change:?}");
            }
        }
        // 3,000, 1,000 and 1,000 expected; five standard deviations are 137.
        assert!((2863..3137).contains(&jittered), "{jittered}");
        assert!((863..1137).contains(&grey), "{grey}");
        assert!((863..1137).contains(&brightness_first), "{brightness_first}");
    }
}
