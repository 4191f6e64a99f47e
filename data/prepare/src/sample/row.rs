//! One product of the sample as its catalogue lists it: its picture, its box in it, and its texts.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::canvas::PixelBox;
use super::captions;
use super::product::Catalogue;
use super::rng::Rng;
use super::scene::{self, SCENE_PX};
use crate::PrepareError;

const TAG_TEXT: u64 = 4;
const SCENE_QUALITY: u8 = 85;

/// One row of the catalogue, and the words that the tokenizer learns from.
#[derive(Debug)]
pub(super) struct CatalogueRow {
    pub product_id: String,
    /// As a careless seller writes it.
    pub title: String,
    /// What is true of it, in a sentence.
    pub description: String,
    pub product_type: String,
    /// `color`, `secondary_color` (patterned products), `pattern`, `material`, `size`.
    pub attributes: Vec<(String, String)>,
    /// JPEG of the whole scene.
    pub image: Vec<u8>,
    /// The product in it.
    pub found: PixelBox,
    /// The same facts in other words.
    pub variants: Vec<String>,
}

/// Draws product `number` of the catalogue of `seed`.
pub(super) fn draw(
    catalogue: &Catalogue,
    seed: u64,
    number: u64,
) -> Result<CatalogueRow, PrepareError> {
    let product = catalogue.product(number);
    let texts = captions::write(&product, &mut Rng::keyed(seed, TAG_TEXT, number));
    let scene = scene::draw(catalogue, seed, number, &product);
    let mut image = Vec::new();
    let side = SCENE_PX as u32; // a few hundred
    JpegEncoder::new_with_quality(&mut image, SCENE_QUALITY)
        .write_image(&scene.canvas.bytes(), side, side, ExtendedColorType::Rgb8)
        .map_err(|source| PrepareError::Picture { product_id: product.id.clone(), source })?;
    Ok(CatalogueRow {
        title: texts.raw,
        description: texts.refined,
        product_type: product.kind.name.to_owned(),
        attributes: product.attributes(),
        image,
        found: scene.product_box,
        variants: texts.captions,
        product_id: product.id,
    })
}
