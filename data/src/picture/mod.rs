//! Pictures: decoding, encoding, Pillow's resizing, and the transforms of evaluation and training.

mod augment;
mod colour;
mod config_file;
mod decode;
mod encode;
mod file;
mod jpeg_file;
mod preprocess;
mod raster;
mod resize;
mod scratch;
mod segments;
mod shrink;
mod train;
mod turn;

pub use colour::Colour;
pub use decode::{MAX_PIXELS, jpeg_decoder, jpeg_is_exact};
pub use encode::encode_jpeg;
pub use file::PictureFile;
pub use jpeg::Area;
pub use preprocess::{Crop, Preprocessor, Resize};
pub use resize::{Filter, Taps, vertical_first};

/// A decoded picture: RGB, 8 bits per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// height x width x 3.
    pub pixels: Vec<u8>,
}

/// Why bytes are not a usable picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// More than [`MAX_PIXELS`] pixels; nothing of that size was allocated.
    #[error("{width} x {height} pixels; at most {MAX_PIXELS} pixels are accepted")]
    TooLarge {
        /// Width that the header states.
        width: usize,
        /// Height that the header states.
        height: usize,
    },
    /// Not JPEG, PNG or WebP, or damaged.
    #[error("{reason} ({bytes} bytes)")]
    Unreadable {
        /// The decoder's reason.
        reason: String,
        /// Number of encoded bytes.
        bytes: usize,
    },
    /// A picture so narrow that resizing its shorter side takes more than [`MAX_PIXELS`] pixels,
    /// or its longer side leaves nothing of the shorter; nothing of that size was allocated.
    #[error(
        "{width} x {height} pixels would become {resized_width} x {resized_height}; 1 to \
         {MAX_PIXELS} pixels are accepted"
    )]
    TooNarrow {
        /// The picture's width.
        width: usize,
        /// The picture's height.
        height: usize,
        /// Its width after resizing.
        resized_width: usize,
        /// Its height after resizing.
        resized_height: usize,
    },
    /// A picture that cannot be resized.
    #[error("cannot resize: {0}")]
    Resize(String),
    /// Pixels that cannot be written as JPEG.
    #[error("cannot encode as JPEG: {0}")]
    Encode(String),
}
