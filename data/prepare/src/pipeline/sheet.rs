//! The contact sheet: some products as they went in and as they came out, for eyes.

use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use data::inspect::Lettering;
use data::{Filter, Picture};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, imageops};

use super::entry::RowMeta;
use super::journal::{JournalReader, Place};
use crate::split::stable_hash;
use crate::{BoxPx, PrepareError};

/// Products drawn, and how many side by side.
const CELLS: usize = 24;
const COLUMNS: u32 = 4;
/// Side of the square that a picture fits into, in pixels.
const SIDE: u32 = 190;
const GAP: u32 = 10;
const TEXT_PX: f32 = 13.0;
/// Lines of the raw and of the refined caption.
const LINES: usize = 3;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([20, 20, 20]);
const FAINT: Rgb<u8> = Rgb([110, 110, 110]);
const BOX: Rgb<u8> = Rgb([230, 30, 30]);

/// A number that is as good as random: the products with the lowest are drawn.
fn lot(product_id: &str) -> u64 {
    stable_hash(&format!("sheet\n{product_id}"))
}

/// Says of which products the whole picture is kept: those that may be drawn. Whatever the order in
/// which products come, those with the lowest lots of all are among them.
#[derive(Debug, Default)]
pub(super) struct Sampler(Mutex<BinaryHeap<u64>>);

impl Sampler {
    /// Starts with what was chosen before.
    pub fn seed(&self, chosen: &Chosen) {
        let mut lots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lots.extend(chosen.0.iter().map(|(lot, _)| lot));
    }

    /// Whether this product may be drawn.
    pub fn takes(&self, product_id: &str) -> bool {
        let lot = lot(product_id);
        let mut lots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lots.len() >= CELLS && lots.peek().is_some_and(|most| lot > *most) {
            return false;
        }
        lots.push(lot);
        if lots.len() > CELLS {
            lots.pop();
        }
        true
    }
}

/// The products with the lowest lots so far.
#[derive(Debug, Default)]
pub(super) struct Chosen(Vec<(u64, Place)>);

impl Chosen {
    pub fn add(&mut self, meta: &RowMeta, place: Place) {
        let lot = lot(&meta.product_id);
        let at = self.0.partition_point(|(other, _)| *other <= lot);
        if at < CELLS {
            self.0.insert(at, (lot, place));
            self.0.truncate(CELLS);
        }
    }
}

/// Draws the chosen products: picture with box, crop, raw and refined caption.
///
/// # Errors
/// The disk fails.
pub(super) fn write(chosen: &Chosen, journal: &Path, path: &Path) -> Result<(), PrepareError> {
    let wrong = |reason: String| PrepareError::Sheet { path: path.to_owned(), reason };
    let reader = JournalReader::open(journal)?;
    let lettering = Lettering::new(TEXT_PX).map_err(|error| wrong(error.to_string()))?;
    let text_px = lettering.line_px() * (2 * LINES as u32 + 1) + 8;
    let (width, height) = (2 * SIDE + 2 * GAP, SIDE + text_px + GAP);
    let cells = chosen.0.len() as u32; // at most CELLS
    let columns = cells.clamp(1, COLUMNS);
    let mut paper = RgbImage::from_pixel(
        columns * width + GAP,
        cells.div_ceil(columns).max(1) * height + GAP,
        PAPER,
    );
    for (index, (_, place)) in (0..).zip(&chosen.0) {
        let (meta, crop, raw) = reader.row(*place)?;
        let (x, y) = (GAP + index % columns * width, GAP + index / columns * height);
        if let Ok(picture) = Picture::decode(if raw.is_empty() { &crop } else { &raw }) {
            draw(&mut paper, &picture, x, y, meta.box_px);
        }
        if let Ok(picture) = Picture::decode(&crop) {
            draw(&mut paper, &picture, x + SIDE + GAP / 2, y, None);
        }
        let score = meta.box_score.map_or(String::new(), |score| format!(" {score:.2}"));
        let about = format!(
            "{} | {} | {}{score} | {}",
            meta.product_id,
            meta.product_type,
            meta.grounding.name(),
            meta.caption_stop
        );
        let wide = 2 * SIDE + GAP / 2;
        let texts = [
            (&about, 1, FAINT),
            (&meta.caption_raw, LINES, FAINT),
            (&meta.caption_refined, LINES, INK),
        ];
        let mut line = 0;
        for (text, most, ink) in texts {
            for text in lettering.wrap(text, wide, most) {
                lettering.draw(
                    &mut paper,
                    x,
                    y + SIDE + 4 + line * lettering.line_px(),
                    &text,
                    ink,
                );
                line += 1;
            }
        }
    }
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(paper.as_raw(), paper.width(), paper.height(), ExtendedColorType::Rgb8)
        .map_err(|error| wrong(error.to_string()))?;
    std::fs::write(path, png).map_err(PrepareError::io("write", path))
}

/// Puts a picture into the square at (x, y), in proportion, with a box on it.
fn draw(paper: &mut RgbImage, picture: &Picture, x: u32, y: u32, box_px: Option<BoxPx>) {
    let longest = picture.width.max(picture.height) as f64;
    let scale = (f64::from(SIDE) / longest).min(1.0);
    let size = |side: usize| ((side as f64 * scale).round() as usize).max(1);
    let small = picture.resize(size(picture.width), size(picture.height), Filter::Bicubic);
    let (width, height) = (small.width as u32, small.height as u32); // at most SIDE
    let Some(mut image) = RgbImage::from_raw(width, height, small.pixels) else { return };
    if let Some(b) = box_px {
        let at = |edge: f32, most: u32| ((f64::from(edge) * scale).round() as u32).min(most - 1);
        let (x0, x1, y0, y1) =
            (at(b.x0, width), at(b.x1, width), at(b.y0, height), at(b.y1, height));
        for x in x0..=x1 {
            image.put_pixel(x, y0, BOX);
            image.put_pixel(x, y1, BOX);
        }
        for y in y0..=y1 {
            image.put_pixel(x0, y, BOX);
            image.put_pixel(x1, y, BOX);
        }
    }
    imageops::replace(paper, &image, x.into(), y.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_lots_are_sampled_in_whatever_order() {
        let ids: Vec<String> = (0..500).map(|i| format!("p{i}")).collect();
        let mut lowest = ids.clone();
        lowest.sort_by_key(|id| lot(id));
        for reversed in [false, true] {
            let sampler = Sampler::default();
            let order: Vec<&String> =
                if reversed { ids.iter().rev().collect() } else { ids.iter().collect() };
            let taken: Vec<&String> = order.into_iter().filter(|id| sampler.takes(id)).collect();
            assert!(lowest[..CELLS].iter().all(|id| taken.contains(&id)));
            assert!(taken.len() < 200, "{}", taken.len());
        }
    }
}
