//! Products that cannot be used: which, where they are listed, and why.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where in a catalogue a product is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRef {
    /// The path or URL of the file.
    pub file: Arc<Path>,
    /// The file's index among the catalogue's.
    pub file_index: usize,
    /// The row of the file, from 0; rejected rows count.
    pub row: u64,
    /// The line of the file that it begins in, from 1; none in Parquet.
    pub line: Option<u64>,
}

impl fmt::Display for RowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "`{}` line {line}", self.file.display()),
            None => write!(f, "`{}` row {}", self.file.display(), self.row),
        }
    }
}

/// Why a product is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Bytes that are not UTF-8.
    BadEncoding,
    /// A quote that does not end, or text behind it.
    BadQuoting,
    /// A line with more or fewer fields than the line of column names.
    FieldCount,
    /// A line that is not a JSON object.
    BadJson,
    /// A row longer than any product's.
    TooLong,
    /// A value of a kind that its role cannot take.
    BadValue,
    /// No product id.
    EmptyId,
    /// The id of an earlier product.
    DuplicateId,
    /// No title.
    EmptyTitle,
    /// No product type.
    EmptyType,
    /// A product type that `catalogue.product_types` lacks.
    UnknownType,
    /// A weight that is no number above 0.
    BadWeight,
    /// A box that is not in the picture, or none at all.
    BadBox,
    /// No picture.
    MissingImage,
    /// A path or URL that no picture can be at.
    BadImageRef,
    /// No file at the path, or no picture at the URL.
    ImageNotFound,
    /// More bytes than `catalogue.fetch.max_mb`.
    ImageTooLarge,
    /// An address that pictures may not come from.
    PrivateAddress,
    /// A server or file that cannot be read.
    FetchFailed,
    /// Bytes that are not a picture.
    NotAPicture,
    /// A picture that cannot be decoded.
    UnreadablePicture,
}

impl Cause {
    /// The word for it in `rejects.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadEncoding => "bad_encoding",
            Self::BadQuoting => "bad_quoting",
            Self::FieldCount => "field_count",
            Self::BadJson => "bad_json",
            Self::TooLong => "too_long",
            Self::BadValue => "bad_value",
            Self::EmptyId => "empty_id",
            Self::DuplicateId => "duplicate_id",
            Self::EmptyTitle => "empty_title",
            Self::EmptyType => "empty_type",
            Self::UnknownType => "unknown_type",
            Self::BadWeight => "bad_weight",
            Self::BadBox => "bad_box",
            Self::MissingImage => "missing_image",
            Self::BadImageRef => "bad_image_ref",
            Self::ImageNotFound => "image_not_found",
            Self::ImageTooLarge => "image_too_large",
            Self::PrivateAddress => "private_address",
            Self::FetchFailed => "fetch_failed",
            Self::NotAPicture => "not_a_picture",
            Self::UnreadablePicture => "unreadable_picture",
        }
    }
}

/// What is wrong with a value or a picture, before it is known whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub cause: Cause,
    /// What was expected, what was found, and where it is not obvious what to do.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// The rejection of the product that it befalls.
    pub fn at(self, row: RowRef, product_id: Option<String>) -> Reject {
        Reject { row, product_id, cause: self.cause, detail: self.detail }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// A product that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where it is listed.
    pub row: RowRef,
    /// Its id, where that could be read.
    pub product_id: Option<String>,
    /// Why it is rejected.
    pub cause: Cause,
    /// The same in words.
    pub detail: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.product_id {
            Some(id) => write!(f, "{} (product `{id}`): {}", self.row, self.detail),
            None => write!(f, "{}: {}", self.row, self.detail),
        }
    }
}
