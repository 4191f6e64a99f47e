//! One product as its catalogue lists it.

use std::path::PathBuf;

use bytes::Bytes;
use url::Url;

use crate::RowRef;

/// One product as its catalogue lists it. Texts have no blanks around them.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Where it is listed.
    pub row: RowRef,
    /// Identity: not empty, and no earlier product's.
    pub product_id: String,
    /// Its name: not empty.
    pub title: String,
    /// A longer text, where the catalogue has one.
    pub description: Option<String>,
    /// What kind of thing it is: not empty.
    pub product_type: String,
    /// What a detector is asked for: the type, or what `catalogue.phrases` says for it.
    pub phrase: String,
    /// Name and value of each attribute that has a value, in the catalogue's order.
    pub attributes: Vec<(String, String)>,
    /// Its picture, or where that is.
    pub image: ImageRef,
    /// Its box, as the catalogue states it: four numbers in the configured format and units.
    pub given_box: Option<[f64; 4]>,
    /// Its weight in the loss, above 0; none where the configuration names no column.
    pub weight: Option<f32>,
    /// The group of products that it belongs to.
    pub group: Option<String>,
}

/// A picture, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRef {
    /// The encoded picture.
    Bytes(Bytes),
    /// A file.
    Path(PathBuf),
    /// An `http` or `https` URL.
    Url(Url),
}
