//! The evaluation transform, as `transformers.CLIPImageProcessorPil` carries out a
//! `preprocessor_config.json`, or `open_clip` an `open_clip_config.json`.

use super::{Filter, MAX_PIXELS, Picture, PictureError};

/// How evaluation brings a picture to a first size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter side to this many pixels, the longer to int(long * this / short).
    Shortest(usize),
    /// As `Shortest(shortest)`, but where the longer side would exceed `longest`, that side to it:
    /// transformers' `{shortest_edge, longest_edge}`.
    ShortestUpTo {
        /// The shorter side where the longer one fits.
        shortest: usize,
        /// The longer side otherwise.
        longest: usize,
    },
    /// The longer side to this many pixels, the shorter rounded down: transformers'
    /// `{max_height, max_width}`.
    Within(usize),
    /// The longer side to this many pixels, the shorter rounded to the nearest: open_clip's
    /// `longest`.
    Longest(usize),
    /// To a square of this side, whatever the aspect ratio.
    Square(usize),
    /// Not at all.
    Off,
}

/// What follows resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// Nothing: resizing has made the model's square.
    Off,
    /// The central square as transformers cuts it: odd differences rounded down, what is missing
    /// black and one pixel more of it in front.
    Floor,
    /// The central square as open_clip cuts it: odd differences rounded to the even number, what is
    /// missing of this grey and one pixel more of it behind.
    Even {
        /// Value of all three channels.
        fill: u8,
    },
}

/// How pictures become the model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    /// Side of the model's input in pixels.
    pub size: usize,
    /// Per channel, subtracted after scaling to [0, 1]. Applied on the device, not here.
    pub mean: [f32; 3],
    /// Per channel, divided by. Applied on the device, not here.
    pub std: [f32; 3],
    /// The first step of evaluation.
    pub resize: Resize,
    /// What follows, to `size` x `size`.
    pub crop: Crop,
    /// The filter of resizing.
    pub resample: Filter,
}

/// OpenAI's means, which nearly every CLIP uses.
pub(super) const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// OpenAI's deviations.
#[expect(clippy::excessive_precision, reason = "the decimals as OpenAI published them")]
pub(super) const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

impl Preprocessor {
    /// OpenAI CLIP's: the shorter side to `size`, central crop, bicubic, OpenAI's mean and std.
    pub fn clip(size: usize) -> Self {
        Self {
            size,
            mean: MEAN,
            std: STD,
            resize: Resize::Shortest(size),
            crop: Crop::Floor,
            resample: Filter::Bicubic,
        }
    }

    /// The evaluation transform: size x size x 3, not normalised.
    ///
    /// # Errors
    /// A picture so narrow that it would be resized to more than [`super::MAX_PIXELS`] pixels, or
    /// to none; without resizing and cropping, one that does not already have the model's size.
    pub fn evaluate(&self, picture: &Picture) -> Result<Vec<u8>, PictureError> {
        let mut out = vec![0; self.size * self.size * 3];
        self.evaluate_into(picture, &mut out)?;
        Ok(out)
    }

    /// As [`Preprocessor::evaluate`], into `out`.
    ///
    /// # Errors
    /// Also an `out` that is not size x size x 3.
    pub fn evaluate_into(&self, picture: &Picture, out: &mut [u8]) -> Result<(), PictureError> {
        self.check_slot(out)?;
        let resized = self
            .resized(picture.width, picture.height)?
            .map(|(width, height)| picture.resize(width, height, self.resample));
        let picture = resized.as_ref().unwrap_or(picture);
        if self.crop == Crop::Off && (picture.width, picture.height) != (self.size, self.size) {
            return Err(PictureError::Resize(format!(
                "without a crop the picture is {} x {}, and the model needs {size} x {size}",
                picture.width,
                picture.height,
                size = self.size
            )));
        }
        self.cut(picture, out);
        Ok(())
    }

    /// Width and height after resizing; none where there is none.
    fn resized(&self, width: usize, height: usize) -> Result<Option<(usize, usize)>, PictureError> {
        let (short, long) = (width.min(height), width.max(height));
        // Python's int(side * long / short): true division, then truncation.
        let longer = |side: usize| ((side * long) as f64 / short as f64) as usize;
        let (new_short, new_long) = match self.resize {
            Resize::Off => return Ok(None),
            Resize::Square(side) => (side, side),
            Resize::Shortest(side) => (side, longer(side)),
            Resize::ShortestUpTo { shortest, longest } => {
                if long as f64 / short as f64 * shortest as f64 > longest as f64 {
                    let raw = longest as f64 * short as f64 / long as f64;
                    let other = (raw * long as f64 / short as f64) as usize;
                    (raw.round_ties_even() as usize, other)
                } else {
                    (shortest, longer(shortest))
                }
            }
            Resize::Within(side) => {
                let scale = side as f64 / long as f64;
                ((short as f64 * scale) as usize, (long as f64 * scale) as usize)
            }
            Resize::Longest(side) => {
                let ratio = long as f64 / side as f64;
                let round = |length: usize| (length as f64 / ratio).round_ties_even() as usize;
                (round(short), round(long))
            }
        };
        let (resized_width, resized_height) =
            if width <= height { (new_short, new_long) } else { (new_long, new_short) };
        if new_short as u64 * new_long as u64 > MAX_PIXELS || new_short == 0 {
            return Err(PictureError::TooNarrow { width, height, resized_width, resized_height });
        }
        Ok(Some((resized_width, resized_height)))
    }

    /// The central square of a picture, with what is missing filled up, into `out`.
    fn cut(&self, picture: &Picture, out: &mut [u8]) {
        let size = self.size;
        let (across, down) =
            (self.crop.place(picture.width, size), self.crop.place(picture.height, size));
        if let Crop::Even { fill } = self.crop {
            out.fill(fill);
        } else {
            out.fill(0);
        }
        let rows = picture.pixels.chunks_exact(picture.width * 3).skip(down.from);
        let slots = out.chunks_exact_mut(size * 3).skip(down.to);
        for (row, slot) in rows.zip(slots).take(down.length) {
            let row = &row[across.from * 3..(across.from + across.length) * 3];
            slot[across.to * 3..][..row.len()].copy_from_slice(row);
        }
    }
}

/// Which pixels of one side come where.
struct Place {
    from: usize,
    to: usize,
    length: usize,
}

impl Crop {
    /// The central `size` of `length` pixels.
    fn place(self, length: usize, size: usize) -> Place {
        if length < size {
            let missing = size - length;
            let to = match self {
                Self::Even { .. } => missing / 2,
                Self::Off | Self::Floor => missing.div_ceil(2),
            };
            return Place { from: 0, to, length };
        }
        let rest = length - size;
        let from = match self {
            Self::Even { .. } => (rest as f64 / 2.0).round_ties_even() as usize,
            Self::Off | Self::Floor => rest / 2,
        };
        Place { from, to: 0, length: size }
    }
}

impl Picture {
    /// The box with this corner and size, which must lie in the picture.
    #[cfg(test)]
    pub(crate) fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let rows = self.pixels.chunks_exact(self.width * 3).skip(top).take(height);
        let pixels = rows.flat_map(|row| &row[left * 3..(left + width) * 3]).copied().collect();
        Self { width, height, pixels }
    }
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
