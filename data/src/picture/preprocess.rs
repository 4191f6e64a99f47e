//! Hugging Face's `preprocessor_config.json`, and the evaluation transform it describes, as
//! `CLIPImageProcessorPil` carries it out.

use super::{Filter, MAX_PIXELS, Picture, PictureError};
use crate::DataError;
use serde_json::{Map, Value, json};
use std::path::Path;

/// How evaluation brings a picture to a first size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter side to this many pixels, the longer to int(long * this / short).
    Shortest(usize),
    /// To a square of this side, whatever the aspect ratio.
    Square(usize),
    /// Not at all.
    Off,
}

/// How pictures become the model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    /// Side of the model's input in pixels.
    pub size: usize,
    /// Per channel, subtracted after scaling to [0, 1]. Applied on the device, not here.
    pub mean: [f32; 3],
    /// Per channel, divided by. Applied on the device, not here.
    pub std: [f32; 3],
    /// The first step of evaluation.
    pub resize: Resize,
    /// Whether a central crop of `size` x `size` follows.
    pub center_crop: bool,
    /// The filter of resizing.
    pub resample: Filter,
}

/// OpenAI's means, which nearly every CLIP uses.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// OpenAI's deviations.
#[expect(clippy::excessive_precision, reason = "the decimals as OpenAI published them")]
const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

impl Preprocessor {
    /// OpenAI CLIP's: the shorter side to `size`, central crop, bicubic, OpenAI's mean and std.
    pub fn clip(size: usize) -> Self {
        Self {
            size,
            mean: MEAN,
            std: STD,
            resize: Resize::Shortest(size),
            center_crop: true,
            resample: Filter::Bicubic,
        }
    }

    /// Reads a `preprocessor_config.json`.
    ///
    /// # Errors
    /// A file that is missing or not JSON, and settings that cannot be followed exactly.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let json = std::fs::read_to_string(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        Self::parse(&json, &format!("`{}`", path.display()))
    }

    /// Reads the text of a `preprocessor_config.json`.
    ///
    /// # Errors
    /// As [`Preprocessor::open`].
    pub fn from_json(json: &str) -> Result<Self, DataError> {
        Self::parse(json, "preprocessor config")
    }

    fn parse(json: &str, origin: &str) -> Result<Self, DataError> {
        let fields: Map<String, Value> =
            serde_json::from_str(json).map_err(|error| DataError::Preprocessor {
                origin: origin.into(),
                field: "(file)".into(),
                expected: "a JSON object".into(),
                found: error.to_string(),
            })?;
        Fields { fields, origin }.read()
    }

    /// The `preprocessor_config.json` that makes `transformers.CLIPImageProcessor` do the same.
    pub fn to_json(&self) -> String {
        let square = |side: usize| json!({ "height": side, "width": side });
        let size = match self.resize {
            Resize::Shortest(side) => json!({ "shortest_edge": side }),
            Resize::Square(side) => square(side),
            Resize::Off => json!({ "shortest_edge": self.size }),
        };
        // Through text, so that 0.48145466 does not become 0.4814546585083008.
        let number = |value: &f32| value.to_string().parse::<f64>().unwrap_or(f64::from(*value));
        let config = json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": true,
            "do_resize": self.resize != Resize::Off,
            "size": size,
            "resample": self.resample as u8,
            "do_center_crop": self.center_crop,
            "crop_size": square(self.size),
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean.iter().map(number).collect::<Vec<_>>(),
            "image_std": self.std.iter().map(number).collect::<Vec<_>>(),
        });
        format!("{config:#}\n")
    }

    /// The evaluation transform: size x size x 3, not normalised.
    ///
    /// # Errors
    /// A picture so narrow that it would be resized to more than [`super::MAX_PIXELS`] pixels;
    /// without resizing and cropping, one that does not already have the model's size.
    pub fn evaluate(&self, picture: &Picture) -> Result<Vec<u8>, PictureError> {
        let (width, height) = (picture.width, picture.height);
        let (short, long) = (width.min(height), width.max(height));
        let resized = match self.resize {
            Resize::Off => None,
            Resize::Square(side) => Some(picture.resize(side, side, self.resample)),
            Resize::Shortest(side) => {
                // Python's int(side * long / short): true division, then truncation.
                let other = ((side * long) as f64 / short as f64) as usize;
                let (w, h) = if width <= height { (side, other) } else { (other, side) };
                if w as u64 * h as u64 > MAX_PIXELS {
                    let (resized_width, resized_height) = (w, h);
                    return Err(PictureError::TooNarrow {
                        width,
                        height,
                        resized_width,
                        resized_height,
                    });
                }
                Some(picture.resize(w, h, self.resample))
            }
        };
        let picture = resized.as_ref().unwrap_or(picture);
        if self.center_crop {
            return Ok(picture.center_crop(self.size).pixels);
        }
        if (picture.width, picture.height) != (self.size, self.size) {
            return Err(PictureError::Resize(format!(
                "without a crop the picture is {} x {}, and the model needs {size} x {size}",
                picture.width,
                picture.height,
                size = self.size
            )));
        }
        Ok(picture.pixels.clone())
    }
}

