//! Which sides of a product stand for it, and how they are written on a command line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an item is embedded from: the weighted sum of the unit vectors of its picture and of its
/// first caption, brought to unit norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sides {
    /// Weight of the picture.
    pub image: f64,
    /// Weight of the caption.
    pub text: f64,
}

impl Sides {
    /// The picture alone.
    pub const IMAGE: Self = Self { image: 1.0, text: 0.0 };
    /// The caption alone.
    pub const TEXT: Self = Self { image: 0.0, text: 1.0 };
}

impl Default for Sides {
    /// No weight at all, so that a side that is not named does not count.
    fn default() -> Self {
        Self { image: 0.0, text: 0.0 }
    }
}

impl FromStr for Sides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "image" => return Ok(Self::IMAGE),
            "text" => return Ok(Self::TEXT),
            _ => {}
        }
        let expected = || {
            format!(
                "expected `image`, `text`, or weights such as `image=0.7,text=0.3`, found `{text}`"
            )
        };
        let (mut image, mut caption) = (None, None);
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').ok_or_else(expected)?;
            let weight: f64 = weight.trim().parse().map_err(|_| expected())?;
            let place = match name.trim() {
                "image" => &mut image,
                "text" => &mut caption,
                _ => return Err(expected()),
            };
            if place.replace(weight).is_some() || !weight.is_finite() || weight < 0.0 {
                return Err(format!("{}; each weight once and at least 0", expected()));
            }
        }
        let side = Self { image: image.unwrap_or(0.0), text: caption.unwrap_or(0.0) };
        match side.image + side.text > 0.0 {
            true => Ok(side),
            false => Err(format!("{}; one weight above 0", expected())),
        }
    }
}

impl fmt::Display for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.image > 0.0, self.text > 0.0) {
            (true, false) => f.write_str("image"),
            (false, true) => f.write_str("text"),
            _ => write!(f, "image={},text={}", self.image, self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_read_as_they_are_shown() {
        for text in ["image", "text", "image=0.7,text=0.3"] {
            assert_eq!(text.parse::<Sides>().unwrap().to_string(), text);
        }
        assert_eq!("text=1, image=0".parse::<Sides>().unwrap().to_string(), "text");
        assert_eq!("text=2,image=0.5".parse(), Ok(Sides { image: 0.5, text: 2.0 }));
        for (bad, why) in [
            ("picture", "found `picture`"),
            ("image=x", "found `image=x`"),
            ("image=1,image=2", "each weight once and at least 0"),
            ("image=-1,text=2", "each weight once and at least 0"),
            ("image=inf", "each weight once and at least 0"),
            ("image=0,text=0", "one weight above 0"),
            ("", "found ``"),
        ] {
            let error = bad.parse::<Sides>().unwrap_err();
            assert!(
                error.starts_with("expected `image`, `text`, or weights") && error.ends_with(why),
                "{error}"
            );
        }
    }
}
