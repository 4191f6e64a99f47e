//! The `catalogue` section: where products are listed, and what their columns mean.

use super::choices::{self, OneOrMore, one_or_more};
use super::{Fetch, Paths};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The products: where they are listed, and what their columns mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// CSV, TSV, JSON lines or Parquet files: a path, glob or URL (`s3://`, `gs://`, `az://`,
    /// `https://`), or a list of these; a folder means the Parquet files in it. They are read in
    /// the order of their names. CSV, TSV and JSON lines may be compressed (`.gz`, `.zst`).
    pub paths: Paths,
    /// How they are written.
    #[serde(default)]
    pub format: Format,
    /// What parts the fields of CSV, one ASCII character. Left out: a comma, in TSV a tab.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// Whether a field of CSV or TSV that begins with a double quote ends at the next one (two in
    /// a row stand for one). `false`: quotes are characters like any other, and no field goes on
    /// in the next line.
    #[serde(default = "yes")]
    pub quotes: bool,
    /// Which column plays which role.
    #[serde(default)]
    pub columns: Roles,
    /// The folder or `http(s)://` URL that relative paths of pictures begin from. Left out: the
    /// folder of the file that names them.
    #[serde(default)]
    pub image_root: Option<String>,
    /// The product types that there are; rows of another are rejected. Left out: any.
    #[serde(default)]
    pub product_types: Option<Vec<String>>,
    /// What the detector is asked for, by product type. A type that is not listed is its own
    /// phrase.
    #[serde(default)]
    pub phrases: BTreeMap<String, String>,
    /// How pictures are fetched.
    #[serde(default)]
    pub fetch: Fetch,
}

fn yes() -> bool {
    true
}

/// How a catalogue file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As the file's name ends (`.csv`, `.tsv`, `.tab`, `.jsonl`, `.ndjson`, `.parquet`, each also
    /// with `.gz` or `.zst`); where that says nothing, as it begins.
    #[default]
    Auto,
    /// Comma-separated values (RFC 4180) with a line of column names.
    Csv,
    /// The same with tabs.
    Tsv,
    /// One JSON object per line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// Column names by role. In Parquet and JSON lines dots reach into structs and objects. `null`
/// switches an optional role off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// Identity: text or an integer. Of rows with equal ids the first is kept.
    pub product_id: String,
    /// The product's name.
    pub title: String,
    /// A longer text.
    pub description: Option<String>,
    /// What kind of thing it is: a column, or `{constant: TEXT}`.
    pub product_type: ProductType,
    /// A list of columns, or one column that holds names and values: JSON text or object, map,
    /// struct, or `list<struct<key, value>>`.
    pub attributes: Attributes,
    /// The picture: bytes, `struct<bytes, path>`, a path or `file://` URL, an `http(s)://` URL or a
    /// `data:` URL.
    pub image: String,
    /// Row weight in the loss: a number above 0. An empty cell counts as 1.
    pub weight: Option<String>,
    /// A group of products that belong together, such as the sizes of one dress: they stay in one
    /// split and are never negatives of one another.
    pub group: Option<String>,
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            product_id: "product_id".into(),
            title: "title".into(),
            description: None,
            product_type: ProductType::Column("product_type".into()),
            attributes: Attributes::Columns(Vec::new()),
            image: "image".into(),
            weight: None,
            group: None,
        }
    }
}

/// Where a product's type comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductType {
    /// A column.
    Column(String),
    /// One type for all products.
    Constant(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    constant: String,
}

impl Serialize for ProductType {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Column(name) => name.serialize(s),
            Self::Constant(constant) => Constant { constant: constant.clone() }.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for ProductType {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct ColumnOrConstant;
        impl<'de> Visitor<'de> for ColumnOrConstant {
            type Value = ProductType;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a column's name, or {constant: TEXT}")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ProductType, E> {
                Ok(ProductType::Column(name.into()))
            }
            fn visit_u64<E: de::Error>(self, name: u64) -> Result<ProductType, E> {
                self.visit_str(&name.to_string())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProductType, A::Error> {
                Constant::deserialize(MapAccessDeserializer::new(map))
                    .map(|read| ProductType::Constant(read.constant))
            }
        }
        d.deserialize_any(ColumnOrConstant)
    }
}

impl JsonSchema for ProductType {
    fn schema_name() -> Cow<'static, str> {
        "ProductType".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A column's name, or one type for all products.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "constant": {
                            "description": "The type of every product.",
                            "type": "string"
                        }
                    },
                    "required": ["constant"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// Where a product's attributes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// A column each, whose name is the attribute's.
    Columns(Vec<String>),
    /// One column that holds names and values.
    Packed(String),
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Columns(names) => names.serialize(s),
            Self::Packed(name) => name.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(match one_or_more(d, "a list of columns, or the name of one that holds them all")? {
            OneOrMore::One(name) => Self::Packed(name),
            OneOrMore::More(names) => Self::Columns(names),
        })
    }
}

impl JsonSchema for Attributes {
    fn schema_name() -> Cow<'static, str> {
        "Attributes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        choices::schema("A list of columns, or the name of one that holds them all.", 0, None)
    }
}
