//! `vlclip ground` on a small random model that transformers wrote.

use crate::support::{python, text, vlclip};
use serde_json::Value;
use std::path::Path;

/// A picture of waves, as PNG.
fn picture(path: &Path) {
    let png = image::RgbImage::from_fn(120, 80, |x, y| {
        image::Rgb([(x * 2) as u8, (y * 3) as u8, ((x * y / 9) % 256) as u8])
    });
    png.save(path).unwrap();
}

#[test]
fn boxes_are_listed_printed_as_json_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    python("grounding_model.py", &["--out", &at("model"), "--shape", "levels"]);
    picture(&dir.path().join("picture.png"));
    let ground = |more: &[&str]| {
        let (model, picture) = (at("model"), at("picture.png"));
        let mut args = vec!["ground", "--model", &model, "--phrase", "Red shoe", &picture];
        args.extend(more);
        vlclip(&args)
    };
    let out = at("boxes.png");
    let output = ground(&["--phrase", "mug", "--box-threshold", "0", "--json", "--out", &out]);
    assert!(output.status.success(), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["width"], &found["height"]), (&120.into(), &80.into()));
    let boxes = found["boxes"].as_array().unwrap();
    assert_eq!(boxes.len(), 9, "every query of the model: {found}");
    let scores: Vec<f64> = boxes.iter().map(|b| b["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{scores:?}");
    let drawn = image::open(&out).unwrap().into_rgb8();
    let plain = image::open(at("picture.png")).unwrap().into_rgb8();
    assert_eq!(drawn.dimensions(), plain.dimensions());
    assert_ne!(drawn, plain);

    // A threshold between the third and the fourth score leaves three lines.
    let middle = ((scores[2] + scores[3]) / 2.0).to_string();
    let output = ground(&["--phrase", "mug", "--box-threshold", &middle]);
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let best = lines.lines().next().unwrap();
    assert!(best.starts_with(&format!("{:.3}  ", scores[0])), "{best}");
    assert!(best.ends_with(boxes[0]["phrase"].as_str().unwrap()), "{best}");

    let output = ground(&["--box-threshold", "1", "--precision", "bf16", "--device", "cpu"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output));
    assert!(text(&output).contains("no box above 1: lower --box-threshold"), "{}", text(&output));
}

#[test]
fn what_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.png");
    picture(&path);
    let said = |args: &[&str]| {
        let output = vlclip(&[&["ground"], args].concat());
        assert!(!output.status.success());
        text(&output)
    };
    let (path, dir) = (path.to_str().unwrap(), dir.path().to_str().unwrap());
    let text = said(&["--model", "/nowhere", "--phrase", "mug", path]);
    assert!(text.contains("model directory `/nowhere` does not exist"), "{text}");
    let text = said(&["--model", dir, "--phrase", "mug", path]);
    assert!(
        text.contains("config.json`, which should hold the shape of a GroundingDINO"),
        "{text}"
    );
    let text = said(&["--model", dir, "--phrase", "mug", "/nowhere.png"]);
    assert!(text.contains("cannot read `/nowhere.png`"), "{text}");
    let text = said(&["--model", dir, "--phrase", "mug", path, "--box-threshold", "2"]);
    assert!(text.contains("expected a number from 0 to 1"), "{text}");
}
