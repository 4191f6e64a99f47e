//! An encoded picture of which a box is wanted: only what the box needs is decoded.

use super::augment::Box;
use super::decode::{Coding, File, caught};
use super::scratch::{Scratch, room};
use super::shrink::Part;
use super::{Filter, Picture, PictureError};

/// An encoded picture whose header was read and whose size is allowed.
pub struct PictureFile<'a> {
    bytes: &'a [u8],
    file: File<'a>,
}

impl<'a> PictureFile<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, PictureError> {
        Ok(Self { bytes, file: caught(bytes, || File::open(bytes))? })
    }

    /// Width and height of the upright picture.
    pub fn size(&self) -> (usize, usize) {
        self.file.upright()
    }

    /// A box of the upright picture (left, top, width, height). With `short_side` its shorter side is
    /// brought down to that, the longer one in proportion; a box that is no larger keeps its size and
    /// is [`Picture::decode`]'s pixel by pixel. A JPEG is scaled down while it is decoded, as for
    /// training, and rows below the box are not looked at.
    ///
    /// # Errors
    /// As [`Picture::decode`]; a box that does not lie in the picture.
    pub fn cut(self, area: Box, short_side: Option<usize>) -> Result<Picture, PictureError> {
        let Self { bytes, file } = self;
        let (left, top, width, height) = area;
        let (all_width, all_height) = file.upright();
        let ends = (left.checked_add(width), top.checked_add(height));
        let inside = ends.0.is_some_and(|end| end <= all_width)
            && ends.1.is_some_and(|end| end <= all_height);
        if !inside || width == 0 || height == 0 {
            return Err(PictureError::Resize(format!(
                "the box {area:?} does not lie in {all_width} x {all_height} pixels"
            )));
        }
        Scratch::with(|scratch| caught(bytes, || cut(file, area, short_side, scratch)))
    }
}

fn cut(
    file: File,
    area: Box,
    short_side: Option<usize>,
    scratch: &mut Scratch,
) -> Result<Picture, PictureError> {
    let (turn, stored) = (file.turn, file.stored);
    let area = turn.stored_box(stored, area);
    let (_, _, width, height) = area;
    let shorter = width.min(height);
    let side = short_side.map_or(shorter, |side| side.min(shorter));
    let Scratch { pixels, spare, resizer, .. } = scratch;
    let unreadable = File::unreadable(file.num_bytes);
    let whole = (width, height) == stored && side == shorter;
    let part = match file.coding {
        // Read to its end marker, so that damage anywhere is found.
        Coding::Turbo(file) if whole => {
            file.whole(room(pixels, stored.0 * stored.1 * 3), spare).map(|()| all_of(stored, area))
        }
        Coding::Turbo(file) => file.part(area, side, pixels, spare),
        Coding::Image(file) => {
            let read = file.decode(room(pixels, stored.0 * stored.1 * 3), spare);
            read.map(|()| all_of(stored, area))
        }
    };
    let part = part.map_err(unreadable)?;
    let scale = side as f64 / shorter as f64;
    let [width, height] =
        [width, height].map(|side| ((side as f64 * scale).round() as usize).max(1));
    let mut cut = vec![0; width * height * 3];
    if side < shorter {
        Filter::Bicubic.shrink_into(pixels, &part, (width, height), resizer, &mut cut)?;
    } else {
        // Not scaled: the box's edges are whole numbers.
        let [left, top, ..] = part.crop.map(|edge| edge as usize);
        let rows = pixels.chunks_exact(part.width * 3).skip(top);
        for (row, out) in rows.zip(cut.chunks_exact_mut(width * 3)) {
            out.copy_from_slice(&row[left * 3..(left + width) * 3]);
        }
    }
    if turn.is_none() {
        return Ok(Picture { width, height, pixels: cut });
    }
    let mut upright = vec![0; cut.len()];
    turn.apply(&cut, (width, height), &mut upright);
    let (width, height) = turn.upright((width, height));
    Ok(Picture { width, height, pixels: upright })
}

/// All that was stored, and where the box lies in it.
fn all_of((width, height): (usize, usize), (left, top, w, h): Box) -> Part {
    Part { width, height, crop: [left, top, w, h].map(|edge| edge as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_jpeg;
    use crate::rng::{Purpose, Rng};

    /// Smooth, so that scaling in the DCT and after it agree.
    fn picture(width: usize, height: usize) -> Picture {
        let mut rng = Rng::new(Purpose::Sample, &[width as u64, height as u64]);
        let phase: Vec<f64> = (0..6).map(|_| rng.unit() * 6.0).collect();
        let pixels = (0..width * height * 3).map(|i| {
            let (x, y, c) = ((i / 3 % width) as f64, (i / 3 / width) as f64, i % 3);
            (127.0 + 60.0 * (x / 37.0 + phase[c]).sin() + 60.0 * (y / 29.0 + phase[c + 3]).cos())
                as u8
        });
        Picture { width, height, pixels: pixels.collect() }
    }

    #[test]
    fn boxes_are_those_of_the_whole_picture() {
        let whole = picture(310, 207);
        let jpeg = encode_jpeg(&whole.pixels, 310 * 3, 310, 207, 95).unwrap();
        let decoded = Picture::decode(&jpeg).unwrap();
        for area in [(0, 0, 310, 207), (17, 31, 100, 90), (200, 100, 110, 107), (5, 206, 9, 1)] {
            let (left, top, width, height) = area;
            let file = PictureFile::open(&jpeg).unwrap();
            assert_eq!(file.size(), (310, 207));
            let exact = decoded.crop(left, top, width, height);
            assert_eq!(file.cut(area, None).unwrap(), exact, "{area:?}");
            let small = PictureFile::open(&jpeg).unwrap().cut(area, Some(20)).unwrap();
            let other = decoded.shrunk(area, 20).unwrap();
            assert_eq!((small.width, small.height), (other.width, other.height));
            let far = small.pixels.iter().zip(&other.pixels).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(far <= Some(12), "{area:?}: {far:?}");
        }
        for outside in [(300, 0, 11, 5), (0, 0, 0, 5), (0, usize::MAX, 2, 2)] {
            let error = PictureFile::open(&jpeg).unwrap().cut(outside, None).unwrap_err();
            assert!(error.to_string().contains("does not lie in 310 x 207 pixels"), "{error}");
        }
        assert!(PictureFile::open(&jpeg[..jpeg.len() / 2]).is_err());
    }

    /// JPEGs of other subsamplings and codings, as Pillow wrote them, are in `tests`; this is 4:2:0,
    /// whose chroma is interpolated over the edges of blocks, with every column as an edge.
    #[test]
    fn columns_beside_a_box_change_nothing_in_it() {
        let (width, height) = (75, 41);
        let mut rng = Rng::new(Purpose::Sample, &[7]);
        let noise: Vec<u8> = (0..width * height * 3).map(|_| rng.below(256) as u8).collect();
        let jpeg = encode_jpeg(&noise, width * 3, width, height, 97).unwrap();
        let decoded = Picture::decode(&jpeg).unwrap();
        for left in 0..width {
            for right in [left + 1, (left + 9).min(width), (left + 33).min(width), width] {
                let area = (left, left % 17, right - left, 1 + right % 20);
                let cut = PictureFile::open(&jpeg).unwrap().cut(area, None).unwrap();
                assert_eq!(cut, decoded.crop(area.0, area.1, area.2, area.3), "{area:?}");
            }
        }
    }
}
