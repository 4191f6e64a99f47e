//! Pictures equal to Pillow's and transformers', pixel by pixel.

use crate::damage::{damage, files};
use crate::support::{json, peer, python};
use configs::{Augment, Decode};
use data::{Colour, Filter, Picture, PictureFile, Preprocessor, Purpose, Rng};
use serde_json::Value;
use std::path::Path;

/// Bounds of the fast path against the exact one, of 255. Measured on these files: 0.93 and 65, the
/// latter at the hard edges of drawn shapes.
const MOST_MEAN: f64 = 1.0;
const MOST_PIXEL: u8 = 80;

fn read(dir: &Path, case: &Value, key: &str) -> Vec<u8> {
    std::fs::read(dir.join(case[key].as_str().unwrap())).unwrap()
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

fn worst(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn pictures_equal_pillows_and_transformers() {
    let dir = peer("pictures.py");
    let dir = dir.path();
    let cases = json(dir, "pictures.json");
    let list = |name: &str| cases[name].as_array().unwrap();

    assert!(list("resize").len() >= 50);
    for case in list("resize") {
        let picture = Picture::decode(&read(dir, case, "file")).unwrap();
        let filter = match number(case, "filter") {
            1 => Filter::Lanczos,
            2 => Filter::Bilinear,
            _ => Filter::Bicubic,
        };
        let out = picture.resize(number(case, "width"), number(case, "height"), filter);
        let worst = worst(&out.pixels, &read(dir, case, "expected"));
        assert_eq!(worst, 0, "{}x{} -> {case}", picture.width, picture.height);
    }

    for case in list("preprocess") {
        let config = dir.join(case["config"].as_str().unwrap());
        let preprocessor = Preprocessor::open(config).unwrap();
        let picture = Picture::decode(&read(dir, case, "file")).unwrap();
        let out = preprocessor.evaluate(&picture).unwrap();
        let worst = worst(&out, &read(dir, case, "expected"));
        assert_eq!(worst, 0, "{}x{}: {case}", picture.width, picture.height);
    }

    // transformers reads back what we write as what it wrote itself.
    let mut pairs = Vec::new();
    for (index, case) in list("preprocess").iter().take(5).enumerate() {
        let theirs = dir.join(case["config"].as_str().unwrap());
        let ours = dir.join(format!("ours{index}"));
        std::fs::create_dir_all(&ours).unwrap();
        let json = Preprocessor::open(&theirs).unwrap().to_json();
        std::fs::write(ours.join("preprocessor_config.json"), json).unwrap();
        pairs.extend([ours, theirs.parent().unwrap().to_path_buf()]);
    }
    let mut args = vec!["tests/peers/pictures.py", "--same"];
    args.extend(pairs.iter().map(|path| path.to_str().unwrap()));
    assert_eq!(python(&args), "same\n".repeat(5));

    check_decoding(dir, list("decode"));
    check_colours(dir, list("colour"));
    check_encoding(dir, list("encode"));
    check_fast_decoding(dir, list("fast"));
}

/// Decoded and evaluated pixels are Pillow's and transformers'.
fn check_decoding(dir: &Path, cases: &[Value]) {
    let decoder = data::jpeg_decoder();
    assert!(decoder.starts_with("libjpeg-turbo"), "run `make libjpeg`: {decoder}");
    assert!(cases.len() >= 300);
    let clip = Preprocessor::clip(64);
    let mut wrong = Vec::new();
    for case in cases {
        let file = &case["file"];
        let picture = match Picture::decode(&read(dir, case, "file")) {
            Ok(picture) if case.get("error").is_none() => picture,
            Err(_) if case.get("error").is_some() => continue,
            other => {
                wrong.push(format!("{file}: {:?}", other.err()));
                continue;
            }
        };
        let size = (number(case, "width"), number(case, "height"));
        if (picture.width, picture.height) != size {
            wrong.push(format!("{file}: {} x {}", picture.width, picture.height));
        } else if sha256(&picture.pixels) != case["sha256"] {
            wrong.push(format!("{file}: decoded pixels"));
        } else if clip.evaluate(&picture).unwrap() != read(dir, case, "evaluated") {
            wrong.push(format!("{file}: evaluated pixels"));
        }
        for area in boxes(size) {
            let bytes = read(dir, case, "file");
            let cut = PictureFile::open(&bytes).and_then(|file| file.cut(area, None));
            if cut != Ok(picture.crop(area.0, area.1, area.2, area.3)) {
                wrong.push(format!("{file}: {area:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), cases.len());
}

/// Boxes in a picture of this size that begin and end at many places of its blocks: left, top, width
/// and height.
fn boxes((width, height): (usize, usize)) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..12).map(move |n| {
        let (left, top) = (width * n / 17, height * (11 - n) / 13);
        let side = |most: usize, share: usize| (most * share / 11).max(1);
        (left, top, side(width - left, 11 - n), side(height - top, n))
    })
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Colours change as torchvision changes them, bit for bit.
fn check_colours(dir: &Path, cases: &[Value]) {
    assert!(cases.len() >= 60);
    for case in cases {
        let mut pixels = read(dir, case, "file");
        for change in case["changes"].as_array().unwrap() {
            let amount = change[1].as_f64().unwrap();
            let colour = match change[0].as_str().unwrap() {
                "brightness" => Colour::Brightness(amount),
                "contrast" => Colour::Contrast(amount),
                "saturation" => Colour::Saturation(amount),
                "hue" => Colour::Hue(amount),
                _ => Colour::Grey,
            };
            colour.apply(&mut pixels);
        }
        assert_eq!(worst(&pixels, &read(dir, case, "expected")), 0, "{}", case["changes"]);
    }
}

/// JPEG files are Pillow's, byte by byte: the peers bring the libjpeg-turbo of `make libjpeg`.
fn check_encoding(dir: &Path, cases: &[Value]) {
    assert!(cases.len() >= 70);
    let mut wrong = Vec::new();
    for case in cases {
        let whole = read(dir, case, "file");
        let stride = number(case, "whole_width") * 3;
        let first = number(case, "top") * stride + number(case, "left") * 3;
        let quality = u8::try_from(number(case, "quality")).unwrap();
        let size = (number(case, "width"), number(case, "height"));
        let file = data::encode_jpeg(&whole[first..], stride, size.0, size.1, quality).unwrap();
        if file != read(dir, case, "expected") {
            wrong.push(case.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), cases.len());
}

/// Scaled decoding changes a training picture of 224 px by no more than `data/README.md` says.
fn check_fast_decoding(dir: &Path, cases: &[Value]) {
    let clip = Preprocessor::clip(224);
    let (mut worst_mean, mut worst_pixel) = (0.0_f64, 0);
    for (index, case) in (0..).zip(cases) {
        let bytes = read(dir, case, "file");
        for (visit, scale) in (0..).zip([[0.9, 1.0], [0.9, 1.0], [0.2, 1.0], [0.08, 0.5]]) {
            let train = |decode: Decode| {
                let augment = Augment { decode, scale, flip: 0.5, ..Augment::default() };
                let mut rng = Rng::new(Purpose::Sample, &[index, visit]);
                let mut out = vec![0; 224 * 224 * 3];
                clip.train_into(&bytes, &augment, &mut rng, &mut out).unwrap();
                out
            };
            let (exact, fast) = (train(Decode::Exact), train(Decode::Fast));
            let sum: u64 = exact.iter().zip(&fast).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            worst_mean = worst_mean.max(sum as f64 / exact.len() as f64);
            worst_pixel = worst_pixel.max(worst(&exact, &fast));
        }
    }
    println!("fast decoding: mean difference at most {worst_mean:.3}, greatest {worst_pixel}");
    assert!(worst_mean <= MOST_MEAN && worst_pixel <= MOST_PIXEL, "{worst_mean} {worst_pixel}");
}

/// `cargo run --release -p data --example fuzz -- pictures 1000000` does the same for longer.
#[test]
fn damaged_pictures_end_in_errors_or_pixels() {
    let (seeds, clip) = (files(), Preprocessor::clip(16));
    let (mut decoded, mut slot) = (0, vec![0; 16 * 16 * 3]);
    for number in 0..5000 {
        let mut rng = Rng::new(Purpose::Sample, &[7, number]);
        let mut input = seeds[rng.below(seeds.len() as u64) as usize].clone();
        damage(&mut input, &seeds, &mut rng);
        let augment = Augment { scale: [0.1, 1.0], ..Augment::default() };
        match clip.train_into(&input, &augment, &mut rng, &mut slot) {
            Ok(_) => decoded += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    // Damage spares some and breaks most.
    assert!((100..4900).contains(&decoded), "{decoded}");
}
