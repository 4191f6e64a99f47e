//! A product's crop: cut out of its picture, brought to size, encoded, hashed.

use bytes::Bytes;
use configs::prepare::Output;
use data::{Picture, PictureError, PictureFile, encode_jpeg};

use crate::duplicates::phash;
use crate::grounding::Cut;
use crate::{Cause, Fault};

/// A finished crop.
pub(super) struct Crop {
    /// JPEG; the picture's own bytes where nothing was cut or shrunk.
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

    /// Cuts `cut` out of a picture of which only the header was read. `bytes` are the same picture.
    ///
    /// # Errors
    /// As [`CropStyle::of_decoded`]; a picture that cannot be decoded.
    pub fn of_file(self, bytes: &Bytes, file: PictureFile, cut: &Cut) -> Result<Crop, Fault> {
        let size = file.size();
        self.make(bytes, size, cut, |area| file.cut(area, self.short_side))
    }

    /// Cuts `cut` out of `picture`, which was decoded from `bytes`.
    ///
    /// # Errors
    /// A crop so narrow that it cannot be brought to size, or that JPEG cannot hold.
    pub fn of_decoded(self, bytes: &Bytes, picture: &Picture, cut: &Cut) -> Result<Crop, Fault> {
        let size = (picture.width, picture.height);
        let side = self.short_side.unwrap_or(usize::MAX);
        self.make(bytes, size, cut, |area| picture.shrunk(area, side))
    }

    fn make(
        self,
        bytes: &Bytes,
        (width, height): (usize, usize),
        cut: &Cut,
        pixels: impl FnOnce((usize, usize, usize, usize)) -> Result<Picture, PictureError>,
    ) -> Result<Crop, Fault> {
        let fault = |reason: String| Fault::new(Cause::UnreadablePicture, reason);
        let area = cut.crop;
        let picture = pixels((area.x0, area.y0, area.width(), area.height()))
            .map_err(|error| fault(error.to_string()))?;
        let stride = picture.width * 3;
        let hash =
            |picture: &Picture| phash(&picture.pixels, stride, picture.width, picture.height);
        let phash = self.hashed.then(|| hash(&picture)).transpose().map_err(fault)?;
        let whole = area.is_whole(width, height);
        if whole && (picture.width, picture.height) == (width, height) {
            return Ok(Crop { bytes: bytes.clone(), phash });
        }
        let jpeg =
            encode_jpeg(&picture.pixels, stride, picture.width, picture.height, self.quality);
        let bytes = jpeg.map_err(|error| fault(error.to_string()))?.into();
        Ok(Crop { bytes, phash })
    }
}
