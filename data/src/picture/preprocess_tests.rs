//! The config file read and written, and the evaluation transform's geometry.

use super::*;

fn message(json: &str) -> String {
    Preprocessor::from_json(json).unwrap_err().to_string()
}

#[test]
fn openai_clips_file() {
    let json = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true,
        "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}"#;
    assert_eq!(Preprocessor::from_json(json).unwrap(), Preprocessor::clip(224));
}

#[test]
fn open_clips_file() {
    let json = r#"{"model_cfg": {"embed_dim": 512}, "preprocess_cfg": {"size": [224, 224],
        "mean": null, "interpolation": "random", "resize_mode": "longest", "fill_color": 9}}"#;
    let expected = Preprocessor {
        resize: Resize::Longest(224),
        crop: Crop::Even { fill: 9 },
        ..Preprocessor::clip(224)
    };
    assert_eq!(Preprocessor::from_json(json).unwrap(), expected);
    let squash = r#"{"preprocess_cfg": {"size": 32, "resize_mode": "squash"}}"#;
    let expected = Resize::Square(32);
    assert_eq!(Preprocessor::from_json(squash).unwrap().resize, expected);
    let none = Preprocessor::from_json(r#"{"preprocess_cfg": {}}"#).unwrap();
    let expected = Preprocessor { crop: Crop::Even { fill: 0 }, ..Preprocessor::clip(224) };
    assert_eq!(none, expected);
}

#[test]
fn what_is_written_reads_back() {
    let square = Preprocessor {
        size: 32,
        resize: Resize::Square(32),
        crop: Crop::Off,
        resample: Filter::Bilinear,
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    let clip = Preprocessor::clip(336);
    let others = [
        Preprocessor { resize: Resize::Within(336), ..clip.clone() },
        Preprocessor {
            resize: Resize::ShortestUpTo { shortest: 336, longest: 500 },
            ..clip.clone()
        },
        Preprocessor {
            resize: Resize::Longest(336),
            crop: Crop::Even { fill: 127 },
            ..clip.clone()
        },
        Preprocessor { crop: Crop::Even { fill: 0 }, ..clip.clone() },
    ];
    for preprocessor in [clip, square].into_iter().chain(others) {
        let json = preprocessor.to_json();
        assert_eq!(Preprocessor::from_json(&json).unwrap(), preprocessor);
    }
    // Short decimals, not the 0.4578275024890899 that the nearest f64 would print as.
    assert!(Preprocessor::clip(224).to_json().contains("0.4578275,"));
}

#[test]
fn messages() {
    assert_eq!(
        message(r#"{"resample": 0}"#),
        "preprocessor config: `resample`: expected 1 (Lanczos), 2 (bilinear) or 3 (bicubic), found 0"
    );
    assert_eq!(
        message(r#"{"crop_size": {"height": 224, "width": 336}}"#),
        "preprocessor config: `crop_size`: expected a positive number or equal `height` and \
         `width`, found {\"height\":224,\"width\":336}"
    );
    assert_eq!(
        message(r#"{"rescale_factor": 0.5}"#),
        "preprocessor config: `rescale_factor`: expected 1/255, found 0.5"
    );
    assert_eq!(
        message(r#"{"image_mean": [1, 2]}"#),
        "preprocessor config: `image_mean`: expected three numbers, found [1,2]"
    );
    assert_eq!(
        message(r#"{"do_resize": "yes"}"#),
        "preprocessor config: `do_resize`: expected true or false, found \"yes\""
    );
    assert!(message(r#"{"do_center_crop": false}"#).contains("a square size where"));
    assert_eq!(
        message(r#"{"do_pad": true, "pad_size": {"height": 300, "width": 300}}"#),
        "preprocessor config: `pad_size`: expected 224, as the crop, found \
         {\"height\":300,\"width\":300}"
    );
    assert!(Preprocessor::from_json(r#"{"do_pad": true}"#).is_ok());
    assert_eq!(
        message(r#"{"size": {"max_height": 300, "max_width": 200}}"#),
        "preprocessor config: `size`: expected equal max_height and max_width, found \
         {\"max_height\":300,\"max_width\":200}"
    );
    assert_eq!(
        message(r#"{"preprocess_cfg": {"resize_mode": "crop"}}"#),
        "preprocessor config: `resize_mode`: expected shortest, longest or squash, found \"crop\""
    );
    assert!(message(r#"{"preprocess_cfg": {"fill_color": 256}}"#).contains("from 0 to 255"));
    assert!(message("[1]").starts_with("preprocessor config: `(file)`: expected a JSON object"));
    assert!(message(r#"{"size": 0}"#).contains("found 0"));
    let missing = Preprocessor::open("no/preprocessor_config.json").unwrap_err().to_string();
    assert!(missing.starts_with("`no/preprocessor_config.json`: "), "{missing}");
}

/// A picture whose red is the column and whose green is the row.
fn ramp(width: usize, height: usize) -> Picture {
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7]));
    Picture { width, height, pixels: pixels.collect() }
}

#[test]
fn the_crop_is_central() {
    let crop = Preprocessor { resize: Resize::Off, ..Preprocessor::clip(4) };
    let out = crop.evaluate(&ramp(9, 6)).unwrap();
    assert_eq!(out.len(), 4 * 4 * 3);
    // left = (9 - 4) / 2 = 2, top = (6 - 4) / 2 = 1.
    assert_eq!(out[..3], [2, 1, 7]);
    assert_eq!(out[45..], [5, 4, 7]);
}

#[test]
fn a_picture_smaller_than_the_crop_is_padded_with_black() {
    let crop = Preprocessor { resize: Resize::Off, ..Preprocessor::clip(4) };
    let out = crop.evaluate(&ramp(3, 4)).unwrap();
    // One column is missing; it goes in front: ceil(1 / 2) = 1, and left = floor(-1 / 2) + 1 = 0.
    assert_eq!(out[..6], [0, 0, 0, 0, 0, 7]);
}

#[test]
fn without_resize_and_crop_the_size_must_fit() {
    let none = Preprocessor { resize: Resize::Off, crop: Crop::Off, ..Preprocessor::clip(4) };
    let message = none.evaluate(&ramp(5, 4)).unwrap_err().to_string();
    assert!(message.ends_with("is 5 x 4, and the model needs 4 x 4"), "{message}");
    assert_eq!(none.evaluate(&ramp(4, 4)).unwrap(), ramp(4, 4).pixels);
}

#[test]
fn a_thread_of_a_picture_is_refused_before_it_is_blown_up() {
    let clip = Preprocessor::clip(224);
    let message = clip.evaluate(&ramp(1, 65_500)).unwrap_err().to_string();
    assert_eq!(
        message,
        "1 x 65500 pixels would become 224 x 14672000; 1 to 100000000 pixels are accepted"
    );
    assert!(clip.evaluate(&ramp(65_500, 1)).is_err());
    assert!(clip.evaluate(&ramp(1, 30)).is_ok());
}
