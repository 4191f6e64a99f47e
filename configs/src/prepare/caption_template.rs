//! Captions with a product's fields in braces and optional stretches in brackets:
//! `{title}[, {attributes.colour}][ made of {attributes.material}]`.

use crate::{Piece, Template, TemplateError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A text with at least one field in braces. What stands in brackets is left out for a product
/// that lacks one of the fields in it; `{{`, `}}`, `[[` and `]]` stand for the signs themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionTemplate {
    source: String,
    sections: Vec<Section>,
}

/// A stretch of a template that is filled or left out as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Whether it stood in brackets.
    pub optional: bool,
    /// Its text and fields.
    pub pieces: Vec<TextPiece>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPiece {
    /// Text as it is, doubled signs resolved.
    Text(String),
    /// A product's field.
    Field(Field),
}

/// A field of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The title.
    Title,
    /// The description.
    Description,
    /// The product type.
    ProductType,
    /// All attributes: `colour: red, size: L`.
    Attributes,
    /// The attribute of this name.
    Attribute(String),
}

/// Why a text is not a caption template. Places are characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionTemplateError {
    /// Its braces are wrong.
    #[error(transparent)]
    Braces(#[from] TemplateError),
    /// A name in braces that no product has.
    #[error(
        "`{{{0}}}` is no field of a product; expected one of {{title}}, {{description}}, \
         {{product_type}}, {{attributes}} or {{attributes.NAME}}"
    )]
    Unknown(String),
    /// `[` without `]`, or with another `[` before it.
    #[error("expected `]` after the `[` at character {0}; write `[[` for a bracket itself")]
    Open(usize),
    /// `]` without `[`.
    #[error("the `]` at character {0} closes nothing; write `]]` for a bracket itself")]
    Close(usize),
    /// A section in brackets without a field.
    #[error(
        "what stands in the brackets at character {0} names no field, so that nothing decides \
         whether it is left out"
    )]
    Constant(usize),
}

impl Field {
    fn parse(name: &str) -> Result<Self, CaptionTemplateError> {
        Ok(match name {
            "title" => Self::Title,
            "description" => Self::Description,
            "product_type" => Self::ProductType,
            "attributes" => Self::Attributes,
            _ => match name.strip_prefix("attributes.") {
                Some(attribute) if !attribute.trim().is_empty() => {
                    Self::Attribute(attribute.to_owned())
                }
                _ => return Err(CaptionTemplateError::Unknown(name.to_owned())),
            },
        })
    }
}

impl CaptionTemplate {
    /// Its sections in their order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }
}

impl fmt::Display for CaptionTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// The places of the source's brackets, in order; those in the names of fields and doubled ones
/// are none.
fn brackets(source: &str) -> Vec<usize> {
    let (mut places, mut in_name) = (Vec::new(), false);
    let mut letters = source.chars().zip(1..).peekable();
    while let Some((letter, at)) = letters.next() {
        let doubled = letters.peek().is_some_and(|(next, _)| *next == letter);
        match letter {
            '{' | '}' | '[' | ']' if doubled && !in_name => {
                letters.next();
            }
            '{' => in_name = true,
            '}' => in_name = false,
            '[' | ']' if !in_name => places.push(at),
            _ => {}
        }
    }
    places
}

/// Sections while they are read.
struct Reader {
    sections: Vec<Section>,
    pieces: Vec<TextPiece>,
    text: String,
    /// Where the open bracket stands.
    opened: Option<usize>,
}

impl Reader {
    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(TextPiece::Text(std::mem::take(&mut self.text)));
        }
    }

    fn end_section(&mut self, optional: bool) {
        self.end_text();
        if !self.pieces.is_empty() {
            self.sections.push(Section { optional, pieces: std::mem::take(&mut self.pieces) });
        }
    }

    fn bracket(&mut self, letter: char, at: usize) -> Result<(), CaptionTemplateError> {
        match (letter, self.opened) {
            ('[', None) => {
                self.end_section(false);
                self.opened = Some(at);
            }
            ('[', Some(first)) => return Err(CaptionTemplateError::Open(first)),
            (_, None) => return Err(CaptionTemplateError::Close(at)),
            (_, Some(first)) => {
                if !self.pieces.iter().any(|piece| matches!(piece, TextPiece::Field(_))) {
                    return Err(CaptionTemplateError::Constant(first));
                }
                self.end_section(true);
                self.opened = None;
            }
        }
        Ok(())
    }
}