impl Picture {
    /// The box with this corner and size, which must lie in the picture.
    pub(crate) fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let rows = self.pixels.chunks_exact(self.width * 3).skip(top).take(height);
        let pixels = rows.flat_map(|row| &row[left * 3..(left + width) * 3]).copied().collect();
        Self { width, height, pixels }
    }

    /// The central square; where the picture is too small, black is added around it as
    /// `transformers.image_transforms.center_crop` does.
    fn center_crop(&self, size: usize) -> Self {
        let (width, height) = (self.width.max(size), self.height.max(size));
        let mut padded = None;
        if (width, height) != (self.width, self.height) {
            let left = (width - self.width).div_ceil(2);
            let top = (height - self.height).div_ceil(2);
            let mut pixels = vec![0; width * height * 3];
            for (y, row) in self.pixels.chunks_exact(self.width * 3).enumerate() {
                let start = ((top + y) * width + left) * 3;
                pixels[start..start + row.len()].copy_from_slice(row);
            }
            padded = Some(Self { width, height, pixels });
        }
        let offset = |length: usize, full: usize| {
            // floor((length - size) / 2) of the original, moved by the padding in front.
            let floor = (length as i64 - size as i64).div_euclid(2);
            let pad = (full - length).div_ceil(2) as i64;
            usize::try_from(floor + pad).unwrap_or(0)
        };
        let (left, top) = (offset(self.width, width), offset(self.height, height));
        padded.as_ref().unwrap_or(self).crop(left, top, size, size)
    }
}

/// The keys of a file, read with their defaults.
struct Fields<'a> {
    fields: Map<String, Value>,
    origin: &'a str,
}

impl Fields<'_> {
    fn read(&self) -> Result<Preprocessor, DataError> {
        let resize = match self.flag("do_resize")? {
            true => self.resize()?,
            false => Resize::Off,
        };
        let center_crop = self.flag("do_center_crop")?;
        let size = match (center_crop, resize) {
            (true, _) => self.side("crop_size", self.fields.get("crop_size"), 224)?,
            (false, Resize::Square(side)) => side,
            (false, _) => {
                let found = self.fields.get("size").map_or("nothing".into(), Value::to_string);
                let expected = "a square size where do_center_crop is false";
                return Err(self.wrong("size", expected, found));
            }
        };
        if !self.flag("do_rescale")? {
            return Err(self.wrong("do_rescale", "true", "false".into()));
        }
        if let Some(found) = self.fields.get("rescale_factor")
            && found.as_f64().is_none_or(|factor| (factor * 255.0 - 1.0).abs() > 1e-6)
        {
            return Err(self.wrong("rescale_factor", "1/255", found.to_string()));
        }
        let resample = match self.fields.get("resample") {
            None | Some(Value::Null) => Filter::Bicubic,
            Some(found) => match found.as_u64() {
                Some(1) => Filter::Lanczos,
                Some(2) => Filter::Bilinear,
                Some(3) => Filter::Bicubic,
                _ => {
                    let expected = "1 (Lanczos), 2 (bilinear) or 3 (bicubic)";
                    return Err(self.wrong("resample", expected, found.to_string()));
                }
            },
        };
        let (mean, std) = match self.flag("do_normalize")? {
            true => (self.channels("image_mean", MEAN)?, self.channels("image_std", STD)?),
            false => ([0.0; 3], [1.0; 3]),
        };
        if std.contains(&0.0) {
            return Err(self.wrong("image_std", "numbers other than 0", format!("{std:?}")));
        }
        Ok(Preprocessor { size, mean, std, resize, center_crop, resample })
    }

    fn resize(&self) -> Result<Resize, DataError> {
        let value = self.fields.get("size");
        if let Some(edge) = value.and_then(|v| v.get("shortest_edge")) {
            if value.and_then(|v| v.get("longest_edge")).is_some_and(|edge| !edge.is_null()) {
                let found = value.map_or(String::new(), Value::to_string);
                return Err(self.wrong("size", "no longest_edge", found));
            }
            return Ok(Resize::Shortest(self.side("size", Some(edge), 224)?));
        }
        let side = self.side("size", value, 224)?;
        // A bare number means the shorter side, as in files of old versions.
        Ok(if value.is_some_and(Value::is_object) {
            Resize::Square(side)
        } else {
            Resize::Shortest(side)
        })
    }

    /// A number, or a square `{height, width}`.
    fn side(&self, key: &str, value: Option<&Value>, default: u64) -> Result<usize, DataError> {
        let wrong = |found: &Value| {
            self.wrong(key, "a positive number or equal `height` and `width`", found.to_string())
        };
        let side = match value {
            None | Some(Value::Null) => default,
            Some(found @ Value::Object(fields)) => {
                match (fields.get("height"), fields.get("width")) {
                    (Some(height), Some(width)) if height == width => {
                        height.as_u64().ok_or_else(|| wrong(found))?
                    }
                    _ => return Err(wrong(found)),
                }
            }
            Some(found) => found.as_u64().ok_or_else(|| wrong(found))?,
        };
        // 0 is no size, and beyond 16,384 a mistake.
        match usize::try_from(side) {
            Ok(side @ 1..=16_384) => Ok(side),
            _ => Err(wrong(value.unwrap_or(&Value::Null))),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, DataError> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(true),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(found) => Err(self.wrong(key, "true or false", found.to_string())),
        }
    }

    fn channels(&self, key: &str, default: [f32; 3]) -> Result<[f32; 3], DataError> {
        let Some(found) = self.fields.get(key) else { return Ok(default) };
        serde_json::from_value(found.clone())
            .map_err(|_| self.wrong(key, "three numbers", found.to_string()))
    }

    fn wrong(&self, field: &str, expected: &str, found: String) -> DataError {
        DataError::Preprocessor {
            origin: self.origin.into(),
            field: field.into(),
            expected: expected.into(),
            found,
        }
    }
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
