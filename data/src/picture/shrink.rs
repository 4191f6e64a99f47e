//! Crops resized with SIMD, for training.

use super::augment::Box;
use super::resize::vertical_first;
use super::scratch::{Scratch, room};
use super::{Filter, Picture, PictureError};
use fast_image_resize as fir;
use fir::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fir::pixels::U8x3;

/// The decoded part of a picture around a crop, and where the crop lies in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Width of the rows, in pixels.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Left, top, width and height of the crop, in pixels of the part.
    pub crop: [f64; 4],
}

impl Filter {
    fn fir(self) -> fir::FilterType {
        match self {
            Self::Lanczos => fir::FilterType::Lanczos3,
            Self::Bilinear => fir::FilterType::Bilinear,
            Self::Bicubic => fir::FilterType::CatmullRom,
        }
    }

    /// The crop of `part`, resized to `size` (width, height) into `out` in the order of passes that is
    /// fastest. The filter sees whole pixels that the crop covers in part, and none beyond.
    pub(super) fn shrink_into(
        self,
        pixels: &[u8],
        part: &Part,
        size: (usize, usize),
        resizer: &mut fir::Resizer,
        out: &mut [u8],
    ) -> Result<(), PictureError> {
        let [left, top, width, height] = part.crop;
        let (first_x, first_y) = (left.floor(), top.floor());
        let end_x = (left + width).ceil().min(part.width as f64);
        let end_y = (top + height).ceil().min(part.height as f64);
        let whole = [first_x, first_y, end_x - first_x, end_y - first_y].map(|v| v as usize);
        let [x, y, w, h] = whole;
        let source = cropped(pixels, (part.width, part.height), (x, y, w, h))?;
        let options = options(self).crop(left - first_x, top - first_y, width, height);
        let (wide, high) = (side(size.0)?, side(size.1)?);
        let mut out = TypedImage::from_buffer(wide, high, out).map_err(fault)?;
        resizer.resize_typed(&source, &mut out, &options).map_err(fault)
    }

    /// The box `crop` of a picture, resized to `size` x `size` into `out`: at most 2 of 255 from
    /// [`super::Picture::resize`] of the cropped picture.
    #[expect(clippy::too_many_arguments, reason = "a picture, a crop, and what a thread keeps")]
    pub(super) fn crop_into(
        self,
        pixels: &[u8],
        picture: (usize, usize),
        crop: Box,
        size: usize,
        between: &mut Vec<u8>,
        resizer: &mut fir::Resizer,
        out: &mut [u8],
    ) -> Result<(), PictureError> {
        let (_, _, width, height) = crop;
        let source = cropped(pixels, picture, crop)?;
        // Two one-dimensional passes: in a single call the order of passes is the library's.
        let (mid_width, mid_height) = match vertical_first(width, height, size, size) {
            true => (width, size),
            false => (size, height),
        };
        let between = room(between, mid_width * mid_height * 3);
        let (mid_width, mid_height, size) = (side(mid_width)?, side(mid_height)?, side(size)?);
        let options = options(self);
        let mut target = TypedImage::from_buffer(mid_width, mid_height, between).map_err(fault)?;
        resizer.resize_typed(&source, &mut target, &options).map_err(fault)?;
        let mut out = TypedImage::from_buffer(size, size, out).map_err(fault)?;
        resizer.resize_typed(&target, &mut out, &options).map_err(fault)
    }
}

