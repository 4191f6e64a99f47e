//! PNG and WebP (and JPEG where libjpeg-turbo is missing), by the `image` crate.

use super::MAX_PIXELS;
use super::scratch::room;
use super::turn::Turn;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The most that a decoder may allocate beside its output: twice a picture of the greatest size in
/// RGBA, for what lies between entropy coding and pixels.
const MAX_ALLOC: u64 = MAX_PIXELS * 8;

/// A file whose header was read.
pub(super) struct Raster<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    /// Width and height as stored.
    pub(super) stored: (usize, usize),
    /// How it becomes upright.
    pub(super) turn: Turn,
}

impl<'a> Raster<'a> {
    /// Reads the header.
    pub(super) fn open(bytes: &'a [u8], format: ImageFormat) -> Result<Self, String> {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_ALLOC);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
        let (width, height) = decoder.dimensions();
        let side = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
        let stored = (side(width)?, side(height)?);
        // A damaged EXIF block is no reason to lose the picture.
        let turn = decoder.orientation().map_or(Turn::default(), Turn::from);
        Ok(Self { decoder: Box::new(decoder), stored, turn })
    }

    /// The pixels as stored, height x width x 3.
    pub(super) fn decode(self, pixels: &mut [u8], spare: &mut Vec<u8>) -> Result<(), String> {
        let colour = self.decoder.color_type();
        if colour == ColorType::Rgb8 {
            return self.decoder.read_image(pixels).map_err(|error| error.to_string());
        }
        let raw = room(spare, pixels.len() / 3 * usize::from(colour.bytes_per_pixel()));
        self.decoder.read_image(raw).map_err(|error| error.to_string())?;
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        match colour {
            ColorType::L8 => fill(pixels, raw, |&[grey]: &[u8; 1]| [grey; 3]),
            ColorType::La8 => fill(pixels, raw, |&[grey, _]: &[u8; 2]| [grey; 3]),
            ColorType::Rgba8 => fill(pixels, raw, |&[r, g, b, _]: &[u8; 4]| [r, g, b]),
            // Pillow reads 16-bit colour by its high bytes. Its 16-bit grey it would clip at 255,
            // which whitens nearly every picture; grey is read by its high bytes here as well.
            ColorType::L16 => fill(pixels, raw, |&[a, b]: &[u8; 2]| [high(a, b); 3]),
            ColorType::La16 => fill(pixels, raw, |&[a, b, ..]: &[u8; 4]| [high(a, b); 3]),
            ColorType::Rgb16 => fill(pixels, raw, |&[a, b, c, d, e, f]: &[u8; 6]| {
                [high(a, b), high(c, d), high(e, f)]
            }),
            ColorType::Rgba16 => fill(pixels, raw, |&[a, b, c, d, e, f, ..]: &[u8; 8]| {
                [high(a, b), high(c, d), high(e, f)]
            }),
            other => return Err(format!("unsupported pixel type {other:?}")),
        }
        Ok(())
    }
}

/// Each pixel from its N bytes.
fn fill<const N: usize>(pixels: &mut [[u8; 3]], raw: &[u8], rgb: impl Fn(&[u8; N]) -> [u8; 3]) {
    let (raw, _) = raw.as_chunks::<N>();
    for (pixel, raw) in pixels.iter_mut().zip(raw) {
        *pixel = rgb(raw);
    }
}

/// The high byte of a 16-bit value in the machine's order, as the decoders write it.
fn high(first: u8, second: u8) -> u8 {
    u16::from_ne_bytes([first, second]).to_be_bytes()[0]
}
