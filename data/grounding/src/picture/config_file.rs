//! How pictures become pixels: `preprocessor_config.json`, or `processor_config.json`, which
//! transformers 5 writes instead.

use super::resize::Filter;
use crate::GroundingError;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How pictures become pixels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preprocessor {
    size: Size,
    pub(super) filter: Filter,
    /// What pixels are multiplied with.
    pub(super) rescale: Option<f64>,
    /// Mean and standard deviation of each colour.
    pub(super) normalise: Option<([f32; 3], [f32; 3])>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    /// As it is.
    Own,
    /// The shorter side, unless the longer one would exceed its limit; aspect kept.
    Shortest { shortest: usize, longest: usize },
    /// Whatever the aspect.
    Exact { height: usize, width: usize },
}

/// The file's keys, with the defaults of `GroundingDinoImageProcessor` in transformers 5.23.
#[derive(Deserialize)]
#[serde(default)]
struct File {
    image_processor_type: Option<String>,
    do_resize: bool,
    size: Option<Value>,
    max_size: Option<usize>,
    resample: Option<i64>,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    pad_size: Option<Value>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            image_processor_type: None,
            do_resize: true,
            size: None,
            max_size: None,
            resample: Some(2),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.485, 0.456, 0.406],
            image_std: [0.229, 0.224, 0.225],
            pad_size: None,
        }
    }
}

const NAMES: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];
const HOLDS: &str = "how pictures become pixels (an image processor of GroundingDINO)";

impl Preprocessor {
    /// Reads the file of a model directory.
    ///
    /// # Errors
    /// When it is missing, of another model, or asks for what this program does not do.
    pub fn open(dir: &Path) -> Result<Self, GroundingError> {
        let [older, newer] = NAMES.map(|name| dir.join(name));
        let path = if older.exists() || !newer.exists() { older } else { newer };
        let text = std::fs::read_to_string(&path).map_err(|source| GroundingError::Read {
            path: path.clone(),
            holds: HOLDS,
            source,
        })?;
        let parse = |source| GroundingError::Parse { path: path.clone(), source };
        let mut json: Value = serde_json::from_str(&text).map_err(parse)?;
        if path.ends_with(NAMES[1]) {
            json = json["image_processor"].take();
        }
        let file = File::deserialize(json).map_err(parse)?;
        Self::of(file, &path)
    }

    fn of(file: File, path: &Path) -> Result<Self, GroundingError> {
        let value = |key: &str, problem: String| GroundingError::Value {
            path: PathBuf::from(path),
            key: key.into(),
            problem,
        };
        const TYPE: &str = "GroundingDinoImageProcessor";
        match &file.image_processor_type {
            Some(found) if !found.starts_with(TYPE) => {
                let problem = format!("expected `{TYPE}`, found `{found}`");
                return Err(value("image_processor_type", problem));
            }
            _ => {}
        }
        let size = match (file.do_resize, &file.size) {
            (false, _) => Size::Own,
            (true, None) => Size::Shortest { shortest: 800, longest: 1333 },
            (true, Some(found)) => size(found, file.max_size).ok_or_else(|| {
                let expected = "`shortest_edge` and `longest_edge`, or `height` and `width`, in px";
                value("size", format!("expected {expected}, found {found}"))
            })?,
        };
        let filter = match file.resample {
            None | Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(found) => {
                let problem = format!("expected 2 (bilinear) or 3 (bicubic), found {found}");
                return Err(value("resample", problem));
            }
        };
        if let Some(found) = &file.pad_size {
            let problem =
                format!("expected null (pictures filled up to their batch), found {found}");
            return Err(value("pad_size", problem));
        }
        if file.do_rescale && !(file.rescale_factor.is_finite() && file.rescale_factor > 0.0) {
            let problem = format!("expected a number above 0, found {}", file.rescale_factor);
            return Err(value("rescale_factor", problem));
        }
        if file.do_normalize && file.image_std.contains(&0.0) {
            let problem = format!("expected numbers above 0, found {:?}", file.image_std);
            return Err(value("image_std", problem));
        }
        Ok(Self {
            size,
            filter,
            rescale: file.do_rescale.then_some(file.rescale_factor),
            normalise: file.do_normalize.then_some((file.image_mean, file.image_std)),
        })
    }