impl Picture {
    /// A box of it (left, top, width, height), shrunk with a bicubic filter so that its shorter side
    /// has `short_side` pixels, the longer one in proportion. A box no larger than that keeps its size.
    ///
    /// # Errors
    /// A box that does not lie in the picture.
    pub fn shrunk(&self, area: Box, short_side: usize) -> Result<Self, PictureError> {
        let (_, _, width, height) = area;
        let scale = (short_side as f64 / width.min(height).max(1) as f64).min(1.0);
        let [width, height] =
            [width, height].map(|side| ((side as f64 * scale).round() as usize).max(1));
        let source = cropped(&self.pixels, (self.width, self.height), area)?;
        let mut pixels = vec![0; width * height * 3];
        let mut out =
            TypedImage::from_buffer(side(width)?, side(height)?, &mut pixels).map_err(fault)?;
        Scratch::with(|scratch| {
            scratch.resizer.resize_typed(&source, &mut out, &options(Filter::Bicubic))
        })
        .map_err(fault)?;
        Ok(Self { width, height, pixels })
    }
}

fn options(filter: Filter) -> fir::ResizeOptions {
    fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter.fir()))
}

/// A box of a picture, without a copy.
fn cropped<'a>(
    pixels: &'a [u8],
    (width, height): (usize, usize),
    crop: Box,
) -> Result<TypedCroppedImage<'a, TypedImageRef<'a, U8x3>>, PictureError> {
    let (x, y, w, h) = crop;
    let source = TypedImageRef::from_buffer(side(width)?, side(height)?, pixels).map_err(fault)?;
    TypedCroppedImage::new(source, side(x)?, side(y)?, side(w)?, side(h)?).map_err(fault)
}

fn side(value: usize) -> Result<u32, PictureError> {
    u32::try_from(value).map_err(fault)
}

fn fault(error: impl std::fmt::Display) -> PictureError {
    PictureError::Resize(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;
    use crate::rng::{Purpose, Rng};

    fn noise(width: usize, height: usize, seed: u64) -> Picture {
        let mut rng = Rng::new(Purpose::Sample, &[seed]);
        let pixels = (0..width * height * 3).map(|_| rng.below(256) as u8).collect();
        Picture { width, height, pixels }
    }

    #[test]
    fn boxes_are_shrunk_in_proportion_and_never_enlarged() {
        let picture = noise(90, 60, 7);
        let small = picture.shrunk((10, 5, 61, 40), 20).unwrap();
        assert_eq!((small.width, small.height, small.pixels.len()), (31, 20, 31 * 20 * 3));
        let exact = picture.crop(10, 5, 61, 40).resize(31, 20, Filter::Bicubic);
        let worst = exact.pixels.iter().zip(&small.pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(40), "{worst:?}");
        let same = picture.shrunk((10, 5, 61, 40), 99).unwrap();
        assert_eq!(same, picture.crop(10, 5, 61, 40));
        assert!(picture.shrunk((50, 5, 61, 40), 20).is_err());
    }

    #[test]
    fn both_resizes_stay_near_pillows() {
        for (seed, (width, height)) in [(90, 60), (40, 300), (33, 31)].into_iter().enumerate() {
            let picture = noise(width, height, seed as u64);
            let (left, top, w, h) = (3, 2, width - 5, height - 7);
            let exact = picture.crop(left, top, w, h).resize(32, 32, Filter::Bicubic).pixels;
            let (mut between, mut resizer) = (Vec::new(), fir::Resizer::new());
            let worst = |out: &[u8]| exact.iter().zip(out).map(|(a, b)| a.abs_diff(*b)).max();
            let mut out = vec![0; 32 * 32 * 3];
            let (all, crop) = (&picture.pixels, (left, top, w, h));
            Filter::Bicubic
                .crop_into(all, (width, height), crop, 32, &mut between, &mut resizer, &mut out)
                .unwrap();
            assert!(worst(&out) <= Some(2), "{width}x{height}: {:?}", worst(&out));
            let part = Part { width, height, crop: [left, top, w, h].map(|v| v as f64) };
            out.fill(0);
            Filter::Bicubic.shrink_into(all, &part, (32, 32), &mut resizer, &mut out).unwrap();
            // The passes in the other order round otherwise, and noise clips between them.
            assert!(worst(&out) <= Some(40), "{width}x{height}: {:?}", worst(&out));
        }
    }
}
