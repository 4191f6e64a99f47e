//! A contact sheet: rows as the model sees them, with their captions and products under them.

use super::lettering::Lettering;
use super::rows::{Part, Rows};
use super::{InspectOptions, side_by_side};
use crate::row::RawRow;
use crate::sample::{Unusable, decode_row, unusable_picture};
use crate::{DataError, Preprocessor};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, imageops};

/// Pixels around and between cells.
const GAP: u32 = 10;
/// Lines of a caption.
const CAPTION_LINES: usize = 3;
/// Pictures of smaller models are enlarged, pixel by pixel, to at least this side.
const LEAST_SIDE: u32 = 192;
/// Height of a line of text in pixels.
const TEXT_PX: f32 = 14.0;

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([20, 20, 20]);
const FAINT: Rgb<u8> = Rgb([110, 110, 110]);
const WRONG: Rgb<u8> = Rgb([190, 30, 30]);
const HOLE: Rgb<u8> = Rgb([235, 225, 225]);

/// How many rows are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Pictures side by side.
    pub columns: u32,
    /// Pictures below one another.
    pub rows: u32,
}

impl Default for Sheet {
    fn default() -> Self {
        Self { columns: 6, rows: 4 }
    }
}

/// A PNG with rows spread evenly over the shards: the picture after the evaluation transform of
/// `options.picture` (224 px and OpenAI's where there is none), the first caption, the product id.
/// Unusable rows are drawn as holes with the cause.
///
/// # Errors
/// As [`super::inspect`].
pub fn contact_sheet(
    paths: &[String],
    options: &InspectOptions,
    sheet: Sheet,
) -> Result<Vec<u8>, DataError> {
    let rows = Rows::open(paths, &options.columns, None)?;
    let model = options.picture.clone().unwrap_or_else(|| Preprocessor::clip(224));
    let mut chosen: Vec<RawRow> = Vec::new();
    let most = u64::from(sheet.columns) * u64::from(sheet.rows);
    for segment in rows.spread(most, 1) {
        rows.read(segment, Part::Roles, |row| chosen.push(row.row))?;
    }
    let wrong = |reason: String| DataError::ContactSheet { reason };
    let pictures = side_by_side(&chosen, |row| transformed(row, &model));
    let lettering = Lettering::new(TEXT_PX).map_err(|error| wrong(error.to_string()))?;

    let size = u32::try_from(model.size).map_err(|error| wrong(error.to_string()))?;
    let side = size * LEAST_SIDE.div_ceil(size);
    let text_px = lettering.line_px() * (CAPTION_LINES as u32 + 1) + 4;
    let (width, height) = (side + GAP, side + text_px + GAP);
    let columns = sheet.columns.min(chosen.len() as u32).max(1);
    let lines = (chosen.len() as u32).div_ceil(columns).max(1);
    let mut paper = RgbImage::from_pixel(columns * width + GAP, lines * height + GAP, PAPER);
    for (index, (row, picture)) in (0..).zip(chosen.iter().zip(&pictures)) {
        let (x, y) = (GAP + index % columns * width, GAP + index / columns * height);
        match picture {
            Ok(pixels) => draw_picture(&mut paper, x, y, side, size, pixels),
            Err((cause, detail)) => {
                let hole = RgbImage::from_pixel(side, side, HOLE);
                imageops::replace(&mut paper, &hole, x.into(), y.into());
                let text = format!("{cause} {detail}");
                let lines = lettering.wrap(&text, side - 2 * GAP, 6);
                for (line, text) in (0..).zip(lines) {
                    let y = y + GAP + line * lettering.line_px();
                    lettering.draw(&mut paper, x + GAP, y, &text, WRONG);
                }
            }
        }
        let caption = row.captions.first();
        let (caption, ink) = caption.as_deref().map_or(("no caption", WRONG), |text| (text, INK));
        let caption = lettering.wrap(caption, side, CAPTION_LINES);
        let product = row.id.product.as_deref().unwrap_or("no product id");
        let product = lettering.wrap(product, side, 1);
        let texts = caption.iter().map(|text| (text, ink));
        let texts = texts.chain(product.iter().map(|text| (text, FAINT)));
        for (line, (text, ink)) in (0..).zip(texts) {
            let y = y + side + 4 + line * lettering.line_px();
            lettering.draw(&mut paper, x, y, text, ink);
        }
    }
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder
        .write_image(paper.as_raw(), paper.width(), paper.height(), ExtendedColorType::Rgb8)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(png)
}

/// The row's picture as the model sees it: size x size x 3.
fn transformed(row: &RawRow, model: &Preprocessor) -> Result<Vec<u8>, Unusable> {
    model.evaluate(&decode_row(row)?).map_err(unusable_picture)
}

/// Puts a picture of `size` pixels on the paper, each pixel as a square.
fn draw_picture(paper: &mut RgbImage, x: u32, y: u32, side: u32, size: u32, pixels: &[u8]) {
    let times = side / size;
    for dy in 0..side {
        for dx in 0..side {
            let at = ((dy / times * size + dx / times) * 3) as usize;
            if let Some(&[r, g, b]) = pixels[at..].first_chunk() {
                paper.put_pixel(x + dx, y + dy, Rgb([r, g, b]));
            }
        }
    }
}
