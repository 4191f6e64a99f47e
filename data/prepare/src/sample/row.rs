//! One product of the sample as a shard row: its picture, the crop cut from it, and its texts.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::canvas::PixelBox;
use super::captions;
use super::product::Catalogue;
use super::rng::Rng;
use super::scene::{self, SCENE_PX};
use crate::{BoxPx, Grounding, PrepareError, ShardRow};

const TAG_TEXT: u64 = 4;
const CROP_QUALITY: u8 = 90;
const SCENE_QUALITY: u8 = 85;
/// The crop is the true box and this share of its longer side around it.
const MARGIN: f32 = 0.06;

/// Draws product `number` of the catalogue of `seed`.
pub(super) fn draw(
    catalogue: &Catalogue,
    seed: u64,
    number: u64,
) -> Result<ShardRow, PrepareError> {
    let product = catalogue.product(number);
    let texts = captions::write(&product, &mut Rng::keyed(seed, TAG_TEXT, number));
    let scene = scene::draw(catalogue, seed, number, &product);
    let pixels = scene.canvas.bytes();
    let found = scene.product_box;
    let whole = PixelBox { x0: 0, y0: 0, x1: SCENE_PX, y1: SCENE_PX };
    let jpeg = |area, quality| {
        encode(&pixels, area, quality)
            .map_err(|source| PrepareError::Picture { product_id: product.id.clone(), source })
    };
    let edge = |pixel: usize| pixel as f32; // at most SCENE_PX: exact
    Ok(ShardRow {
        image: jpeg(with_margin(found), CROP_QUALITY)?,
        image_raw: Some(jpeg(whole, SCENE_QUALITY)?),
        captions: texts.captions,
        caption_raw: texts.raw,
        caption_refined: texts.refined,
        product_type: product.kind.name.to_owned(),
        attributes: product.attributes(),
        weight: None,
        grounding: Grounding::Given,
        box_px: Some(BoxPx {
            x0: edge(found.x0),
            y0: edge(found.y0),
            x1: edge(found.x1),
            y1: edge(found.y1),
        }),
        box_score: Some(1.0),
        caption_rounds: 0,
        caption_stop: "template".to_owned(),
        caption_model: String::new(),
        product_id: product.id,
    })
}

fn with_margin(found: PixelBox) -> PixelBox {
    let longer = (found.x1 - found.x0).max(found.y1 - found.y0);
    let margin = (longer as f32 * MARGIN).round() as usize; // a few pixels
    PixelBox {
        x0: found.x0.saturating_sub(margin),
        y0: found.y0.saturating_sub(margin),
        x1: (found.x1 + margin).min(SCENE_PX),
        y1: (found.y1 + margin).min(SCENE_PX),
    }
}

/// The `area` of a scene's `pixels` as JPEG.
fn encode(pixels: &[u8], area: PixelBox, quality: u8) -> Result<Vec<u8>, image::ImageError> {
    let mut cut = Vec::with_capacity(area.area() * 3);
    for row in pixels.chunks_exact(SCENE_PX * 3).take(area.y1).skip(area.y0) {
        cut.extend_from_slice(&row[area.x0 * 3..area.x1 * 3]);
    }
    let (width, height) = ((area.x1 - area.x0) as u32, (area.y1 - area.y0) as u32); // <= SCENE_PX
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality).write_image(
        &cut,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}
