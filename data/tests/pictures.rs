//! Pictures equal to Pillow's and transformers', pixel by pixel.

use crate::support::{json, peer, python};
use data::{Filter, Picture, Preprocessor};
use serde_json::Value;
use std::path::Path;

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

    let mut wrong = Vec::new();
    for case in list("decode") {
        let picture = Picture::decode(&read(dir, case, "file")).unwrap();
        assert_eq!(
            (picture.width, picture.height),
            (number(case, "width"), number(case, "height")),
            "{case}"
        );
        let worst = worst(&picture.pixels, &read(dir, case, "expected"));
        if usize::from(worst) > number(case, "tolerance") {
            wrong.push(format!("{}: {worst}", case["file"]));
        }
    }
    assert!(wrong.is_empty(), "differ by more than allowed: {wrong:?}");
}
