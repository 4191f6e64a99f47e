//! Values that are the word `auto` or a number.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Number of canonical streams: `auto` or a divisor of the batch size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// The greatest power of two, at most 64, that divides the batch size.
    #[default]
    Auto,
    /// This many.
    Count(usize),
}

impl Streams {
    /// How many there are for batches of `batch_size` rows.
    pub fn number(self, batch_size: usize) -> usize {
        match self {
            Self::Auto => 1 << batch_size.trailing_zeros().min(6),
            Self::Count(count) => count,
        }
    }
}

/// Number of worker threads: `auto` (one per available core) or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// One per available core.
    #[default]
    Auto,
    /// This many.
    Count(usize),
}

/// Pairs through the towers at once: `auto` (the most that fit) or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Micro {
    /// The most that fit into the device's memory, found at start-up.
    #[default]
    Auto,
    /// This many.
    Count(usize),
}

struct AutoOr;

impl Visitor<'_> for AutoOr {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("`auto` or a whole number in plain digits")
    }
    fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
        if word == "auto" {
            Ok(None)
        } else {
            Err(E::custom(format!(
                "expected `auto` or a whole number in plain digits, found `{word}`"
            )))
        }
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Self::Value, E> {
        usize::try_from(n).map(Some).map_err(E::custom)
    }
}

macro_rules! auto_or_number {
    ($name:ident, $text:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Auto => s.serialize_str("auto"),
                    Self::Count(n) => n.serialize(s),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Ok(d.deserialize_any(AutoOr)?.map_or(Self::Auto, Self::Count))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $text,
                    "oneOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }],
                })
            }
        }
    };
}

auto_or_number!(Streams, "Number of canonical streams: `auto` or a divisor of the batch size.");
auto_or_number!(Workers, "Number of worker threads: `auto` (one per available core) or a number.");
auto_or_number!(Micro, "Pairs through the towers at once: `auto` (the most that fit) or a number.");