impl FromStr for CaptionTemplate {
    type Err = CaptionTemplateError;

    fn from_str(source: &str) -> Result<Self, CaptionTemplateError> {
        let template: Template = source.parse()?;
        let mut places = brackets(source).into_iter();
        let (sections, pieces) = (Vec::new(), Vec::new());
        let mut reader = Reader { sections, pieces, text: String::new(), opened: None };
        for piece in template.pieces() {
            match piece {
                Piece::Column(name) => {
                    reader.end_text();
                    reader.pieces.push(TextPiece::Field(Field::parse(name)?));
                }
                Piece::Text(text) => {
                    let mut letters = text.chars().peekable();
                    while let Some(letter) = letters.next() {
                        match letter {
                            '[' | ']' if letters.next_if_eq(&letter).is_some() => {
                                reader.text.push(letter);
                            }
                            '[' | ']' => reader.bracket(letter, places.next().unwrap_or(0))?,
                            letter => reader.text.push(letter),
                        }
                    }
                }
            }
        }
        if let Some(first) = reader.opened {
            return Err(CaptionTemplateError::Open(first));
        }
        reader.end_section(false);
        Ok(Self { source: source.to_owned(), sections: reader.sections })
    }
}

impl Serialize for CaptionTemplate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for CaptionTemplate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Quoted)
    }
}

struct Quoted;

impl<'de> Visitor<'de> for Quoted {
    type Value = CaptionTemplate;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text in quotes with fields in braces, such as \"{title}[, {product_type}]\"")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<CaptionTemplate, E> {
        text.parse().map_err(E::custom)
    }
    // YAML reads an unquoted `{title}` as a mapping and `[{title}]` as a list.
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<CaptionTemplate, A::Error> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &self))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<CaptionTemplate, A::Error> {
        Err(de::Error::invalid_type(de::Unexpected::Seq, &self))
    }
}

impl JsonSchema for CaptionTemplate {
    fn schema_name() -> Cow<'static, str> {
        "CaptionTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text filled from a product: `{title}`, `{description}`, \
                            `{product_type}`, `{attributes}`, `{attributes.NAME}`; what stands in \
                            brackets is left out where a field in it is missing.",
            "type": "string"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> TextPiece {
        TextPiece::Text(text.into())
    }

    #[test]
    fn sections_fields_and_doubled_signs() {
        let source = "{title}[, {attributes.main colour}][[x]] {{y}}[ {product_type}]";
        let template: CaptionTemplate = source.parse().unwrap();
        let field = |field: Field| TextPiece::Field(field);
        let section = |optional, pieces: &[TextPiece]| Section { optional, pieces: pieces.into() };
        assert_eq!(
            template.sections(),
            [
                section(false, &[field(Field::Title)]),
                section(true, &[text(", "), field(Field::Attribute("main colour".into()))]),
                section(false, &[text("[x] {y}")]),
                section(true, &[text(" "), field(Field::ProductType)]),
            ]
        );
        assert_eq!(template.to_string(), source);
        // A bracket within a name is part of the name.
        let named: CaptionTemplate = "{attributes.a[b}[ {title}]".parse().unwrap();
        assert_eq!(named.sections()[0].pieces, [field(Field::Attribute("a[b".into()))]);
    }

    #[test]
    fn messages_name_the_place() {
        let message = |source: &str| source.parse::<CaptionTemplate>().unwrap_err().to_string();
        assert_eq!(
            message("{title} {color}"),
            "`{color}` is no field of a product; expected one of {title}, {description}, \
             {product_type}, {attributes} or {attributes.NAME}"
        );
        let open = "expected `]` after the `[` at character 9; write `[[` for a bracket itself";
        assert_eq!(message("é{title}[, {description}"), open);
        assert_eq!(message("é{title}[, [{description}]]"), open);
        assert_eq!(
            message("[[{title}]"),
            "the `]` at character 10 closes nothing; write `]]` for a bracket itself"
        );
        assert_eq!(
            message("{title}[, new]"),
            "what stands in the brackets at character 8 names no field, so that nothing decides \
             whether it is left out"
        );
        assert!(message("[new]").starts_with("names no column"));
    }
}
