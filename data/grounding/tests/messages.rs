//! What is said of directories and arguments that cannot be used.
#![allow(clippy::unwrap_used)]

mod support;

use grounding::{Detector, GroundingError, RgbPicture};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::python;
use tch::{Device, Kind};

/// A small random model, written once for all tests.
fn model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grounding-levels");
        python("grounding_model.py", &["--out", dir.to_str().unwrap(), "--shape", "levels"]);
        dir
    })
}

/// A copy of the model that a test may damage.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(model()).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn load(dir: &Path) -> Result<Detector, GroundingError> {
    Detector::load(dir, Device::Cpu, Kind::Float)
}

fn message(dir: &Path) -> String {
    load(dir).err().unwrap().to_string()
}

/// What is said of a config.json in which `key` (a JSON pointer) is `value`.
fn message_of_config(key: &str, value: Value) -> String {
    let dir = copy();
    let path = dir.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    *json.pointer_mut(key).unwrap() = value;
    std::fs::write(&path, json.to_string()).unwrap();
    message(dir.path())
}

#[test]
fn a_missing_file_says_what_it_should_hold() {
    let dir = copy();
    for (name, holds) in [
        ("preprocessor_config.json", "how pictures become pixels"),
        ("tokenizer.json", "BERT's tokenizer"),
        ("config.json", "the shape of a GroundingDINO"),
    ] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
        let _ = std::fs::remove_file(dir.path().join("processor_config.json"));
        let text = message(dir.path());
        assert!(text.contains(name) && text.contains(holds), "{text}");
    }
    let dir = copy();
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    assert!(message(dir.path()).contains("holds neither `model.safetensors` nor"));
    let text = message(Path::new("/nowhere"));
    assert!(text.contains("model directory `/nowhere` does not exist"), "{text}");
}

#[test]
fn transformers_5_keeps_the_image_processor_in_another_file() {
    let dir = copy();
    std::fs::remove_file(dir.path().join("preprocessor_config.json")).unwrap();
    load(dir.path()).unwrap();
}

#[test]
fn a_directory_of_another_model_is_named() {
    let text = message_of_config("/model_type", json!("clip"));
    assert!(text.ends_with("`model_type`: expected `grounding-dino`, found `clip`"), "{text}");
    let text = message_of_config("/backbone_config/model_type", json!("resnet"));
    assert!(text.contains("`backbone_config.model_type`: expected `swin`"), "{text}");
    let text = message_of_config("/d_model", json!("wide"));
    assert!(text.contains("config.json`: invalid type: string \"wide\""), "{text}");
    let text = message_of_config("/two_stage", json!(false));
    assert!(text.contains("`two_stage`: expected true"), "{text}");
    let text = message_of_config("/d_model", json!(48));
    assert!(text.contains("`d_model`: d_model is 48, which 32"), "{text}");
    let text = message_of_config("/backbone_config/out_features/0", json!("stage9"));
    assert!(text.contains("`backbone_config.out_features`: expected stages"), "{text}");
}

#[test]
fn weights_of_another_shape_are_listed_by_name() {
    let text = message_of_config("/encoder_layers", json!(3));
    assert!(text.contains("missing tensor `model.encoder.layers.2."), "{text}");
    assert!(text.contains(" more\ncheck that both belong to one model"), "{text}");
    let text = message_of_config("/num_queries", json!(10));
    let expected = "tensor `model.query_position_embeddings.weight`: expected shape [10, 32], \
                    found [9, 32]";
    assert!(text.contains(expected), "{text}");
    let text = message_of_config("/decoder_layers", json!(2));
    assert!(text.contains("extra tensor `model.decoder.layers.2."), "{text}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let dir = copy();
    let path = dir.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"?\": 1029", "\"?\": 1030")).unwrap();
    let text = message(dir.path());
    assert!(text.contains("expected id 1029 for `?`"), "{text}");
    std::fs::write(&path, "{}").unwrap();
    assert!(message(dir.path()).contains("not a tokenizer.json"));
}

#[test]
fn pictures_and_phrases_that_cannot_be_used() {
    let detector = load(model()).unwrap();
    let picture = |width, height, bytes| RgbPicture { width, height, pixels: vec![7; bytes] };
    let good = picture(40, 30, 3600);
    let message = |picture: &RgbPicture, phrases: &[&str]| {
        let found = detector.detect(&[good.clone(), picture.clone()], phrases, 0.3, 0.3);
        found.unwrap_err().to_string()
    };
    let text = message(&good, &["mug"]);
    assert!(text.contains("found 2 pictures and 1 phrases"), "{text}");
    let text = message(&good, &["mug", " . "]);
    assert!(text.starts_with("phrase 1 (` . `): expected what to look for"), "{text}");
    let text = message(&good, &["mug", &"mug ".repeat(400)]);
    assert!(text.contains("403 tokens; the model reads at most 256"), "{text}");
    let text = message(&picture(40, 30, 3599), &["mug", "mug"]);
    assert!(text.starts_with("picture 1: expected 3 bytes for each of 40 x 30"), "{text}");
    let text = message(&picture(0, 30, 0), &["mug", "mug"]);
    assert!(text.starts_with("picture 1: expected at least one pixel"), "{text}");
    let text = message(&picture(1000, 1, 3000), &["mug", "mug"]);
    assert!(text.contains("too narrow to be resized"), "{text}");
    assert!(detector.detect(&[], &[], 0.3, 0.3).unwrap().is_empty());
}

#[test]
fn in_bfloat16_the_boxes_stay_sane() {
    let detector = Detector::load(model(), Device::Cpu, Kind::BFloat16).unwrap();
    let pixels: Vec<u8> = (0..90 * 70 * 3).map(|i: u32| (i * i / 7 % 251) as u8).collect();
    let pictures = [
        RgbPicture { width: 90, height: 70, pixels: pixels.clone() },
        RgbPicture { width: 70, height: 90, pixels },
    ];
    let inputs = detector.inputs(&pictures, &["mug", "red shoe"]).unwrap();
    let outputs = detector.run(&inputs).unwrap();
    assert_eq!((outputs.logits.kind(), outputs.boxes.kind()), (Kind::Float, Kind::Float));
    assert_eq!(outputs.logits.size(), [2, 9, 256]);
    let extremes = |x: tch::Tensor| (x.min().double_value(&[]), x.max().double_value(&[]));
    let (least, most) = extremes(outputs.boxes);
    assert!(least >= 0.0 && most <= 1.0, "{least} {most}");
    let found = detector.detect(&pictures, &["mug", "red shoe"], 0.0, 0.9).unwrap();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9]);
    let sorted = found[0].windows(2).all(|pair| pair[0].score >= pair[1].score);
    assert!(sorted, "{found:?}");
}
