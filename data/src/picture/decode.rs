//! Encoded bytes to RGB pixels, as Pillow's `convert("RGB")` after `exif_transpose`.
//!
//! PNG and WebP come out as Pillow's, bit for bit, but for 16-bit grey (see `rgb`). JPEG differs from libjpeg-turbo (which Pillow
//! uses) by at most 17 of 255 at single pixels with subsampled chroma, 3 without.

use super::{Picture, PictureError};
use crate::pipeline::panic_message;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::panic::catch_unwind;

/// The greatest number of pixels of a picture. Larger ones are refused before anything is
/// allocated for them.
pub const MAX_PIXELS: u64 = 100_000_000;

impl Picture {
    /// Decodes JPEG, PNG or WebP of any colour type, turned as its EXIF orientation says. Alpha
    /// is dropped, grey is repeated, 16-bit is brought to 8 as Pillow does.
    ///
    /// # Errors
    /// [`PictureError::TooLarge`] and [`PictureError::Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        let unreadable = |reason: String| PictureError::Unreadable { reason, bytes: bytes.len() };
        // A decoder that panics on damaged bytes costs that picture, not the run.
        catch_unwind(|| decode(bytes)).unwrap_or_else(|panic| {
            Err(unreadable(format!("the decoder panicked: {}", panic_message(panic.as_ref()))))
        })
    }
}

fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    let unreadable = |reason: String| PictureError::Unreadable { reason, bytes: bytes.len() };
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| unreadable(error.to_string()))?;
    match reader.format() {
        Some(ImageFormat::Jpeg) if !has_jpeg_end(bytes) => {
            return Err(unreadable("truncated JPEG: no end of image after the first scan".into()));
        }
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) => {}
        Some(other) => return Err(unreadable(format!("{other:?}: expected JPEG, PNG or WebP"))),
        None => return Err(unreadable("neither JPEG, PNG nor WebP".into())),
    }
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PictureError::TooLarge { width, height });
    }
    if width == 0 || height == 0 {
        return Err(unreadable(format!("{width} x {height} pixels")));
    }
    // A damaged EXIF block is no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut image =
        DynamicImage::from_decoder(decoder).map_err(|error| unreadable(error.to_string()))?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = rgb(image).map_err(unreadable)?;
    Ok(Picture { width, height, pixels })
}

/// Whether an end-of-image marker follows the picture's first scan. Segments state their length,
/// so the walk to that scan steps over thumbnails and their markers; in scan data 0xFF is always
/// followed by 0x00 or a restart marker, so the end cannot appear there by chance. What follows
/// the end (the film of a "motion photo", say) is none of the picture.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    first_scan(bytes).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// What follows the header of the picture's first scan.
fn first_scan(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        // Garbage before a marker and fill bytes are skipped, as libjpeg does.
        let at =
            rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        if matches!(marker, 0x01 | 0xd0..=0xd7) {
            continue; // These stand alone.
        }
        if marker == 0xd9 {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        rest = rest.get(length..)?;
        if marker == 0xda {
            return Some(rest);
        }
    }
}

/// The pixels as RGB.
fn rgb(image: DynamicImage) -> Result<Vec<u8>, String> {
    let repeat = |grey: u8| [grey; 3];
    Ok(match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageRgba8(image) => {
            image.as_raw().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
        }
        DynamicImage::ImageLuma8(image) => {
            image.as_raw().iter().copied().flat_map(repeat).collect()
        }
        DynamicImage::ImageLumaA8(image) => {
            image.as_raw().chunks_exact(2).flat_map(|p| repeat(p[0])).collect()
        }
        // Pillow reads 16-bit colour by its high bytes. Its 16-bit grey it would clip at 255, which
        // whitens nearly every picture; grey is read by its high bytes here as well.
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(image) => image
            .as_raw()
            .chunks_exact(4)
            .flat_map(|p| [high(p[0]), high(p[1]), high(p[2])])
            .collect(),
        DynamicImage::ImageLumaA16(image) => {
            image.as_raw().chunks_exact(2).flat_map(|p| repeat(high(p[0]))).collect()
        }
        DynamicImage::ImageLuma16(image) => {
            image.as_raw().iter().flat_map(|&v| repeat(high(v))).collect()
        }
        other => return Err(format!("unsupported pixel type {:?}", other.color())),
    })
}

fn high(value: u16) -> u8 {
    value.to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
