//! Boxes drawn on the picture that they were found in.

use anyhow::{Context, Result};
use data::inspect::Lettering;
use grounding::{Detection, RgbPicture};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

/// Colours of the boxes in turns, best first.
const INKS: [Rgb<u8>; 6] = [
    Rgb([214, 39, 40]),
    Rgb([31, 119, 180]),
    Rgb([44, 160, 44]),
    Rgb([148, 103, 189]),
    Rgb([255, 127, 14]),
    Rgb([23, 190, 207]),
];
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// Height of a line of text over the picture's longer side, and its limits in px.
const TEXT: (f32, f32, f32) = (0.02, 12.0, 40.0);

/// A PNG of `picture` with `found` on it, each with its phrase and score; the best lies on top.
pub fn boxes(picture: &RgbPicture, found: &[Detection]) -> Result<Vec<u8>> {
    let (width, height) = (u32::try_from(picture.width)?, u32::try_from(picture.height)?);
    let mut image = RgbImage::from_raw(width, height, picture.pixels.clone())
        .context("the picture's pixels are not width x height")?;
    let (share, least, most) = TEXT;
    let text_px = (width.max(height) as f32 * share).clamp(least, most);
    let lettering = Lettering::new(text_px)?;
    let line = (text_px / 6.0).round().max(2.0) as u32;
    for (rank, found) in found.iter().enumerate().rev() {
        draw(&mut image, found, INKS[rank % INKS.len()], &lettering, line);
    }
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png).write_image(
        image.as_raw(),
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(png)
}

fn draw(image: &mut RgbImage, found: &Detection, ink: Rgb<u8>, lettering: &Lettering, line: u32) {
    let (width, height) = image.dimensions();
    // What reaches over the edge is drawn up to it.
    let inside = |at: f32, side: u32| at.round().clamp(0.0, side as f32) as u32;
    let [left, top, right, bottom] = found.xyxy;
    let (left, right) = (inside(left, width), inside(right, width));
    let (top, bottom) = (inside(top, height), inside(bottom, height));
    fill(image, left, top, right, bottom.min(top + line), ink);
    fill(image, left, top.max(bottom.saturating_sub(line)), right, bottom, ink);
    fill(image, left, top, right.min(left + line), bottom, ink);
    fill(image, left.max(right.saturating_sub(line)), top, right, bottom, ink);

    let label = format!("{} {:.2}", found.phrase, found.score);
    let room = width.saturating_sub(left + 4).max(1);
    let label = lettering.wrap(&label, room, 1).remove(0);
    let label_px = (lettering.width_px(&label) + 4, lettering.line_px());
    // Above the box where there is room, else inside.
    let y = if top >= label_px.1 { top - label_px.1 } else { top };
    fill(image, left, y, (left + label_px.0).min(width), (y + label_px.1).min(height), ink);
    lettering.draw(image, left + 2, y, &label, PAPER);
}

/// Paints the pixels from (left, top) to before (right, bottom).
fn fill(image: &mut RgbImage, left: u32, top: u32, right: u32, bottom: u32, ink: Rgb<u8>) {
    for y in top..bottom {
        for x in left..right {
            image.put_pixel(x, y, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_drawn_where_they_are_even_over_the_edge() {
        let picture = RgbPicture { width: 120, height: 80, pixels: vec![255; 120 * 80 * 3] };
        let found = |xyxy: [f32; 4]| Detection { xyxy, score: 0.5, phrase: "mug".into() };
        let png =
            boxes(&picture, &[found([30.0, 30.0, 70.0, 60.0]), found([-20.0, 50.0, 500.0, 900.0])])
                .unwrap();
        let image = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), (120, 80));
        let at = |x, y| *image.get_pixel(x, y);
        assert_eq!([at(30, 45), at(69, 45), at(50, 30), at(50, 59)], [INKS[0]; 4]);
        assert_eq!([at(0, 70), at(119, 70), at(20, 79)], [INKS[1]; 3]);
        assert_eq!([at(65, 45), at(10, 10)], [PAPER; 2]);
        // The label stands above the first box.
        assert!((30..60).any(|x| at(x, 24) == INKS[0]));
    }
}
