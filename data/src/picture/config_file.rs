//! Files that say how pictures become a model's input: Hugging Face's `preprocessor_config.json` and
//! the `preprocess_cfg` of `open_clip_config.json`.

use super::Filter;
use super::preprocess::{Crop, MEAN, Preprocessor, Resize, STD};
use crate::DataError;
use serde_json::{Map, Value, json};
use std::path::Path;

impl Preprocessor {
    /// Reads a `preprocessor_config.json`, or an `open_clip_config.json` by its `preprocess_cfg`.
    ///
    /// # Errors
    /// A file that is missing or not JSON, and settings that cannot be followed exactly.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let json = std::fs::read_to_string(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        Self::parse(&json, &format!("`{}`", path.display()))
    }

    /// Reads the text of such a file.
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
        match fields.get("preprocess_cfg") {
            Some(Value::Object(inner)) => Fields { fields: inner.clone(), origin }.read_open_clip(),
            _ => Fields { fields, origin }.read(),
        }
    }

    /// The `preprocessor_config.json` that makes `transformers.CLIPImageProcessor` do the same.
    /// What open_clip does otherwise than transformers is stated as in its own file beside the
    /// nearest that transformers can do, and read back from there.
    pub fn to_json(&self) -> String {
        let square = |side: usize| json!({ "height": side, "width": side });
        let size = match self.resize {
            Resize::Shortest(side) => json!({ "shortest_edge": side }),
            Resize::Square(side) => square(side),
            Resize::ShortestUpTo { shortest, longest } => {
                json!({ "shortest_edge": shortest, "longest_edge": longest })
            }
            Resize::Within(side) | Resize::Longest(side) => {
                json!({ "max_height": side, "max_width": side })
            }
            Resize::Off => json!({ "shortest_edge": self.size }),
        };
        // Through text, so that 0.48145466 does not become 0.4814546585083008.
        let number = |value: &f32| value.to_string().parse::<f64>().unwrap_or(f64::from(*value));
        let mut config = json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": true,
            "do_resize": self.resize != Resize::Off,
            "size": size,
            "resample": self.resample as u8,
            "do_center_crop": self.crop != Crop::Off,
            "crop_size": square(self.size),
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean.iter().map(number).collect::<Vec<_>>(),
            "image_std": self.std.iter().map(number).collect::<Vec<_>>(),
        });
        if let Crop::Even { fill } = self.crop {
            let longest = matches!(self.resize, Resize::Longest(_));
            config["preprocess_cfg"] = json!({
                "size": self.size,
                "mode": "RGB",
                "mean": config["image_mean"],
                "std": config["image_std"],
                "interpolation": if self.resample == Filter::Bilinear { "bilinear" } else { "bicubic" },
                "resize_mode": if longest { "longest" } else { "shortest" },
                "fill_color": fill,
            });
        }
        format!("{config:#}\n")
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
        let crop = if self.flag("do_center_crop")? { Crop::Floor } else { Crop::Off };
        let size = match (crop, resize) {
            (Crop::Floor | Crop::Even { .. }, _) => {
                self.side("crop_size", self.fields.get("crop_size"), 224)?
            }
            (Crop::Off, Resize::Square(side)) => side,
            (Crop::Off, _) => {
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
        self.no_padding(size)?;
        let (mean, std) = match self.flag("do_normalize")? {
            true => (self.channels("image_mean", MEAN)?, self.channels("image_std", STD)?),
            false => ([0.0; 3], [1.0; 3]),
        };
        self.usable_std("image_std", std)?;
        Ok(Preprocessor { size, mean, std, resize, crop, resample })
    }

    fn resize(&self) -> Result<Resize, DataError> {
        let value = self.fields.get("size");
        let edge = |key: &str| value.and_then(|v| v.get(key)).filter(|edge| !edge.is_null());
        if let Some(shortest) = edge("shortest_edge") {
            let shortest = self.side("size", Some(shortest), 224)?;
            let Some(longest) = edge("longest_edge") else { return Ok(Resize::Shortest(shortest)) };
            let longest = self.side("size", Some(longest), 224)?;
            return Ok(Resize::ShortestUpTo { shortest, longest });
        }
        if let (Some(height), Some(width)) = (edge("max_height"), edge("max_width")) {
            if height != width {
                let found = value.map_or(String::new(), Value::to_string);
                return Err(self.wrong("size", "equal max_height and max_width", found));
            }
            return Ok(Resize::Within(self.side("size", Some(height), 224)?));
        }
        let side = self.side("size", value, 224)?;
        // A bare number means the shorter side, as in files of old versions.
        Ok(if value.is_some_and(Value::is_object) {
            Resize::Square(side)
        } else {
            Resize::Shortest(side)
        })
    }

    /// Padding comes after normalising, with the mean colour, which bytes cannot hold; what pads
    /// nothing may stand.
    fn no_padding(&self, size: usize) -> Result<(), DataError> {
        if !matches!(self.fields.get("do_pad"), Some(Value::Bool(true))) {
            return Ok(());
        }
        match self.fields.get("pad_size") {
            None | Some(Value::Null) => Ok(()),
            found if self.side("pad_size", found, 224)? == size => Ok(()),
            Some(found) => {
                Err(self.wrong("pad_size", &format!("{size}, as the crop"), found.to_string()))
            }
        }
    }

    fn usable_std(&self, key: &str, std: [f32; 3]) -> Result<(), DataError> {
        match std.contains(&0.0) {
            true => Err(self.wrong(key, "numbers other than 0", format!("{std:?}"))),
            false => Ok(()),
        }
    }

    /// open_clip's `preprocess_cfg`, where a null is the default.
    fn read_open_clip(&self) -> Result<Preprocessor, DataError> {
        let text = |key: &str| self.fields.get(key).filter(|value| !value.is_null());
        if let Some(found) = text("mode").filter(|mode| *mode != "RGB") {
            return Err(self.wrong("mode", "RGB", found.to_string()));
        }
        let size = match text("size") {
            Some(Value::Array(sides)) if sides.len() == 2 && sides[0] == sides[1] => {
                self.side("size", sides.first(), 224)?
            }
            other => self.side("size", other, 224)?,
        };
        let fill = match text("fill_color") {
            None => 0,
            Some(found) => {
                found.as_u64().and_then(|fill| u8::try_from(fill).ok()).ok_or_else(|| {
                    self.wrong("fill_color", "a number from 0 to 255", found.to_string())
                })?
            }
        };
        let (resize, crop) = match text("resize_mode").map_or(Some("shortest"), Value::as_str) {
            Some("shortest") => (Resize::Shortest(size), Crop::Even { fill }),
            Some("longest") => (Resize::Longest(size), Crop::Even { fill }),
            Some("squash") => (Resize::Square(size), Crop::Off),
            _ => {
                let found = self.fields["resize_mode"].to_string();
                return Err(self.wrong("resize_mode", "shortest, longest or squash", found));
            }
        };
        let resample = match text("interpolation").map_or(Some("bicubic"), Value::as_str) {
            // `random` is of training; open_clip evaluates it as bicubic.
            Some("bicubic" | "random") => Filter::Bicubic,
            Some("bilinear") => Filter::Bilinear,
            _ => {
                let found = self.fields["interpolation"].to_string();
                return Err(self.wrong("interpolation", "bicubic, bilinear or random", found));
            }
        };
        let channels = |key, default| match text(key) {
            Some(_) => self.channels(key, default),
            None => Ok(default),
        };
        let (mean, std) = (channels("mean", MEAN)?, channels("std", STD)?);
        self.usable_std("std", std)?;
        Ok(Preprocessor { size, mean, std, resize, crop, resample })
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
