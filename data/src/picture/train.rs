//! The training transform, from encoded bytes into a slot of a batch: torchvision's
//! RandomResizedCrop, RandomHorizontalFlip, ColorJitter and RandomGrayscale.

use super::augment::{Box, flip, random_crop};
use super::colour::jitter;
use super::decode::{Coding, File, caught};
use super::scratch::{Scratch, room};
use super::shrink::Part;
use super::{PictureError, Preprocessor};
use crate::rng::Rng;
use configs::{Augment, Decode};
use std::time::{Duration, Instant};

impl Preprocessor {
    /// A random crop of an encoded picture, resized to size x size, maybe flipped and recoloured,
    /// into `out`: size x size x 3. What is drawn depends on the upright picture's width and
    /// height, on `augment` and on `rng` only, not on how it is decoded. Gives the time that
    /// decoding took of it.
    ///
    /// # Errors
    /// As [`super::Picture::decode`]; an `out` of another size. `out` then holds anything.
    pub fn train_into(
        &self,
        encoded: &[u8],
        augment: &Augment,
        rng: &mut Rng,
        out: &mut [u8],
    ) -> Result<Duration, PictureError> {
        self.check_slot(out)?;
        let start = Instant::now();
        let decoded = Scratch::with(|scratch| {
            caught(encoded, || {
                let file = File::open(encoded)?;
                let (width, height) = file.upright();
                let crop = random_crop(width, height, augment, rng);
                match augment.decode {
                    Decode::Fast => self.crop_fast(file, crop, scratch, out),
                    Decode::Exact => self.crop_exact(file, crop, scratch, out),
                }
            })
        })?;
        if rng.unit() < augment.flip {
            flip(out, self.size);
        }
        for colour in jitter(augment, rng) {
            colour.apply(out);
        }
        Ok(decoded - start)
    }

    /// Whether `out` holds size x size x 3 bytes.
    pub(super) fn check_slot(&self, out: &[u8]) -> Result<(), PictureError> {
        let size = self.size;
        match out.len() == size * size * 3 {
            true => Ok(()),
            false => Err(PictureError::Resize(format!(
                "{} bytes of room for a picture of {size} x {size} x 3",
                out.len()
            ))),
        }
    }

    /// A JPEG scaled down while it is decoded as far as the crop allows, and only its rows; other
    /// files in full. Then one resize. Gives the moment in between.
    fn crop_fast(
        &self,
        file: File,
        crop: Box,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<Instant, PictureError> {
        let Scratch { pixels, spare, between, resizer } = scratch;
        let (turn, stored) = (file.turn, file.stored);
        let crop = turn.stored_box(stored, crop);
        let unreadable = File::unreadable(file.num_bytes);
        let part = match file.coding {
            Coding::Turbo(file) => file.part(crop, self.size, pixels, spare),
            Coding::Image(file) => {
                file.decode(room(pixels, stored.0 * stored.1 * 3), spare).map(|()| {
                    let (left, top, width, height) = crop;
                    let crop = [left, top, width, height].map(|v| v as f64);
                    Part { width: stored.0, height: stored.1, crop }
                })
            }
        };
        let part = part.map_err(unreadable)?;
        let decoded = Instant::now();
        let size = (self.size, self.size);
        if turn.is_none() {
            self.resample.shrink_into(pixels, &part, size, resizer, out)?;
            return Ok(decoded);
        }
        let turned = room(between, out.len());
        self.resample.shrink_into(pixels, &part, size, resizer, turned)?;
        turn.apply(turned, size, out);
        Ok(decoded)
    }

    /// All of the picture as Pillow decodes it, then the passes of resizing in Pillow's order. Gives
    /// the moment in between.
    fn crop_exact(
        &self,
        file: File,
        crop: Box,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<Instant, PictureError> {
        let (width, height) = file.upright();
        let Scratch { pixels, spare, between, resizer } = scratch;
        let upright = room(pixels, width * height * 3);
        file.decode(upright, between, spare)?;
        let decoded = Instant::now();
        let size = self.size;
        self.resample.crop_into(upright, (width, height), crop, size, between, resizer, out)?;
        Ok(decoded)
    }
}
