//! Text on pictures: Hack, which has Latin, Greek and Cyrillic letters, in lines of a given width.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// What stands for a character that the font lacks.
const LACKING: char = '\u{fffd}';
/// What ends a text that does not fit.
const MORE: char = '\u{2026}';

/// A font at one size.
pub struct Lettering {
    font: FontRef<'static>,
    scale: PxScale,
}

impl Lettering {
    /// Lines of `height_px` pixels.
    ///
    /// # Errors
    /// When the font that comes with the program is damaged.
    pub fn new(height_px: f32) -> Result<Self, ab_glyph::InvalidFont> {
        let font = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR)?;
        Ok(Self { font, scale: PxScale::from(height_px) })
    }

    /// The distance from one line to the next.
    pub fn line_px(&self) -> u32 {
        self.scale.y.ceil() as u32 + 1
    }

    /// The width of a line.
    pub fn width_px(&self, text: &str) -> u32 {
        let font = self.font.as_scaled(self.scale);
        text.chars().map(|c| font.h_advance(self.font.glyph_id(c))).sum::<f32>().ceil() as u32
    }

    /// The text as at most `most` lines of up to `width_px` pixels, broken between words where
    /// possible; what does not fit is left out, with an ellipsis in its place. White space and
    /// control characters become spaces, and what the font lacks a replacement character.
    pub fn wrap(&self, text: &str, width_px: u32, most: usize) -> Vec<String> {
        // Every character is as wide as any other in this font.
        let wide = self.font.as_scaled(self.scale).h_advance(self.font.glyph_id('m'));
        let fit = (width_px as f32 / wide).floor().max(1.0) as usize;
        let text: String = text.chars().map(|c| self.shown(c)).collect();
        let mut lines = vec![Vec::new()];
        for word in text.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            loop {
                let line = lines.last_mut().map_or(0, |line: &mut Vec<char>| {
                    if !line.is_empty() && line.len() + 1 + word.len() <= fit {
                        line.push(' ');
                    }
                    line.len()
                });
                let Some(last) = lines.last_mut() else { break };
                if line == 0 || last.ends_with(&[' ']) {
                    let rest = word.split_off(word.len().min(fit - line));
                    last.append(&mut word);
                    word = rest;
                }
                if word.is_empty() {
                    break;
                }
                lines.push(Vec::new());
            }
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                last.truncate(fit - 1);
                last.push(MORE);
            }
        }
        lines.into_iter().map(String::from_iter).collect()
    }

    fn shown(&self, c: char) -> char {
        match c {
            c if c.is_whitespace() || c.is_control() => ' ',
            c if self.font.glyph_id(c) == GlyphId(0) => LACKING,
            c => c,
        }
    }

    /// Draws one line with its upper left corner at (x, y); what lies outside is cut off.
    pub fn draw(&self, image: &mut RgbImage, x: u32, y: u32, text: &str, ink: Rgb<u8>) {
        let font = self.font.as_scaled(self.scale);
        let mut at = x as f32;
        for c in text.chars() {
            let id = self.font.glyph_id(c);
            let glyph = id.with_scale_and_position(self.scale, point(at, y as f32 + font.ascent()));
            at += font.h_advance(id);
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                let (x, y) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
                let Some(pixel) = image.get_pixel_mut_checked(x, y) else { return };
                for (channel, ink) in pixel.0.iter_mut().zip(ink.0) {
                    let (under, over) = (f32::from(*channel), f32::from(ink));
                    *channel = (under + (over - under) * coverage.clamp(0.0, 1.0)).round() as u8;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words_and_ends_with_an_ellipsis() {
        let lettering = Lettering::new(12.0).unwrap();
        let wide = |chars: f32| {
            let font = lettering.font.as_scaled(lettering.scale);
            (font.h_advance(font.glyph_id('m')) * chars + 1.0) as u32
        };
        let wrap = |text, chars, most| lettering.wrap(text, wide(chars), most);
        assert_eq!(wrap("a red mug\nof clay", 6.0, 3), ["a red", "mug of", "clay"]);
        assert_eq!(wrap("a red mug of clay", 6.0, 2), ["a red", "mug o\u{2026}"]);
        assert_eq!(wrap("unbreakable", 4.0, 3), ["unbr", "eaka", "ble"]);
        assert_eq!(
            wrap("\u{e9}t\u{e9} \u{6f22}\u{5b57}", 20.0, 3),
            ["\u{e9}t\u{e9} \u{fffd}\u{fffd}"]
        );
        assert_eq!(wrap("", 4.0, 3), [""]);
    }

    #[test]
    fn letters_leave_ink_where_they_stand_and_nowhere_else() {
        let lettering = Lettering::new(16.0).unwrap();
        let mut image = RgbImage::from_pixel(60, 20, Rgb([255; 3]));
        lettering.draw(&mut image, 10, 2, "HI", Rgb([0; 3]));
        let dark = image.enumerate_pixels().filter(|(.., p)| p.0[0] < 128);
        let columns: Vec<u32> = dark.map(|(x, ..)| x).collect();
        assert!(columns.len() > 20, "{}", columns.len());
        assert!(columns.iter().all(|x| (10..30).contains(x)), "{columns:?}");
        // Beyond the edge nothing is drawn, and nothing breaks.
        lettering.draw(&mut image, 55, 15, "WWWW", Rgb([0; 3]));
    }
}
