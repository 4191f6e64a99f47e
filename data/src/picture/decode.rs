//! Encoded bytes to RGB pixels, as Pillow's `convert("RGB")` after `exif_transpose`.
//!
//! Bit for bit: JPEG where libjpeg-turbo was found ([`jpeg_decoder`] says so), PNG and WebP, but for
//! 16-bit grey (see `raster`). The decoder in Rust that stands in for libjpeg-turbo differs by at
//! most 17 of 255 at single pixels with subsampled chroma, 3 without.

use super::jpeg_file::JpegFile;
use super::raster::Raster;
use super::scratch::{Scratch, room};
use super::segments::Segments;
use super::turn::Turn;
use super::{Picture, PictureError};
use crate::panics;
use image::ImageFormat;
use jpeg::Library;

/// The greatest number of pixels of a picture. Larger ones are refused before anything is
/// allocated for them.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The decoder of JPEG that this process uses, for people: name, version and place.
pub fn jpeg_decoder() -> String {
    match Library::get() {
        Ok(library) => format!("{} ({})", library.version(), library.place().display()),
        Err(reason) => format!("zune-jpeg, as libjpeg-turbo is missing: {reason}"),
    }
}

/// Whether JPEG is decoded as Pillow decodes it, pixel by pixel.
pub fn jpeg_is_exact() -> bool {
    Library::get().is_ok()
}

impl Picture {
    /// Decodes JPEG, PNG or WebP of any colour type, turned as its EXIF orientation says. Alpha
    /// is dropped, grey is repeated, 16-bit is brought to 8 as Pillow does.
    ///
    /// # Errors
    /// [`PictureError::TooLarge`] and [`PictureError::Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        Scratch::with(|scratch| {
            caught(bytes, || {
                let file = File::open(bytes)?;
                let (width, height) = file.upright();
                let mut pixels = vec![0; width * height * 3];
                file.decode(&mut pixels, &mut scratch.pixels, &mut scratch.spare)?;
                Ok(Self { width, height, pixels })
            })
        })
    }
}

/// Runs `work` on a file. A decoder that panics on damaged bytes costs that picture, not the run.
pub(super) fn caught<T>(
    bytes: &[u8],
    work: impl FnOnce() -> Result<T, PictureError>,
) -> Result<T, PictureError> {
    panics::caught(work).unwrap_or_else(|message| {
        let reason = format!("the decoder panicked: {message}");
        Err(PictureError::Unreadable { reason, bytes: bytes.len() })
    })
}

/// A file whose header was read and whose size is allowed.
pub(super) struct File<'a> {
    /// How the stored pixels become upright.
    pub(super) turn: Turn,
    /// Width and height as stored.
    pub(super) stored: (usize, usize),
    pub(super) coding: Coding<'a>,
    pub(super) num_bytes: usize,
}

