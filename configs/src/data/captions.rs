//! What a row's caption is made of: a column, or a choice among columns and templates.

use super::Template;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The alternatives for a row's caption. In YAML a column's name, a mapping
/// (`{column: NAME}` or `{template: "..."}`, with or without a `weight`), or a list of these.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionChoice(pub Vec<Alternative>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// Where its text comes from.
    pub source: CaptionSource,
    /// How often it is drawn, relative to the others that the row can fill.
    pub weight: f64,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptionSource {
    /// A column of strings or lists of strings.
    Column(String),
    /// A text filled from columns.
    Template(Template),
}

impl CaptionSource {
    /// The columns that it needs.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column(name) => vec![name],
            Self::Template(template) => template.columns().collect(),
        }
    }
}

impl From<&str> for CaptionChoice {
    /// One column.
    fn from(column: &str) -> Self {
        let source = CaptionSource::Column(column.into());
        Self(vec![Alternative { source, weight: 1.0 }])
    }
}

const EXPECTED: &str = "a column's name, a mapping with `column` or `template` and `weight`";

/// An alternative as a mapping spells it.
#[derive(Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<Template>,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

impl Serialize for Alternative {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (column, template) = match self.source.clone() {
            CaptionSource::Column(name) => (Some(name), None),
            CaptionSource::Template(template) => (None, Some(template)),
        };
        Spelled { column, template, weight: self.weight }.serialize(s)
    }
}

impl Serialize for CaptionChoice {
    /// One column is its name, as it is mostly written.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Alternative { source: CaptionSource::Column(name), weight: 1.0 }] => {
                s.serialize_str(name)
            }
            alternatives => alternatives.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Alternative {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OneAlternative)
    }
}

impl<'de> Deserialize<'de> for CaptionChoice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OneOrMore)
    }
}

struct OneAlternative;

impl<'de> Visitor<'de> for OneAlternative {
    type Value = Alternative;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(EXPECTED)
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Alternative, E> {
        Ok(Alternative { source: CaptionSource::Column(name.into()), weight: one() })
    }
    // A column may be called `2024`: whole numbers have one spelling only.
    fn visit_u64<E: de::Error>(self, name: u64) -> Result<Alternative, E> {
        self.visit_str(&name.to_string())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Alternative, A::Error> {
        let Spelled { column, template, weight } =
            Spelled::deserialize(MapAccessDeserializer::new(map))?;
        let source = match (column, template) {
            (Some(name), None) => CaptionSource::Column(name),
            (None, Some(template)) => CaptionSource::Template(template),
            (None, None) => {
                let message = "expected one of `column`, `template`, found neither; add one";
                return Err(de::Error::custom(message));
            }
            (Some(_), Some(_)) => {
                let message = "expected exactly one of `column`, `template`, found both; keep one";
                return Err(de::Error::custom(message));
            }
        };
        Ok(Alternative { source, weight })
    }
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = CaptionChoice;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{EXPECTED}, or a list of these")
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<CaptionChoice, E> {
        OneAlternative.visit_str(name).map(|only| CaptionChoice(vec![only]))
    }
    fn visit_u64<E: de::Error>(self, name: u64) -> Result<CaptionChoice, E> {
        OneAlternative.visit_u64(name).map(|only| CaptionChoice(vec![only]))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CaptionChoice, A::Error> {
        OneAlternative.visit_map(map).map(|only| CaptionChoice(vec![only]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<CaptionChoice, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(CaptionChoice)
    }
}

impl JsonSchema for CaptionChoice {
    fn schema_name() -> Cow<'static, str> {
        "CaptionChoice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let name = json_schema!({ "description": "A column's name.", "type": "string" });
        let mapping = |key: &str, what: &str| {
            json_schema!({
                "type": "object",
                "properties": {
                    key: { "description": what, "type": "string" },
                    "weight": {
                        "description": "How often it is drawn, relative to the others: above 0.",
                        "type": "number",
                        "exclusiveMinimum": 0,
                        "default": 1.0
                    }
                },
                "required": [key],
                "additionalProperties": false
            })
        };
        let column = mapping("column", "A column of strings or lists of strings.");
        let template = mapping(
            "template",
            "A text filled from columns: `a photo of {title}`; `{{` and `}}` are braces.",
        );
        json_schema!({
            "description": "What a caption is made of: a column's name, a weighted column or \
                            template, or a list of these.",
            "oneOf": [
                name,
                column,
                template,
                { "type": "array", "minItems": 1, "items": { "oneOf": [name, column, template] } }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_spelling_is_read_and_written_back() {
        let read = |value| serde_json::from_value::<CaptionChoice>(value).unwrap();
        let title = CaptionChoice::from("title");
        for same in [
            json!("title"),
            json!(["title"]),
            json!({"column": "title"}),
            json!([{"column": "title", "weight": 1.0}]),
        ] {
            assert_eq!(read(same), title);
        }
        assert_eq!(serde_json::to_value(&title).unwrap(), json!("title"));
        let many = json!([{"column": "a", "weight": 3.0}, {"template": "{b}, {c}", "weight": 1.0}]);
        let choice = read(many.clone());
        assert_eq!(serde_json::to_value(&choice).unwrap(), many);
        assert_eq!(choice.0[1].source.columns(), ["b", "c"]);
        let one = json!([{"template": "{b}", "weight": 0.5}]);
        assert_eq!(serde_json::to_value(read(one.clone())).unwrap(), one);
    }
}
