//! Text with column names in braces, to be filled from a row: `a photo of {title}, {brand}`.

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A text with at least one `{column}`; `{{` and `}}` stand for the braces themselves. A column's
/// name may have dots, as everywhere in `data.columns`, but no braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is, braces resolved.
    Text(String),
    /// The text of the column of this name.
    Column(String),
}

/// Why a text is not a template. Places are characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// `{` without `}`, or with another `{` before it.
    #[error(
        "expected a column's name and `}}` after the `{{` at character {0}; \
         write `{{{{` for a brace itself"
    )]
    Open(usize),
    /// `}` without `{`.
    #[error("the `}}` at character {0} closes nothing; write `}}}}` for a brace itself")]
    Close(usize),
    /// `{}`.
    #[error("expected a column's name between the braces at character {0}, found none")]
    Unnamed(usize),
    /// All rows would get one text.
    #[error("names no column, so that all rows would have the same text; write e.g. `{{title}}`")]
    Constant,
}

impl Template {
    /// The text and the columns in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The columns' names in their order; one that stands twice comes twice.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(source: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut letters = source.chars().zip(1..).peekable();
        while let Some((letter, at)) = letters.next() {
            let doubled = letters.peek().is_some_and(|(next, _)| *next == letter);
            match letter {
                '{' | '}' if doubled => {
                    text.push(letter);
                    letters.next();
                }
                '}' => return Err(TemplateError::Close(at)),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some(('}', _)) => break,
                            None | Some(('{', _)) => return Err(TemplateError::Open(at)),
                            Some((letter, _)) => name.push(letter),
                        }
                    }
                    if name.trim().is_empty() {
                        return Err(TemplateError::Unnamed(at));
                    }
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Column(name));
                }
                letter => text.push(letter),
            }
        }
        if pieces.is_empty() {
            return Err(TemplateError::Constant);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { source: source.to_owned(), pieces })
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Quoted)
    }
}

struct Quoted;

impl<'de> Visitor<'de> for Quoted {
    type Value = Template;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text in quotes with columns in braces, such as \"a photo of {title}\"")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Template, E> {
        text.parse().map_err(E::custom)
    }
    // YAML reads an unquoted `{title}` as a mapping.
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Template, A::Error> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &str) -> Vec<Piece> {
        source.parse::<Template>().unwrap().pieces
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn column(name: &str) -> Piece {
        Piece::Column(name.into())
    }

    #[test]
    fn text_columns_and_braces() {
        assert_eq!(pieces("{title}"), [column("title")]);
        assert_eq!(
            pieces("a {item.type}: {b c}!"),
            [text("a "), column("item.type"), text(": "), column("b c"), text("!")]
        );
        assert_eq!(pieces("{{{a}}}{b}"), [text("{"), column("a"), text("}"), column("b")]);
        assert_eq!(pieces("é{{x}} {a}{a}"), [text("é{x} "), column("a"), column("a")]);
    }

    #[test]
    fn messages_name_the_place() {
        let message = |source: &str| source.parse::<Template>().unwrap_err().to_string();
        let open = "expected a column's name and `}` after the `{` at character 3; \
                    write `{{` for a brace itself";
        assert_eq!(message("é {title"), open);
        assert_eq!(message("a {b{c}}"), open);
        assert_eq!(
            message("a} {b}"),
            "the `}` at character 2 closes nothing; write `}}` for a brace itself"
        );
        assert_eq!(
            message("{a} { }"),
            "expected a column's name between the braces at character 5, found none"
        );
        assert!(message("{{a}}").starts_with("names no column"));
        assert!(message("").starts_with("names no column"));
    }
}
