//! Formats and sizes of pictures, from their headers.

use super::{Seen, Spread};
use image::{ImageDecoder, ImageFormat, ImageReader};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;

/// What pictures are like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pictures {
    /// Over how many rows.
    pub seen: Seen,
    /// Rows without a picture.
    pub missing: u64,
    /// Pictures by format: `jpeg`, `png`, `webp`, another that this program does not decode, or
    /// `unknown`.
    pub formats: BTreeMap<String, u64>,
    /// Width in pixels, as shown (turned by EXIF).
    pub width: Option<Spread>,
    /// Height in pixels.
    pub height: Option<Spread>,
    /// Encoded bytes.
    pub encoded_bytes: Option<Spread>,
    /// Side of the model's input in pixels, where a model is given.
    pub input_px: Option<u64>,
    /// Pictures whose shorter side is below `input_px`: they are enlarged.
    pub smaller_than_input: Option<u64>,
    /// Rows whose picture is, byte for byte, that of an earlier row.
    pub repeated: u64,
}

/// What a picture's header says.
pub(super) struct Header {
    format: String,
    size: Option<(u64, u64)>,
    encoded: u64,
    hash: u64,
}

impl Header {
    /// Reads format and size; nothing is decoded.
    pub fn read(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
        let format = reader.as_ref().and_then(ImageReader::format);
        let known =
            matches!(format, Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP));
        let size = reader.filter(|_| known).and_then(|reader| {
            let mut decoder = reader.into_decoder().ok()?;
            let (width, height) = decoder.dimensions();
            let turned = decoder.orientation().is_ok_and(|orientation| {
                use image::metadata::Orientation::*;
                matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
            });
            let (width, height) = if turned { (height, width) } else { (width, height) };
            Some((width.into(), height.into()))
        });
        let format = format.map_or("unknown".into(), |f| format!("{f:?}").to_lowercase());
        Self { format, size, encoded: bytes.len() as u64, hash: hasher.finish() }
    }
}

/// Pictures counted so far.
#[derive(Default)]
pub(super) struct Counter {
    rows: u64,
    missing: u64,
    formats: BTreeMap<String, u64>,
    width: Vec<u64>,
    height: Vec<u64>,
    encoded: Vec<u64>,
    smaller: u64,
    hashes: HashSet<u64>,
    repeated: u64,
}

impl Counter {
    /// A row's picture; none where it has none.
    pub fn add(&mut self, header: Option<Header>, input_px: Option<u64>) {
        self.rows += 1;
        let Some(header) = header else {
            self.missing += 1;
            return;
        };
        *self.formats.entry(header.format).or_default() += 1;
        self.encoded.push(header.encoded);
        self.repeated += u64::from(!self.hashes.insert(header.hash));
        if let Some((width, height)) = header.size {
            self.width.push(width);
            self.height.push(height);
            self.smaller += u64::from(input_px.is_some_and(|input| width.min(height) < input));
        }
    }

    /// The figures, of `of` rows in all.
    pub fn finish(self, of: u64, input_px: Option<u64>) -> Pictures {
        Pictures {
            seen: Seen::new(self.rows, of),
            missing: self.missing,
            formats: self.formats,
            width: Spread::of(self.width),
            height: Spread::of(self.height),
            encoded_bytes: Spread::of(self.encoded),
            input_px,
            smaller_than_input: input_px.map(|_| self.smaller),
            repeated: self.repeated,
        }
    }
}
