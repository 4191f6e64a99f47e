//! The functions of `shim.c` and `encode.c`.

use std::ffi::{c_char, c_int, c_uint};

/// Room for a message; `MESSAGE_SIZE` of both.
pub(crate) const MESSAGE_SIZE: usize = 256;

/// A loaded library's functions.
#[repr(C)]
pub(crate) struct RawLibrary {
    private: [u8; 0],
}

/// A loaded library's functions for encoding.
#[repr(C)]
pub(crate) struct RawEncoding {
    private: [u8; 0],
}

/// libjpeg's state for one picture after another.
#[repr(C)]
pub(crate) struct RawDecoder {
    private: [u8; 0],
}

/// The same for encoding.
#[repr(C)]
pub(crate) struct RawEncoder {
    private: [u8; 0],
}

/// `struct header` of `shim.c`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct RawHeader {
    pub width: c_uint,
    pub height: c_uint,
    pub components: c_uint,
    pub precision: c_uint,
}

unsafe extern "C" {
    pub(crate) fn vlclip_jpeg_load(
        path: *const c_char,
        place: *mut c_char,
        place_size: usize,
        message: *mut c_char,
    ) -> *const RawLibrary;
    pub(crate) fn vlclip_jpeg_create(
        library: *const RawLibrary,
        message: *mut c_char,
    ) -> *mut RawDecoder;
    pub(crate) fn vlclip_jpeg_open(
        decoder: *mut RawDecoder,
        bytes: *const u8,
        size: usize,
        header: *mut RawHeader,
    ) -> c_int;
    pub(crate) fn vlclip_jpeg_start(
        decoder: *mut RawDecoder,
        eighths: c_uint,
        fancy: c_int,
        out: *mut RawHeader,
    ) -> c_int;
    pub(crate) fn vlclip_jpeg_crop(
        decoder: *mut RawDecoder,
        left: *mut c_uint,
        width: *mut c_uint,
    ) -> c_int;
    pub(crate) fn vlclip_jpeg_skip(decoder: *mut RawDecoder, rows: c_uint) -> c_int;
    pub(crate) fn vlclip_jpeg_read(
        decoder: *mut RawDecoder,
        out: *mut u8,
        stride: usize,
        rows: c_uint,
    ) -> c_int;
    pub(crate) fn vlclip_jpeg_finish(decoder: *mut RawDecoder) -> c_int;
    pub(crate) fn vlclip_jpeg_message(decoder: *const RawDecoder) -> *const c_char;
    pub(crate) fn vlclip_jpeg_reset(decoder: *mut RawDecoder) -> c_int;
    pub(crate) fn vlclip_jpeg_close(decoder: *mut RawDecoder);
    pub(crate) fn vlclip_jpeg_load_encoding(
        path: *const c_char,
        message: *mut c_char,
    ) -> *const RawEncoding;
    pub(crate) fn vlclip_jpeg_open_encoder(
        encoding: *const RawEncoding,
        message: *mut c_char,
    ) -> *mut RawEncoder;
    pub(crate) fn vlclip_jpeg_encode(
        encoder: *mut RawEncoder,
        rgb: *const u8,
        stride: usize,
        width: c_uint,
        height: c_uint,
        quality: c_int,
        size: *mut usize,
    ) -> *const u8;
    pub(crate) fn vlclip_jpeg_encoder_message(encoder: *const RawEncoder) -> *const c_char;
    pub(crate) fn vlclip_jpeg_close_encoder(encoder: *mut RawEncoder);
}
