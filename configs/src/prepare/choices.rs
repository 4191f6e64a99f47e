//! One text or several, as YAML writes both.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// One text or a list of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OneOrMore {
    /// Written without a list.
    One(String),
    /// Written as a list.
    More(Vec<String>),
}

/// Reads either; `expected` says what messages call them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<OneOrMore, D::Error> {
    deserializer.deserialize_any(Either(expected))
}

struct Either(&'static str);

impl<'de> Visitor<'de> for Either {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore, E> {
        Ok(OneOrMore::One(text.into()))
    }
    // A column or file may be called `2024`: whole numbers have one spelling only.
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<OneOrMore, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<OneOrMore, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMore::More)
    }
}

/// The schema of either.
pub(super) fn schema(description: &str, least: u64, most: Option<u64>) -> Schema {
    let mut list = serde_json::json!({
        "type": "array", "minItems": least, "items": { "type": "string" }
    });
    if let Some(most) = most {
        list["maxItems"] = most.into();
    }
    json_schema!({ "description": description, "oneOf": [{ "type": "string" }, list] })
}

/// Files, folders, globs or URLs: one text, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths(pub Vec<String>);

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(s),
            all => all.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(match one_or_more(d, "a file, folder, glob or URL, or a list of these")? {
            OneOrMore::One(path) => vec![path],
            OneOrMore::More(paths) => paths,
        }))
    }
}

impl JsonSchema for Paths {
    fn schema_name() -> Cow<'static, str> {
        "Paths".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema("A file, folder, glob or URL, or a list of these.", 1, None)
    }
}
