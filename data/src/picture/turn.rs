//! EXIF's eight orientations: how a stored picture is turned to stand upright.

use super::augment::Box;
use image::metadata::Orientation;

/// How the place of an upright pixel leads to the stored one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Rows become columns.
    swap: bool,
    /// The stored columns count from the right.
    flip_x: bool,
    /// The stored rows count from the bottom.
    flip_y: bool,
}

impl From<Orientation> for Turn {
    fn from(orientation: Orientation) -> Self {
        let exif = orientation.to_exif();
        Self {
            swap: exif >= 5,
            flip_x: matches!(exif, 2 | 3 | 7 | 8),
            flip_y: matches!(exif, 3 | 4 | 6 | 7),
        }
    }
}

impl Turn {
    /// Whether the picture is stored upright.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Width and height upright, of the stored ones.
    pub(super) fn upright(self, (width, height): (usize, usize)) -> (usize, usize) {
        if self.swap { (height, width) } else { (width, height) }
    }

    /// The stored box of an upright one, in a picture that is stored as `width` x `height`.
    pub(super) fn stored_box(self, (width, height): (usize, usize), upright: Box) -> Box {
        let (x, y, w, h) = upright;
        let (x, y, w, h) = if self.swap { (y, x, h, w) } else { (x, y, w, h) };
        let x = if self.flip_x { width - x - w } else { x };
        let y = if self.flip_y { height - y - h } else { y };
        (x, y, w, h)
    }

    /// Turns stored pixels, height x width x 3, into upright ones of as many bytes.
    pub(super) fn apply(self, stored: &[u8], (width, height): (usize, usize), upright: &mut [u8]) {
        let (stored, _) = stored.as_chunks::<3>();
        let (upright, _) = upright.as_chunks_mut::<3>();
        let (row_width, _) = self.upright((width, height));
        for (y, row) in upright.chunks_exact_mut(row_width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let (x, y, ..) = self.stored_box((width, height), (x, y, 1, 1));
                *pixel = stored[y * width + x];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientations_are_exifs() {
        // Stored as   1 2 3   and upright, by EXIF's definition:
        //             4 5 6
        let upright: [&[u8]; 8] = [
            &[1, 2, 3, 4, 5, 6],
            &[3, 2, 1, 6, 5, 4],
            &[6, 5, 4, 3, 2, 1],
            &[4, 5, 6, 1, 2, 3],
            &[1, 4, 2, 5, 3, 6],
            &[4, 1, 5, 2, 6, 3],
            &[6, 3, 5, 2, 4, 1],
            &[3, 6, 2, 5, 1, 4],
        ];
        let stored: Vec<u8> = (1..=6).flat_map(|v| [v; 3]).collect();
        for (exif, expected) in (1..).zip(upright) {
            let turn = Turn::from(Orientation::from_exif(exif).unwrap());
            assert_eq!(turn.is_none(), exif == 1);
            assert_eq!(turn.upright((3, 2)), if exif < 5 { (3, 2) } else { (2, 3) });
            let mut out = [0; 18];
            turn.apply(&stored, (3, 2), &mut out);
            assert!(out.chunks(3).map(|p| p[0]).eq(expected.iter().copied()), "{exif}: {out:?}");
        }
    }

    #[test]
    fn a_box_holds_the_same_pixels_turned() {
        // Number i at place i, 5 wide and 4 high.
        let stored: Vec<u8> = (0..20).flat_map(|v| [v; 3]).collect();
        for exif in 1..=8 {
            let turn = Turn::from(Orientation::from_exif(exif).unwrap());
            let (width, _) = turn.upright((5, 4));
            let mut upright = [0; 60];
            turn.apply(&stored, (5, 4), &mut upright);
            let pick = |pixels: &[u8], width: usize, (x, y, w, h): Box| {
                let rows = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (y, x)));
                let mut found: Vec<u8> = rows.map(|(y, x)| pixels[(y * width + x) * 3]).collect();
                found.sort_unstable();
                found
            };
            let wanted = (1, 2, 3, 2);
            let expected = pick(&upright, width, wanted);
            assert_eq!(pick(&stored, 5, turn.stored_box((5, 4), wanted)), expected, "{exif}");
        }
    }
}
