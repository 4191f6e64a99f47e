//! A JPEG file through libjpeg-turbo: whole, or the part that a crop needs.

use super::augment::Box;
use super::scratch::room;
use super::segments::Segments;
use super::shrink::Part;
use super::turn::Turn;
use image::metadata::Orientation;
use jpeg::{Decoder, Library, Output};

/// A JPEG file whose header was read.
pub(super) struct JpegFile<'a> {
    decoder: Decoder<'a>,
    /// Width and height as stored.
    pub(super) stored: (usize, usize),
    /// How it becomes upright.
    pub(super) turn: Turn,
    /// Lossless coding knows neither scales nor skipped rows.
    lossless: bool,
}

impl<'a> JpegFile<'a> {
    /// Reads the header; `bytes` is known to end with an end marker.
    pub(super) fn open(library: &'static Library, bytes: &'a [u8]) -> Result<Self, String> {
        let decoder = Decoder::open(library, bytes)?;
        let header = decoder.header();
        if header.precision != 8 {
            return Err(format!("{} bits per channel: expected 8", header.precision));
        }
        if !matches!(header.components, 1 | 3 | 4) {
            return Err(format!("{} channels: expected 1, 3 or 4", header.components));
        }
        let side = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
        let stored = (side(header.width)?, side(header.height)?);
        // A damaged EXIF block is no reason to lose the picture.
        let orientation = Segments::of(bytes).exif().and_then(Orientation::from_exif_chunk);
        let turn = orientation.map_or(Turn::default(), Turn::from);
        let lossless = Segments::of(bytes).any(|segment| segment.marker == 0xc3);
        Ok(Self { decoder, stored, turn, lossless })
    }

    /// The whole picture as stored, height x width x 3, exactly as Pillow's `convert("RGB")`.
    pub(super) fn whole(mut self, pixels: &mut [u8], spare: &mut Vec<u8>) -> Result<(), String> {
        let output = self.decoder.start(8, true)?;
        read(&mut self.decoder, output, pixels, spare)?;
        self.decoder.finish()
    }

    /// The stored box `crop` and some of what lies beside it, scaled in the inverse DCT to the least
    /// size that has at least `size` x `size` pixels in the box. What lies below the box is not decoded,
    /// nor, beyond its entropy coding, what lies above and beside it.
    pub(super) fn part(
        mut self,
        crop: Box,
        size: usize,
        pixels: &mut Vec<u8>,
        spare: &mut Vec<u8>,
    ) -> Result<Part, String> {
        let (left, top, width, height) = crop;
        let eighths = if self.lossless { 8 } else { eighths(width.min(height), size) };
        let mut output = self.decoder.start(eighths, true)?;
        // A scaled pixel covers 8 / eighths stored ones from the left and from the top.
        let scale = f64::from(eighths) / 8.0;
        let [left, top, width, height] = [left, top, width, height].map(|v| v as f64 * scale);
        let first = if self.lossless { 0 } else { top.floor() as usize };
        let end = ((top + height).ceil() as usize).min(output.height);
        let mut first_column = 0;
        if !self.lossless {
            let from = (left.floor() as usize).saturating_sub(BESIDE);
            let to = ((left + width).ceil() as usize + BESIDE).min(output.width);
            if to - from < output.width {
                (first_column, output.width) = self.decoder.crop(from, to - from)?;
            }
        }
        if first > 0 {
            self.decoder.skip(first)?;
        }
        let rows = end - first;
        read(&mut self.decoder, output, room(pixels, rows * output.width * 3), spare)?;
        let crop = [left - first_column as f64, top - first as f64, width, height];
        Ok(Part { width: output.width, height: rows, crop })
    }
}

/// Columns decoded on both sides of a crop: chroma is interpolated from its neighbours.
const BESIDE: usize = 4;

/// The scale in eighths whose inverse DCT libjpeg-turbo has in SIMD.
fn eighths(crop: usize, size: usize) -> u32 {
    [1, 2, 4].into_iter().find(|&n| crop * n as usize >= size * 8).unwrap_or(8)
}

/// Reads as many rows as `pixels` holds, as RGB.
fn read(
    decoder: &mut Decoder,
    output: Output,
    pixels: &mut [u8],
    spare: &mut Vec<u8>,
) -> Result<(), String> {
    if output.channels == 3 {
        return decoder.read(pixels);
    }
    const ROWS: usize = 16;
    for rows in pixels.chunks_mut(output.width * 3 * ROWS) {
        let cmyk = room(spare, rows.len() / 3 * 4);
        decoder.read(cmyk)?;
        let (rgb, _) = rows.as_chunks_mut::<3>();
        let (cmyk, _) = cmyk.as_chunks::<4>();
        for (rgb, &cmyk) in rgb.iter_mut().zip(cmyk) {
            *rgb = rgb_of_cmyk(cmyk);
        }
    }
    Ok(())
}

/// Pillow takes every CMYK file for Adobe's, which stores 255 - ink, and mixes without profiles.
fn rgb_of_cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(k);
    [c, m, y].map(|stored| {
        // Rounded ink * light / 255.
        let product = u32::from(255 - stored) * light + 128;
        let dark = ((product >> 8) + product) >> 8;
        (light.saturating_sub(dark)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_the_least_that_suffices() {
        // 224 of 800 pixels are 2.24 eighths: two are too few, four suffice.
        assert_eq!(
            [1792, 1791, 896, 448, 447, 100].map(|crop| eighths(crop, 224)),
            [1, 2, 2, 4, 8, 8]
        );
    }

    #[test]
    fn inks_mix_as_pillows() {
        // Image.merge("CMYK", ...).convert("RGB") of the inverted values.
        assert_eq!(rgb_of_cmyk([255; 4]), [255; 3]);
        assert_eq!(rgb_of_cmyk([0, 255, 255, 255]), [0, 255, 255]);
        assert_eq!(rgb_of_cmyk([100, 200, 50, 0]), [0; 3]);
        assert_eq!(rgb_of_cmyk([100, 200, 50, 180]), [71, 141, 35]);
    }
}
