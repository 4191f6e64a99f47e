//! A product's crop: cut out of its picture, brought to size, encoded, hashed.

use bytes::Bytes;
use configs::prepare::Output;
use data::{Picture, encode_jpeg};

use crate::duplicates::phash;
use crate::grounding::Cut;
use crate::{Cause, Fault};

/// A finished crop.
pub(super) struct Crop {
    /// JPEG, or the picture's own bytes.
    pub bytes: Bytes,
    /// 64 bits that are nearly the same for pictures that are nearly the same.
    pub phash: Option<u64>,
}

/// How crops are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct CropStyle {
    short_side: Option<usize>,
    quality: u8,
    hashed: bool,
}

impl CropStyle {
    pub fn new(output: &Output, hashed: bool) -> Self {
        let short_side = output.short_side.map(|side| side as usize);
        Self { short_side, quality: output.quality, hashed }
    }

    /// Cuts `cut` out of `picture`, which was decoded from `bytes`.
    ///
    /// # Errors
    /// A picture so narrow that it cannot be brought to size, or that JPEG cannot hold.
    pub fn make(self, bytes: &Bytes, picture: &Picture, cut: &Cut) -> Result<Crop, Fault> {
        let fault = |error: &dyn std::fmt::Display| {
            Fault::new(Cause::UnreadablePicture, format!("cannot make its crop: {error}"))
        };
        let area = cut.crop;
        let (width, height) = (area.width(), area.height());
        let shrinks = self.short_side.is_some_and(|side| side < width.min(height));
        let hash = |pixels: &[u8], stride, width, height| {
            self.hashed.then(|| phash(pixels, stride, width, height)).transpose()
        };
        let stride = picture.width * 3;
        if area.is_whole(picture.width, picture.height) && !shrinks {
            let phash =
                hash(&picture.pixels, stride, width, height).map_err(|error| fault(&error))?;
            return Ok(Crop { bytes: bytes.clone(), phash });
        }
        let (jpeg, phash) = if shrinks {
            let side = self.short_side.unwrap_or(usize::MAX);
            let area = (area.x0, area.y0, width, height);
            let small = picture.shrunk(area, side).map_err(|error| fault(&error))?;
            let Picture { width, height, pixels } = &small;
            let stride = width * 3;
            let jpeg = encode_jpeg(pixels, stride, *width, *height, self.quality);
            (jpeg, hash(pixels, stride, *width, *height))
        } else {
            let from = &picture.pixels[area.y0 * stride + area.x0 * 3..];
            let jpeg = encode_jpeg(from, stride, width, height, self.quality);
            (jpeg, hash(from, stride, width, height))
        };
        let bytes = jpeg.map_err(|error| fault(&error))?.into();
        let phash = phash.map_err(|error| fault(&error))?;
        Ok(Crop { bytes, phash })
    }
}
