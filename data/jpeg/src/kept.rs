//! libjpeg's states, kept from picture to picture: to make one costs as much as a small picture, for
//! libjpeg-turbo asks the processor each time what it can do, which takes long on a virtual machine.

use crate::Library;
use crate::ffi::{self, MESSAGE_SIZE, RawDecoder, RawEncoder, RawEncoding, RawLibrary};
use crate::library::text;
use std::cell::RefCell;
use std::ffi::c_char;
use std::ptr::NonNull;

thread_local! {
    static DECODER: RefCell<Option<IdleDecoder>> = const { RefCell::new(None) };
    static ENCODER: RefCell<Option<EncoderState>> = const { RefCell::new(None) };
}

/// A decoder that waits for its thread's next picture.
#[derive(Debug)]
struct IdleDecoder {
    raw: NonNull<RawDecoder>,
    library: *const RawLibrary,
}

impl Drop for IdleDecoder {
    fn drop(&mut self) {
        // SAFETY: the only owner closes it, once.
        unsafe { ffi::vlclip_jpeg_close(self.raw.as_ptr()) };
    }
}

/// A decoder at work on one picture; dropped, it is kept for the thread's next one.
#[derive(Debug)]
pub(crate) struct DecoderState {
    raw: NonNull<RawDecoder>,
    library: *const RawLibrary,
}

impl DecoderState {
    /// The thread's, or a new one.
    ///
    /// # Errors
    /// Memory.
    pub fn of(library: &'static Library) -> Result<Self, String> {
        let library = library.raw();
        let kept = DECODER.try_with(RefCell::take).ok().flatten();
        if let Some(kept) = kept.filter(|kept| std::ptr::eq(kept.library, library)) {
            let raw = kept.raw;
            std::mem::forget(kept);
            return Ok(Self { raw, library });
        }
        let mut message: [c_char; MESSAGE_SIZE] = [0; MESSAGE_SIZE];
        // SAFETY: the library lives forever; the message is written within its size.
        let raw = unsafe { ffi::vlclip_jpeg_create(library, message.as_mut_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(|| text(&message))?;
        Ok(Self { raw, library })
    }

    /// For the functions of `shim.c`.
    pub fn as_ptr(&self) -> *mut RawDecoder {
        self.raw.as_ptr()
    }
}

impl Drop for DecoderState {
    fn drop(&mut self) {
        let idle = IdleDecoder { raw: self.raw, library: self.library };
        // SAFETY: it is alive. What it read from is not touched any more.
        if unsafe { ffi::vlclip_jpeg_reset(self.raw.as_ptr()) } != 0 {
            // A thread that ends keeps nothing.
            let _ = DECODER.try_with(|kept| kept.replace(Some(idle)));
        }
    }
}

/// An encoder of one thread.
#[derive(Debug)]
pub(crate) struct EncoderState {
    raw: NonNull<RawEncoder>,
    encoding: *const RawEncoding,
}

impl EncoderState {
    /// The thread's, or a new one.
    ///
    /// # Errors
    /// Memory.
    pub fn of(encoding: *const RawEncoding) -> Result<Self, String> {
        let kept = ENCODER.try_with(RefCell::take).ok().flatten();
        if let Some(kept) = kept.filter(|kept| std::ptr::eq(kept.encoding, encoding)) {
            return Ok(kept);
        }
        let mut message: [c_char; MESSAGE_SIZE] = [0; MESSAGE_SIZE];
        // SAFETY: a library's encoding lives forever; the message is written within its size.
        let raw = unsafe { ffi::vlclip_jpeg_open_encoder(encoding, message.as_mut_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(|| text(&message))?;
        Ok(Self { raw, encoding })
    }

    /// For the functions of `encode.c`.
    pub fn as_ptr(&self) -> *mut RawEncoder {
        self.raw.as_ptr()
    }

    /// Keeps it for the thread's next picture; only after one that it has encoded.
    pub fn give_back(self) {
        let _ = ENCODER.try_with(|kept| kept.replace(Some(self)));
    }
}

impl Drop for EncoderState {
    fn drop(&mut self) {
        // SAFETY: the only owner closes it, once.
        unsafe { ffi::vlclip_jpeg_close_encoder(self.raw.as_ptr()) };
    }
}
