//! A YAML document as a tree that remembers how each scalar was spelled and where it stood.
//!
//! serde-saphyr reads the syntax (anchors, merges, duplicate keys); this tree keeps the source
//! spelling, so that `017`, `yes` or `1e-4` mean the same in a file, in an override and whatever
//! the type of the field they land in. It knows nothing of the schema.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Where a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file: line and column from 1, width in characters.
    File { line: usize, column: usize, width: usize },
    /// In the override of this index.
    Override(usize),
}

/// One value of the document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Text as it was spelled (`plain`) or as its quotes say.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    /// The last override that set this key or something below it.
    pub(crate) touched: Option<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// Whether this is `null`, `~` or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Where the value at `path` was written; nothing for a key that is left to its default.
    pub(crate) fn origin_of(&self, path: &str) -> Option<Origin> {
        let (mut node, mut origin) = (self, None);
        for segment in path.split('.') {
            (node, origin) = match &node.kind {
                Kind::Map(entries) => {
                    let entry = entries.iter().find(|e| e.key == segment)?;
                    let at = entry.touched.map_or(entry.value.origin, Origin::Override);
                    (&entry.value, Some(at))
                }
                Kind::List(items) => {
                    let item = items.get(segment.parse::<usize>().ok()?)?;
                    (item, Some(item.origin))
                }
                Kind::Scalar { .. } => return None,
            };
        }
        origin
    }
}

/// Reads one YAML document; one without content is null. `place` turns a position in `text` into an origin.
///
/// # Errors
/// What serde-saphyr says of the syntax, of duplicate keys or of an unknown alias.
pub(crate) fn parse(
    text: &str,
    place: &dyn Fn(&Location) -> Origin,
) -> Result<Node, Box<serde_saphyr::Error>> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        with_snippet: true,
    };
    let tree: Option<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(Box::new)?;
    Ok(match tree {
        Some(raw) => raw.settle(text, place),
        None => Node {
            kind: Kind::Scalar { text: String::new(), plain: true },
            origin: place(&Location::UNKNOWN),
        },
    })
}

/// What serde-saphyr hands over: values with spans, spellings not yet recovered.
struct Raw(Spanned<Shape>);

enum Shape {
    Text(String),
    /// A boolean, number or null, whose spelling the span gives.
    Spelled,
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn settle(self, source: &str, place: &dyn Fn(&Location) -> Origin) -> Node {
        let at = self.0.defined;
        let spelled = slice(source, &at);
        let kind = match self.0.value {
            Shape::Spelled => {
                Kind::Scalar { text: spelled.unwrap_or_default().trim().to_owned(), plain: true }
            }
            Shape::Text(text) => {
                // Plain text is spelled as it reads; quotes and block markers make it differ.
                let plain = spelled.is_some_and(|s| s.trim() == text);
                Kind::Scalar { text, plain }
            }
            Shape::List(items) => {
                Kind::List(items.into_iter().map(|i| i.settle(source, place)).collect())
            }
            Shape::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        origin: place(&key.defined),
                        key: key.value,
                        touched: None,
                        value: value.settle(source, place),
                    })
                    .collect(),
            ),
        };
        Node { kind, origin: place(&at) }
    }
}

/// The bytes of `source` that a location covers.
fn slice<'a>(source: &'a str, at: &Location) -> Option<&'a str> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let len = usize::try_from(at.span().byte_len()?).ok()?;
    source.get(start..start.checked_add(len)?)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Spanned::deserialize(d).map(Raw)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Spelled)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Shape::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(at: &Location) -> Origin {
        Origin::File {
            line: at.line() as usize,
            column: at.column() as usize,
            width: at.span().len() as usize,
        }
    }

    fn read(text: &str) -> Node {
        parse(text, &origin).unwrap()
    }

    fn flat(node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { text, plain: true } => text.clone(),
            Kind::Scalar { text, plain: false } => format!("{text:?}"),
            Kind::List(items) => {
                format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(" "))
            }
            Kind::Map(entries) => format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|e| format!("{}={}", e.key, flat(&e.value)))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        }
    }

    #[test]
    fn keeps_every_spelling() {
        let text = "a: 017\nb: yes\nc: 1_000\nd: 1e-4\ne: '1e-4'\nf: a, b [c]\ng: \"q\"\nh:\ni: ~\n\
                    j: null\nk: .inf\nl: True\nm: 0x10\nn: [1.50, 'x', y z]\no: |\n  block\np: -0\n";
        assert_eq!(
            flat(&read(text)),
            "{a=017 b=yes c=1_000 d=1e-4 e=\"1e-4\" f=a, b [c] g=\"q\" h= i=~ j=null k=.inf \
             l=True m=0x10 n=[1.50 \"x\" y z] o=\"block\\n\" p=-0}"
        );
    }

    #[test]
    fn places_keys_and_values_and_follows_anchors() {
        let root = read("é: &x {k: 1}\nb:\n  <<: *x\n  l: 22\nc: *x\n");
        assert_eq!(flat(&root), "{é={k=1} b={l=22 k=1} c={k=1}}");
        let at = |path: &str| root.origin_of(path).unwrap();
        assert_eq!(at("b.l"), Origin::File { line: 4, column: 6, width: 2 });
        assert_eq!(at("b.k"), Origin::File { line: 1, column: 11, width: 1 });
        assert_eq!(at("c.k"), Origin::File { line: 1, column: 11, width: 1 });
        let Kind::Map(entries) = &root.kind else { panic!() };
        assert_eq!(entries[1].origin, Origin::File { line: 2, column: 1, width: 1 });
    }

    #[test]
    fn an_empty_document_is_null_and_duplicates_are_refused() {
        assert!(read("").is_null());
        assert!(read("# nothing\n").is_null());
        let error = parse("a: 1\nb: 2\na: 3\n", &origin).unwrap_err().to_string();
        assert!(error.contains("duplicate") && error.contains('3'), "{error}");
    }
}