/// Who decodes.
pub(super) enum Coding<'a> {
    Turbo(JpegFile<'a>),
    Image(Raster<'a>),
}

impl<'a> File<'a> {
    /// Reads the header.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, PictureError> {
        Self::open_with(bytes, Library::get().ok())
    }

    /// As [`File::open`], with JPEG by `library` where there is one.
    fn open_with(bytes: &'a [u8], library: Option<&'static Library>) -> Result<Self, PictureError> {
        let num_bytes = bytes.len();
        let unreadable = |reason: String| PictureError::Unreadable { reason, bytes: num_bytes };
        let format = image::guess_format(bytes)
            .map_err(|_| unreadable("neither JPEG, PNG nor WebP".into()))?;
        if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) {
            return Err(unreadable(format!("{format:?}: expected JPEG, PNG or WebP")));
        }
        if format == ImageFormat::Jpeg && !Segments::of(bytes).has_end() {
            return Err(unreadable("truncated JPEG: no end of image after the first scan".into()));
        }
        let coding = match (format, library) {
            (ImageFormat::Jpeg, Some(library)) => JpegFile::open(library, bytes).map(Coding::Turbo),
            _ => Raster::open(bytes, format).map(Coding::Image),
        };
        let coding = coding.map_err(unreadable)?;
        let (stored, turn) = match &coding {
            Coding::Turbo(file) => (file.stored, file.turn),
            Coding::Image(file) => (file.stored, file.turn),
        };
        let (width, height) = stored;
        if width as u64 * height as u64 > MAX_PIXELS {
            return Err(PictureError::TooLarge { width, height });
        }
        if width == 0 || height == 0 {
            return Err(unreadable(format!("{width} x {height} pixels")));
        }
        Ok(Self { turn, stored, coding, num_bytes })
    }

    /// Width and height of the upright picture.
    pub(super) fn upright(&self) -> (usize, usize) {
        self.turn.upright(self.stored)
    }

    /// The decoder's reason as the file's error.
    pub(super) fn unreadable(num_bytes: usize) -> impl Fn(String) -> PictureError {
        move |reason| PictureError::Unreadable { reason, bytes: num_bytes }
    }

    /// All pixels, upright: height x width x 3.
    pub(super) fn decode(
        self,
        pixels: &mut [u8],
        stored_pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
    ) -> Result<(), PictureError> {
        let Self { turn, stored, coding, num_bytes } = self;
        let decode = |pixels: &mut [u8]| {
            match coding {
                Coding::Turbo(file) => file.whole(pixels, spare),
                Coding::Image(file) => file.decode(pixels, spare),
            }
            .map_err(Self::unreadable(num_bytes))
        };
        if turn.is_none() {
            return decode(pixels);
        }
        let stored_pixels = room(stored_pixels, pixels.len());
        decode(stored_pixels)?;
        turn.apply(stored_pixels, stored, pixels);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn jpeg() -> Vec<u8> {
        let image =
            image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 9]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    fn message(bytes: &[u8]) -> String {
        Picture::decode(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_truncated_jpeg_is_refused_wherever_it_ends() {
        let whole = jpeg();
        assert_eq!(Picture::decode(&whole).unwrap().width, 64);
        for length in [3, 40, 300, whole.len() / 2, whole.len() - 3] {
            let text = message(&whole[..length]);
            assert!(text.ends_with(&format!("({length} bytes)")), "{text}");
        }
        let text = message(&whole[..whole.len() - 3]);
        assert!(text.starts_with("truncated JPEG: no end of image"), "{text}");
        // Bytes after the end, as some cameras and tools leave them, do no harm.
        let mut more = whole.clone();
        more.extend([0; 100]);
        assert_eq!(Picture::decode(&more).unwrap(), Picture::decode(&whole).unwrap());
        // So does what a motion photo carries behind it, start-of-scan bytes included.
        more.extend([0xff, 0xda, 0, 8, 1, 2, 3]);
        assert_eq!(Picture::decode(&more).unwrap(), Picture::decode(&whole).unwrap());
    }

    #[test]
    fn a_thumbnails_end_is_not_the_pictures() {
        let whole = jpeg();
        // An APP1 segment that holds a whole JPEG, as EXIF does.
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1];
        bytes.extend(u16::try_from(whole.len() + 2).unwrap().to_be_bytes());
        bytes.extend(&whole);
        bytes.extend(&whole[2..]);
        assert_eq!(Picture::decode(&bytes).unwrap(), Picture::decode(&whole).unwrap());
        let text = message(&bytes[..bytes.len() - 3]);
        assert!(text.starts_with("truncated JPEG: no end of image"), "{text}");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        assert_eq!(message(b"hello, this is text"), "neither JPEG, PNG nor WebP (19 bytes)");
        assert_eq!(message(b""), "neither JPEG, PNG nor WebP (0 bytes)");
        assert!(message(b"GIF89a\x01\x00\x01\x00").starts_with("Gif: expected JPEG, PNG or WebP"));
    }

    #[test]
    fn sixteen_bit_grey_keeps_its_high_byte() {
        let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![0x12fe, 0xff00]);
        let mut bytes = Cursor::new(Vec::new());
        image.unwrap().write_to(&mut bytes, ImageFormat::Png).unwrap();
        let picture = Picture::decode(bytes.get_ref()).unwrap();
        assert_eq!(picture.pixels, [0x12, 0x12, 0x12, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A PNG and a JPEG whose headers promise 60,000 x 60,000 pixels.
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::new(1, 1).write_to(&mut png, ImageFormat::Png).unwrap();
        let mut png = png.into_inner();
        let side = 60_000_u32.to_be_bytes();
        png[16..24].copy_from_slice(&[side, side].concat());
        // The checksum of IHDR: CRC-32, bit by bit.
        let crc = !png[12..29].iter().fold(!0_u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        });
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let mut jpg = jpeg();
        let frame = jpg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
        for bytes in [png, jpg] {
            let refused = Picture::decode(&bytes).unwrap_err();
            assert_eq!(refused, PictureError::TooLarge { width: 60_000, height: 60_000 });
        }
    }

    #[test]
    fn without_libjpeg_the_decoder_in_rust_comes_near() {
        let bytes = jpeg();
        let file = File::open_with(&bytes, None).unwrap();
        assert!(matches!(file.coding, Coding::Image(_)));
        let mut pixels = vec![0; 64 * 48 * 3];
        file.decode(&mut pixels, &mut Vec::new(), &mut Vec::new()).unwrap();
        let exact = Picture::decode(&bytes).unwrap().pixels;
        let worst = exact.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(17), "{worst:?}");
    }
}