    /// Height and width of a picture after resizing.
    pub fn resized_size(&self, height: usize, width: usize) -> (usize, usize) {
        match self.size {
            Size::Own => (height, width),
            Size::Exact { height, width } => (height, width),
            Size::Shortest { shortest, longest } => limited(height, width, shortest, longest),
        }
    }
}

fn size(json: &Value, max_size: Option<usize>) -> Option<Size> {
    let px = |key: &str| {
        json.get(key)
            .and_then(Value::as_u64)
            .and_then(|px| usize::try_from(px).ok())
            .filter(|&px| px > 0)
    };
    // The first files have one number, and the limit beside it.
    if let Some(shortest) = json.as_u64() {
        let shortest = usize::try_from(shortest).ok().filter(|&px| px > 0)?;
        return Some(Size::Shortest { shortest, longest: max_size.unwrap_or(1333) });
    }
    match (px("shortest_edge"), px("longest_edge"), px("height"), px("width")) {
        (Some(shortest), Some(longest), ..) => Some(Size::Shortest { shortest, longest }),
        (None, None, Some(height), Some(width)) => Some(Size::Exact { height, width }),
        _ => None,
    }
}

/// The shorter side becomes `shortest`, or less where the longer one would exceed `longest`. Rounded
/// as transformers rounds: half to even where the limit is met, down otherwise.
fn limited(height: usize, width: usize, shortest: usize, longest: usize) -> (usize, usize) {
    let (short, long) = (height.min(width) as f64, height.max(width) as f64);
    let over = long / short * shortest as f64 > longest as f64;
    let exact = if over { longest as f64 * short / long } else { shortest as f64 };
    let side = exact.round_ties_even() as usize;
    if (height <= width && height == side) || (width <= height && width == side) {
        return (height, width);
    }
    let (height_f, width_f) = (height as f64, width as f64);
    if width < height {
        ((exact * height_f / width_f) as usize, side)
    } else {
        (side, (exact * width_f / height_f) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(json: &str) -> Result<Preprocessor, GroundingError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAMES[0]), json).unwrap();
        Preprocessor::open(dir.path())
    }

    #[test]
    fn the_shorter_side_is_800_unless_the_longer_would_exceed_1333() {
        let picture = open("{}").unwrap();
        assert_eq!(picture.resized_size(480, 640), (800, 1066));
        assert_eq!(picture.resized_size(640, 480), (1066, 800));
        assert_eq!(picture.resized_size(800, 900), (800, 900));
        assert_eq!(picture.resized_size(100, 1000), (133, 1333));
        assert_eq!(picture.resized_size(1000, 100), (1333, 133));
        assert_eq!(picture.resized_size(500, 500), (800, 800));
        assert_eq!(picture.bucket(640, 480), picture.bucket(1280, 960));
        assert_ne!(picture.bucket(640, 480), picture.bucket(480, 640));
    }

    #[test]
    fn older_and_newer_ways_to_state_a_size() {
        assert_eq!(
            open(r#"{"size": 80, "max_size": 100}"#).unwrap().resized_size(50, 100),
            (50, 100)
        );
        let exact = open(r#"{"size": {"height": 30, "width": 40}}"#).unwrap();
        assert_eq!(exact.resized_size(5, 5), (30, 40));
        assert_eq!(open(r#"{"do_resize": false}"#).unwrap().resized_size(5, 7), (5, 7));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let message = |json: &str| open(json).unwrap_err().to_string();
        let text = message(r#"{"image_processor_type": "CLIPImageProcessor"}"#);
        assert!(text.contains("found `CLIPImageProcessor`"), "{text}");
        let text = message(r#"{"resample": 1}"#);
        assert!(
            text.ends_with("`resample`: expected 2 (bilinear) or 3 (bicubic), found 1"),
            "{text}"
        );
        let text = message(r#"{"size": {"max_height": 3}}"#);
        assert!(text.contains("`size`: expected `shortest_edge` and"), "{text}");
        let text = message(r#"{"image_std": [1, 0, 1]}"#);
        assert!(text.contains("`image_std`"), "{text}");
        let empty = tempfile::tempdir().unwrap();
        let text = Preprocessor::open(empty.path()).unwrap_err().to_string();
        assert!(
            text.contains("preprocessor_config.json`, which should hold how pictures"),
            "{text}"
        );
    }
}
