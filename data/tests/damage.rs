//! Small files of every format, and damage to them: for the tests and for `examples/fuzz.rs`.

use data::{Purpose, Rng};
use image::{ExtendedColorType, ImageEncoder};

/// Changes some bytes, or cuts, repeats or joins pieces.
pub fn damage(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    for _ in 0..=rng.below(6) {
        let at = rng.below(input.len() as u64 + 1) as usize;
        let length = rng.below(20) as usize;
        match rng.below(8) {
            0 => input.truncate(at.max(4)),
            1 => {
                let end = (at + length).min(input.len());
                input.drain(at..end);
            }
            2 => {
                let piece = input[at..(at + length).min(input.len())].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = &seeds[rng.below(seeds.len() as u64) as usize];
                let from = rng.below(other.len() as u64) as usize;
                let piece = &other[from..(from + length * 4).min(other.len())];
                input.splice(at..at, piece.iter().copied());
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = match rng.below(4) {
                        0 => 0xff,
                        1 => 0,
                        2 => *byte ^ (1 << rng.below(8)),
                        _ => rng.below(256) as u8,
                    };
                }
            }
        }
        if input.is_empty() {
            input.push(0xff);
        }
    }
}

/// A few tiny files of each format.
pub fn files() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(Purpose::Sample, &[99]);
    let mut files = Vec::new();
    for (width, height) in [(1, 1), (17, 9), (40, 33)] {
        let size = (width * height) as usize;
        for (colour, channels) in [
            (ExtendedColorType::L8, 1),
            (ExtendedColorType::Rgb8, 3),
            (ExtendedColorType::Rgba8, 4),
            (ExtendedColorType::Rgb16, 6),
        ] {
            let pixels: Vec<u8> = (0..size * channels).map(|_| rng.below(256) as u8).collect();
            let mut png = Vec::new();
            let encoder = image::codecs::png::PngEncoder::new(&mut png);
            encoder.write_image(&pixels, width, height, colour).unwrap();
            files.push(png);
            if channels <= 4 {
                let mut webp = Vec::new();
                let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
                encoder.write_image(&pixels, width, height, colour).unwrap();
                files.push(webp);
            }
            if channels <= 3 {
                let mut jpeg = Vec::new();
                let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 80);
                encoder.write_image(&pixels, width, height, colour).unwrap();
                files.push(jpeg);
            }
        }
    }
    files
}
