//! Pictures to pixels as transformers' `GroundingDinoImageProcessor` makes them.

mod config_file;
mod resize;

pub(crate) use config_file::Preprocessor;

use crate::GroundingError;
use crate::model::Pixels;
use resize::resized;
use tch::{Device, Kind, Tensor};

/// A decoded picture: RGB, 8 bits per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbPicture {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// height x width x 3.
    pub pixels: Vec<u8>,
}

/// Pictures of equal bucket become pixels of nearly equal size: a batch of them has little padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Height in px, rounded up.
    pub height: usize,
    /// Width in px, rounded up.
    pub width: usize,
}

/// Sizes of buckets are multiples of this.
const BUCKET_PX: usize = 128;

impl Bucket {
    /// Of pictures that are resized to `height` x `width`.
    fn of((height, width): (usize, usize)) -> Self {
        let up = |px: usize| px.next_multiple_of(BUCKET_PX);
        Self { height: up(height), width: up(width) }
    }
}

impl Preprocessor {
    /// Where a picture of `width` x `height` belongs.
    pub fn bucket(&self, width: usize, height: usize) -> Bucket {
        Bucket::of(self.resized_size(height, width))
    }

    /// Resizes `pictures`, normalises them and fills them up to a common size on `device`.
    ///
    /// # Errors
    /// Names a picture whose number of bytes is not that of its size, or that becomes nothing.
    pub fn pixels(
        &self,
        pictures: &[RgbPicture],
        device: Device,
    ) -> Result<Pixels, GroundingError> {
        let mut sizes = Vec::with_capacity(pictures.len());
        for (index, picture) in pictures.iter().enumerate() {
            sizes.push(
                self.checked_size(picture)
                    .map_err(|reason| GroundingError::Picture { index, reason })?,
            );
        }
        let height = sizes.iter().map(|size| size.0).max().unwrap_or(0);
        let width = sizes.iter().map(|size| size.1).max().unwrap_or(0);
        Ok(native::guarded("resize the pictures", || {
            let b = pictures.len() as i64;
            let values = Tensor::zeros([b, 3, height, width], (Kind::Float, device));
            let mask = Tensor::zeros([b, height, width], (Kind::Int64, device));
            for ((i, picture), &(h, w)) in (0..).zip(pictures).zip(&sizes) {
                let pixels =
                    self.normalised(&resized(picture, h, w, self.filter).to_device(device));
                values.get(i).narrow(1, 0, h).narrow(2, 0, w).copy_(&pixels);
                let _ = mask.get(i).narrow(0, 0, h).narrow(1, 0, w).fill_(1);
            }
            let padded = sizes.iter().any(|&size| size != (height, width));
            Pixels { values, mask, padded }
        })?)
    }

    /// Height and width after resizing.
    fn checked_size(&self, picture: &RgbPicture) -> Result<(i64, i64), String> {
        let RgbPicture { width, height, pixels } = picture;
        let expected = width.checked_mul(*height).and_then(|area| area.checked_mul(3));
        if *width == 0 || *height == 0 {
            return Err(format!("expected at least one pixel, found {width} x {height}"));
        }
        if expected != Some(pixels.len()) {
            return Err(format!(
                "expected 3 bytes for each of {width} x {height} pixels, found {} bytes",
                pixels.len()
            ));
        }
        let (h, w) = self.resized_size(*height, *width);
        if h == 0 || w == 0 {
            return Err(format!(
                "{width} x {height} pixels would become {w} x {h}: too narrow to be resized"
            ));
        }
        let side = |px: usize| i64::try_from(px).map_err(|error| error.to_string());
        Ok((side(h)?, side(w)?))
    }

    /// `pixels` [3, h, w] u8 as f32, rescaled and normalised in the order of transformers, whose
    /// rounding it shares.
    fn normalised(&self, pixels: &Tensor) -> Tensor {
        let pixels = pixels.to_kind(Kind::Float);
        let Some((mean, std)) = &self.normalise else {
            return match self.rescale {
                Some(factor) => pixels * factor,
                None => pixels,
            };
        };
        let by = 1.0 / self.rescale.unwrap_or(1.0);
        let constant = |values: &[f32; 3]| {
            let values = Tensor::from_slice(values) * by;
            values.view([3, 1, 1]).to_device(pixels.device())
        };
        (&pixels - constant(mean)) / constant(std)
    }
}
