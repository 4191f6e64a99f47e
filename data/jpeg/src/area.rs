//! A rectangle of RGB pixels within a larger picture.

/// The longest side of a JPEG that libjpeg reads and writes, in pixels.
pub const MAX_SIDE: usize = 65_500;

/// RGB pixels, 8 bits per channel, whose rows begin `stride` bytes apart. All of them are known to
/// lie in the buffer, and neither side is empty.
#[derive(Clone, Copy, Debug)]
pub struct Area<'a> {
    rgb: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a> Area<'a> {
    /// An area of `width` x `height` pixels, whose first pixel is the first of `rgb`. The last row
    /// may end with its last pixel.
    ///
    /// # Errors
    /// An empty side, a stride less than a row, a buffer too short.
    pub fn new(rgb: &'a [u8], stride: usize, width: usize, height: usize) -> Result<Self, String> {
        if width == 0 || height == 0 {
            return Err(format!("{width} x {height} pixels: expected at least 1 x 1"));
        }
        let row = width.checked_mul(3).filter(|&row| row <= stride);
        let Some(row) = row else {
            return Err(format!(
                "rows of {width} RGB pixels do not fit a stride of {stride} bytes"
            ));
        };
        let end = stride.checked_mul(height - 1).and_then(|start| start.checked_add(row));
        if end.is_none_or(|end| end > rgb.len()) {
            let found = rgb.len();
            return Err(format!(
                "{width} x {height} RGB pixels with a stride of {stride} bytes do not fit {found} bytes"
            ));
        }
        Ok(Self { rgb, stride, width, height })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Its rows from top to bottom, each width x 3 bytes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let row = self.width * 3;
        // The buffer ends anywhere after the last row's last pixel.
        self.rgb.chunks(self.stride).take(self.height).map(move |bytes| &bytes[..row])
    }

    /// The buffer, and the bytes from one row to the next.
    pub(crate) fn buffer(&self) -> (&'a [u8], usize) {
        (self.rgb, self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_leave_out_what_lies_beside_them() {
        let bytes: Vec<u8> = (0..40).collect();
        // The second and third pixel of the second and third row of a picture of 4 x 3.
        let area = Area::new(&bytes[12 + 3..], 12, 2, 2).unwrap();
        let rows: Vec<&[u8]> = area.rows().collect();
        assert_eq!(rows, [[15, 16, 17, 18, 19, 20], [27, 28, 29, 30, 31, 32]]);
        assert_eq!((area.width(), area.height()), (2, 2));
        // The last row needs no more than its pixels.
        assert_eq!(Area::new(&bytes[..18], 12, 2, 2).unwrap().rows().len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let bytes = [0; 36];
        let message = |stride, width, height| Area::new(&bytes, stride, width, height).unwrap_err();
        assert_eq!(message(12, 0, 3), "0 x 3 pixels: expected at least 1 x 1");
        assert_eq!(message(12, 3, 0), "3 x 0 pixels: expected at least 1 x 1");
        assert_eq!(message(8, 3, 1), "rows of 3 RGB pixels do not fit a stride of 8 bytes");
        let short = "4 x 4 RGB pixels with a stride of 12 bytes do not fit 36 bytes";
        assert_eq!(message(12, 4, 4), short);
        // Sizes whose product is beyond a usize.
        assert!(message(12, usize::MAX / 2, 1).contains("stride"));
        assert!(message(usize::MAX / 2, 4, 9).contains("do not fit 36 bytes"));
    }
}
