//! One JPEG file, decoded row by row.

use crate::Library;
use crate::ffi::{self, RawHeader};
use crate::kept::DecoderState;
use std::ffi::CStr;
use std::marker::PhantomData;

/// What a file's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width in pixels, 1 to 65,500.
    pub width: u32,
    /// Height in pixels, 1 to 65,500.
    pub height: u32,
    /// Channels in the file: 1 for grey, 3 for colour, 4 for CMYK and YCCK.
    pub components: u32,
    /// Bits of a channel; 8 nearly always.
    pub precision: u32,
}

/// What comes out of a started decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes of a pixel: 3 for RGB, 4 for CMYK as the file has it (Adobe's is inverted).
    pub channels: usize,
}

/// A JPEG file whose header was read. Errors are libjpeg's own words. Corrupt entropy-coded data is
/// none: libjpeg fills up with grey, as every program that uses it.
#[derive(Debug)]
pub struct Decoder<'a> {
    state: DecoderState,
    header: Header,
    /// Set by [`Decoder::start`].
    output: Option<Output>,
    rows_left: usize,
    /// Set by [`Decoder::crop`].
    cropped: bool,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Decoder<'a> {
    /// Reads the header. Nothing is allocated yet that depends on the picture's size.
    ///
    /// # Errors
    /// Bytes that are no JPEG, or end within the header.
    pub fn open(library: &'static Library, bytes: &'a [u8]) -> Result<Self, String> {
        let state = DecoderState::of(library)?;
        let mut raw = RawHeader::default();
        // SAFETY: the decoder is alive, `bytes` as long as it works on them by 'a; the header is
        // written within its size.
        let ok =
            unsafe { ffi::vlclip_jpeg_open(state.as_ptr(), bytes.as_ptr(), bytes.len(), &mut raw) };
        let RawHeader { width, height, components, precision } = raw;
        let header = Header { width, height, components, precision };
        let decoder =
            Self { state, header, output: None, rows_left: 0, cropped: false, bytes: PhantomData };
        decoder.check(ok)?;
        Ok(decoder)
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Starts decoding, scaled by `eighths` / 8 (each side rounded up) in the inverse DCT. `fancy`
    /// interpolates subsampled chroma as libjpeg does by default; otherwise it is repeated. Several
    /// scans are all read here, and keep 2 bytes for each value of the picture.
    ///
    /// # Errors
    /// As libjpeg's; a second start.
    pub fn start(&mut self, eighths: u32, fancy: bool) -> Result<Output, String> {
        if self.output.is_some() {
            return Err("the decoder has been started already".into());
        }
        let mut out = RawHeader::default();
        // SAFETY: the decoder is alive, and so is `out`.
        let ok =
            unsafe { ffi::vlclip_jpeg_start(self.state.as_ptr(), eighths, fancy.into(), &mut out) };
        self.check(ok)?;
        let side = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
        let (width, height) = (side(out.width)?, side(out.height)?);
        let output = Output { width, height, channels: side(out.components)? };
        (self.output, self.rows_left) = (Some(output), height);
        Ok(output)
    }

    /// Leaves out what lies beside the `width` columns from `left` on, once, before any row is
    /// skipped or read: gives the first column and the number of those that come out, which are widened to whole
    /// blocks. Subsampled chroma is interpolated at the edges as at those of a picture, so that the
    /// outermost columns may differ from the whole picture's.
    ///
    /// # Errors
    /// As libjpeg's; columns that are not in the picture.
    pub fn crop(&mut self, left: usize, width: usize) -> Result<(usize, usize), String> {
        let Some(output) = &mut self.output else {
            return Err("the decoder has not been started".into());
        };
        let end = left.checked_add(width);
        let first = self.rows_left == output.height && !self.cropped;
        if !first || width == 0 || end.is_none_or(|end| end > output.width) {
            let all = output.width;
            return Err(format!(
                "{width} columns from {left} on are wanted of {all}, once and before any row"
            ));
        }
        let count = |columns: usize| u32::try_from(columns).map_err(|error| error.to_string());
        let (mut first, mut columns) = (count(left)?, count(width)?);
        // SAFETY: the decoder is alive and started, and so are both numbers.
        let ok = unsafe { ffi::vlclip_jpeg_crop(self.state.as_ptr(), &mut first, &mut columns) };
        let side = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
        (output.width, self.cropped) = (side(columns)?, true);
        self.check(ok)?;
        Ok((side(first)?, side(columns)?))
    }

    /// Leaves out the next `rows` rows, which costs less than reading them.
    ///
    /// # Errors
    /// As libjpeg's; more rows than are left.
    pub fn skip(&mut self, rows: usize) -> Result<(), String> {
        let count = self.take(rows)?;
        // SAFETY: the decoder is alive and started.
        let ok = unsafe { ffi::vlclip_jpeg_skip(self.state.as_ptr(), count) };
        self.check(ok)
    }

    /// Reads the next rows, as many as `out` holds: rows x width x channels.
    ///
    /// # Errors
    /// As libjpeg's; an `out` that is not a whole number of rows, or more than are left.
    pub fn read(&mut self, out: &mut [u8]) -> Result<(), String> {
        let Some(Output { width, channels, .. }) = self.output else {
            return Err("the decoder has not been started".into());
        };
        let stride = width * channels;
        if stride == 0 || !out.len().is_multiple_of(stride) {
            return Err(format!("{} bytes are not whole rows of {stride}", out.len()));
        }
        let count = self.take(out.len() / stride)?;
        // SAFETY: the decoder is alive and started; `out` holds exactly `count` rows of `stride`
        // bytes, and a row of the library's is `stride` bytes long.
        let ok =
            unsafe { ffi::vlclip_jpeg_read(self.state.as_ptr(), out.as_mut_ptr(), stride, count) };
        self.check(ok)
    }

    /// Reads on to the end of the file, after its last row.
    ///
    /// # Errors
    /// A file without its end; rows that are left.
    pub fn finish(self) -> Result<(), String> {
        if self.output.is_none() || self.rows_left > 0 {
            return Err(format!("{} rows are left", self.rows_left));
        }
        // SAFETY: the decoder is alive and started.
        let ok = unsafe { ffi::vlclip_jpeg_finish(self.state.as_ptr()) };
        self.check(ok)
    }

    /// Counts rows off.
    fn take(&mut self, rows: usize) -> Result<u32, String> {
        if rows > self.rows_left {
            return Err(format!("{rows} rows are wanted, {} are left", self.rows_left));
        }
        self.rows_left -= rows;
        u32::try_from(rows).map_err(|error| error.to_string())
    }

    fn check(&self, ok: i32) -> Result<(), String> {
        if ok != 0 {
            return Ok(());
        }
        // SAFETY: the decoder is alive, and its message ends within it.
        let message = unsafe { CStr::from_ptr(ffi::vlclip_jpeg_message(self.state.as_ptr())) };
        Err(message.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
