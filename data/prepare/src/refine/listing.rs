//! What is known of a product when its caption is written.

/// A product as the catalogue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    /// Its identity, for messages alone: no caption depends on it.
    pub product_id: &'a str,
    /// The seller's title: the raw caption.
    pub title: &'a str,
    /// The seller's description.
    pub description: Option<&'a str>,
    /// What kind of thing it is: `handbag`.
    pub product_type: &'a str,
    /// Name and value of each attribute.
    pub attributes: &'a [(String, String)],
}

/// The picture that a model with eyes sees: the grounded crop, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop<'a> {
    /// The encoded picture.
    pub bytes: &'a [u8],
    /// What encodes it: `image/jpeg`, `image/png` or `image/webp`.
    pub media_type: &'a str,
}
