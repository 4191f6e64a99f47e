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

/// Rows of a shuffle window: `auto` or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowRows {
    /// The greatest power of two, from 8 to 1,024, with which the encoded pictures of all streams'
    /// windows take at most 128 MiB: 16 for pictures of 120 KB, 64 for 30 KB, in 64 streams.
    #[default]
    Auto,
    /// This many.
    Count(usize),
}

impl WindowRows {
    /// How many there are where a row has `row_bytes` and `num_streams` windows are in memory.
    pub fn number(self, row_bytes: u64, num_streams: usize) -> usize {
        const BYTES: u64 = 128 << 20;
        match self {
            Self::Auto => {
                let rows = BYTES / row_bytes.saturating_mul(num_streams as u64).max(1);
                1 << rows.clamp(8, 1024).ilog2()
            }
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
auto_or_number!(
    WindowRows,
    "Rows of a shuffle window: `auto` (as many as memory of 128 MiB holds) or a number."
);
auto_or_number!(Workers, "Number of worker threads: `auto` (one per available core) or a number.");
auto_or_number!(Micro, "Pairs through the towers at once: `auto` (the most that fit) or a number.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_take_the_same_memory_whatever_the_pictures() {
        let rows = |row_bytes| WindowRows::Auto.number(row_bytes, 64);
        assert_eq!([120_000, 33_000, 5_000].map(rows), [16, 32, 256]);
        assert_eq!([0, 1, 100 << 20].map(rows), [1024, 1024, 8]);
        assert_eq!(WindowRows::Auto.number(120_000, 8), 128);
        assert_eq!(WindowRows::Count(7).number(120_000, 64), 7);
    }
}
