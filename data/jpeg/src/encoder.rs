//! A picture as JPEG.

use crate::ffi;
use crate::kept::EncoderState;
use crate::{Area, Library, MAX_SIDE};
use std::ffi::{CStr, c_int, c_uint};

impl Library {
    /// Whether it can encode, too.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn encodes(&self) -> Result<(), String> {
        self.encoding().map(|_| ())
    }

    /// A baseline JPEG as Pillow's `save(quality=quality)` writes it, byte by byte where both use
    /// the same libjpeg-turbo: YCbCr with chroma at half the width and height (4:2:0), one scan,
    /// the standard's Huffman tables, no metadata. `quality` is libjpeg's, 1 to 100.
    ///
    /// # Errors
    /// A side longer than [`MAX_SIDE`], a quality out of range, a library that does not encode.
    pub fn encode(&self, area: &Area, quality: u8) -> Result<Vec<u8>, String> {
        let encoding = self.encoding()?;
        if !(1..=100).contains(&quality) {
            return Err(format!("quality {quality}: expected 1 to 100"));
        }
        let side = |side: usize| {
            let message = || {
                let (width, height) = (area.width(), area.height());
                format!("{width} x {height} pixels: JPEG holds at most {MAX_SIDE} per side")
            };
            c_uint::try_from(side).ok().filter(|_| side <= MAX_SIDE).ok_or_else(message)
        };
        let (width, height) = (side(area.width())?, side(area.height())?);
        let (rgb, stride) = area.buffer();
        let mut size = 0;
        let encoder = EncoderState::of(encoding)?;
        // SAFETY: the encoder is alive; an area's rows lie in its buffer, which is only read; size is
        // written within its size.
        let bytes = unsafe {
            ffi::vlclip_jpeg_encode(
                encoder.as_ptr(),
                rgb.as_ptr(),
                stride,
                width,
                height,
                c_int::from(quality),
                &mut size,
            )
        };
        if bytes.is_null() {
            // SAFETY: it is alive, and its message ends within it.
            let message =
                unsafe { CStr::from_ptr(ffi::vlclip_jpeg_encoder_message(encoder.as_ptr())) };
            return Err(message.to_string_lossy().into_owned());
        }
        // SAFETY: it gave `size` bytes, all of them written, that stay until its next picture.
        let file = unsafe { std::slice::from_raw_parts(bytes, size) }.to_vec();
        encoder.give_back();
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    fn library() -> &'static Library {
        Library::get().expect("libjpeg-turbo is missing: run `make libjpeg`")
    }

    /// width x height x 3 bytes without much order, so that files grow beyond the first buffer.
    fn noise(width: usize, height: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..width * height * 3).map(|_| next()).collect()
    }

    fn decode(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut decoder = Decoder::open(library(), bytes).unwrap();
        let out = decoder.start(8, true).unwrap();
        let mut pixels = vec![0; out.width * out.height * 3];
        decoder.read(&mut pixels).unwrap();
        decoder.finish().unwrap();
        (out.width, out.height, pixels)
    }

    #[test]
    fn a_picture_comes_back() {
        let (width, height) = (50, 31);
        let rgb: Vec<u8> = (0..width * height)
            .flat_map(|i| [(i % width * 5) as u8, (i / width * 8) as u8, 90])
            .collect();
        let area = Area::new(&rgb, width * 3, width, height).unwrap();
        let (out_width, out_height, pixels) = decode(&library().encode(&area, 95).unwrap());
        assert_eq!((out_width, out_height), (width, height));
        let worst = rgb.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(12), "{worst:?}");
    }

    #[test]
    fn a_crop_is_encoded_as_its_copy() {
        let rgb = noise(300, 200);
        let crop = Area::new(&rgb[(20 * 300 + 33) * 3..], 900, 101, 77).unwrap();
        let copy: Vec<u8> = crop.rows().flatten().copied().collect();
        let whole = Area::new(&copy, 303, 101, 77).unwrap();
        let bytes = library().encode(&crop, 90).unwrap();
        assert_eq!(bytes, library().encode(&whole, 90).unwrap());
        assert_eq!((decode(&bytes).0, decode(&bytes).1), (101, 77));
    }

    #[test]
    fn the_buffer_grows_with_the_file() {
        let rgb = noise(700, 500);
        let area = Area::new(&rgb, 2100, 700, 500).unwrap();
        let sizes = [1, 50, 100].map(|quality| {
            let bytes = library().encode(&area, quality).unwrap();
            assert_eq!((decode(&bytes).0, decode(&bytes).1), (700, 500));
            bytes.len()
        });
        assert!(sizes[0] < 1 << 15 && sizes[1] > 1 << 15 && sizes[2] > 1 << 18, "{sizes:?}");
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let row = vec![0; 65_501 * 3];
        let message = |width: usize, height: usize, stride: usize, quality: u8| {
            let area = Area::new(&row, stride, width, height).unwrap();
            library().encode(&area, quality).unwrap_err()
        };
        let long = "65501 x 1 pixels: JPEG holds at most 65500 per side";
        assert_eq!(message(65_501, 1, row.len(), 90), long);
        let tall = "1 x 65501 pixels: JPEG holds at most 65500 per side";
        assert_eq!(message(1, 65_501, 3, 90), tall);
        assert_eq!(message(1, 1, 3, 0), "quality 0: expected 1 to 100");
        assert_eq!(message(1, 1, 3, 101), "quality 101: expected 1 to 100");
        let longest = Area::new(&row, 65_500 * 3, 65_500, 1).unwrap();
        assert_eq!(decode(&library().encode(&longest, 75).unwrap()).0, 65_500);
    }
}
