//! One JPEG file, decoded row by row.

use crate::Library;
use crate::ffi::{self, MESSAGE_SIZE, RawDecoder, RawHeader};
use crate::library::text;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;

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
    raw: NonNull<RawDecoder>,
    header: Header,
    /// Set by [`Decoder::start`].
    output: Option<Output>,
    rows_left: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Decoder<'a> {
    /// Reads the header. Nothing is allocated yet that depends on the picture's size.
    ///
    /// # Errors
    /// Bytes that are no JPEG, or end within the header.
    pub fn open(library: &'static Library, bytes: &'a [u8]) -> Result<Self, String> {
        let mut raw = RawHeader::default();
        let mut message: [c_char; MESSAGE_SIZE] = [0; MESSAGE_SIZE];
        // SAFETY: the library lives forever, `bytes` as long as the decoder by 'a; the header and
        // the message are written within their sizes.
        let decoder = unsafe {
            ffi::vlclip_jpeg_open(
                library.raw(),
                bytes.as_ptr(),
                bytes.len(),
                &mut raw,
                message.as_mut_ptr(),
            )
        };
        let RawHeader { width, height, components, precision } = raw;
        let header = Header { width, height, components, precision };
        match NonNull::new(decoder) {
            Some(raw) => Ok(Self { raw, header, output: None, rows_left: 0, bytes: PhantomData }),
            None => Err(text(&message)),
        }
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
            unsafe { ffi::vlclip_jpeg_start(self.raw.as_ptr(), eighths, fancy.into(), &mut out) };
        self.check(ok)?;
        let side = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
        let (width, height) = (side(out.width)?, side(out.height)?);
        let output = Output { width, height, channels: side(out.components)? };
        (self.output, self.rows_left) = (Some(output), height);
        Ok(output)
    }

    /// Leaves out the next `rows` rows, which costs less than reading them.
    ///
    /// # Errors
    /// As libjpeg's; more rows than are left.
    pub fn skip(&mut self, rows: usize) -> Result<(), String> {
        let count = self.take(rows)?;
        // SAFETY: the decoder is alive and started.
        let ok = unsafe { ffi::vlclip_jpeg_skip(self.raw.as_ptr(), count) };
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
            unsafe { ffi::vlclip_jpeg_read(self.raw.as_ptr(), out.as_mut_ptr(), stride, count) };
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
        let ok = unsafe { ffi::vlclip_jpeg_finish(self.raw.as_ptr()) };
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
        let message = unsafe { CStr::from_ptr(ffi::vlclip_jpeg_message(self.raw.as_ptr())) };
        Err(message.to_string_lossy().into_owned())
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: the only owner closes it, once.
        unsafe { ffi::vlclip_jpeg_close(self.raw.as_ptr()) };
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
