//! RGB pixels to JPEG, as Pillow's `save(quality=...)`.
//!
//! Byte for byte where libjpeg-turbo was found. The encoder in Rust that stands in for it keeps
//! chroma at full size (4:4:4), so its files are larger at the same quality, and no worse.

use super::PictureError;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use jpeg::{Area, Library, MAX_SIDE};

/// A baseline JPEG of `width` x `height` RGB pixels, the first of which is the first of `rgb`; rows
/// begin `stride` bytes apart, so that a part of a larger picture is encoded in place. `quality` is
/// libjpeg's, 1 to 100; chroma is halved both ways (4:2:0) at each of them.
///
/// # Errors
/// [`PictureError::Encode`]: an empty side or one beyond 65,500 pixels, a buffer or a stride too
/// short for the size, a quality out of range.
pub fn encode_jpeg(
    rgb: &[u8],
    stride: usize,
    width: usize,
    height: usize,
    quality: u8,
) -> Result<Vec<u8>, PictureError> {
    let library = Library::get().ok().filter(|library| library.encodes().is_ok());
    let file = Area::new(rgb, stride, width, height).and_then(|area| match library {
        Some(library) => library.encode(&area, quality),
        None => encode_in_rust(&area, quality),
    });
    file.map_err(PictureError::Encode)
}

fn encode_in_rust(area: &Area, quality: u8) -> Result<Vec<u8>, String> {
    let (width, height) = (area.width(), area.height());
    if !(1..=100).contains(&quality) {
        return Err(format!("quality {quality}: expected 1 to 100"));
    }
    let side = |side: usize| u16::try_from(side).ok().filter(|_| side <= MAX_SIDE).map(u32::from);
    let (Some(columns), Some(rows)) = (side(width), side(height)) else {
        return Err(format!("{width} x {height} pixels: JPEG holds at most {MAX_SIDE} per side"));
    };
    let mut pixels = Vec::with_capacity(width * height * 3);
    area.rows().for_each(|row| pixels.extend_from_slice(row));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&pixels, columns, rows, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    /// 64 x 48 pixels, smooth.
    fn pixels() -> Vec<u8> {
        (0..64 * 48).flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 5) as u8, 120]).collect()
    }

    fn worst(a: &[u8], b: &[u8]) -> u8 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn both_encoders_write_the_part_that_was_named() {
        let rgb = pixels();
        let area = Area::new(&rgb[(5 * 64 + 10) * 3..], 64 * 3, 33, 21).unwrap();
        let expected: Vec<u8> = area.rows().flatten().copied().collect();
        let turbo = encode_jpeg(&rgb[(5 * 64 + 10) * 3..], 64 * 3, 33, 21, 95).unwrap();
        for file in [turbo, encode_in_rust(&area, 95).unwrap()] {
            let picture = Picture::decode(&file).unwrap();
            assert_eq!((picture.width, picture.height), (33, 21));
            assert!(worst(&picture.pixels, &expected) <= 10);
        }
    }

    #[test]
    fn both_encoders_refuse_the_same_with_the_same_words() {
        let row = vec![0; 65_501 * 3];
        for (width, height, stride, quality) in
            [(65_501, 1, row.len(), 90), (1, 65_501, 3, 90), (1, 1, 3, 0), (1, 1, 3, 101)]
        {
            let error = encode_jpeg(&row, stride, width, height, quality).unwrap_err();
            let area = Area::new(&row, stride, width, height).unwrap();
            let reason = encode_in_rust(&area, quality).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot encode as JPEG: {reason}"));
        }
        let message = |rgb: &[u8], stride, width, height| {
            encode_jpeg(rgb, stride, width, height, 90).unwrap_err().to_string()
        };
        let empty = "cannot encode as JPEG: 0 x 4 pixels: expected at least 1 x 1";
        assert_eq!(message(&row, 12, 0, 4), empty);
        let short = "cannot encode as JPEG: 4 x 4 RGB pixels with a stride of 12 bytes do not fit \
                     47 bytes";
        assert_eq!(message(&row[..47], 12, 4, 4), short);
        assert!(encode_jpeg(&row[..48], 12, 4, 4, 90).is_ok());
    }
}
