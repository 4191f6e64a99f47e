//! Column roles: finding them in a shard's schema, checking their types, and the projection
//! that reads nothing else.

use crate::DataError;
use crate::text::CaptionPlan;
use arrow_schema::{DataType, Field, Fields, Schema};
use configs::Columns;
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;
use std::path::Path;
use std::sync::Arc;

/// Which column plays which role. A name is a top-level column or, failing that, a field of
/// nested structs written with dots (`item.image`).
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    /// The picture, where pictures are wanted.
    pub image: Option<String>,
    /// The texts.
    pub captions: Arc<CaptionPlan>,
    /// The product.
    pub product_id: Option<String>,
    /// The row weight.
    pub weight: Option<String>,
    /// Columns that say what kind of row it is, for figures by kind.
    pub labels: Vec<String>,
}

const IMAGE: &str = "binary, large_binary, binary_view or struct<bytes: binary, path: string>";
const CAPTIONS: &str = "string or list<string>";
/// Of a column within a template.
const FILLING: &str = "string, list<string>, a number or boolean";
const PRODUCT: &str = "string or integer";
const WEIGHT: &str = "a number";
const LABEL: &str = "string, integer or boolean, or KEY of a map column as COLUMN.KEY";

impl Roles {
    /// The roles as the config maps them.
    pub fn new(columns: &Columns) -> Self {
        let Columns { image, captions, product_id, weight } = columns.clone();
        let captions = Arc::new(CaptionPlan::new(&captions));
        Self { image: Some(image), captions, product_id, weight, labels: vec![] }
    }

    /// Checks that every role has a column of a fitting type.
    pub fn check(&self, shard: &Path, schema: &Schema) -> Result<(), DataError> {
        if let Some(name) = &self.image {
            check(shard, schema, "image", name, IMAGE, is_image)?;
        }
        self.captions.check()?;
        for (name, plain) in self.captions.uses() {
            let (expected, fits): (_, fn(&DataType) -> bool) =
                if plain { (CAPTIONS, is_captions) } else { (FILLING, is_filling) };
            check(shard, schema, "captions", name, expected, fits)?;
        }
        if let Some(name) = &self.product_id {
            check(shard, schema, "product_id", name, PRODUCT, is_product)?;
        }
        if let Some(name) = &self.weight {
            check(shard, schema, "weight", name, WEIGHT, is_number)?;
        }
        for name in self.labels.iter().filter(|name| keyed(schema, name).is_none()) {
            check(shard, schema, "labels", name, LABEL, is_label)?;
        }
        Ok(())
    }

    /// The leaf columns that the roles need. Of a picture struct only `bytes` and `path`.
    pub fn projection(&self, schema: &Schema, parquet: &SchemaDescriptor) -> ProjectionMask {
        let mut wanted: Vec<Vec<String>> = Vec::new();
        for name in self.names() {
            let keyed = || keyed(schema, name).map(|(path, field, _)| (path, field));
            let Some((mut path, field)) = resolve(schema, name).or_else(keyed) else { continue };
            if self.image.as_ref() == Some(name) && matches!(field.data_type(), DataType::Struct(_))
            {
                path.push("bytes".into());
                wanted.push(path.clone());
                path.pop();
                path.push("path".into());
            }
            wanted.push(path);
        }
        let leaves = parquet.columns().iter().enumerate().filter_map(|(index, column)| {
            let parts = column.path().parts();
            wanted.iter().any(|path| parts.starts_with(path)).then_some(index)
        });
        ProjectionMask::leaves(parquet, leaves)
    }

    /// Role and column name of every role that is in use.
    pub fn by_name(&self) -> Vec<(&'static str, &str)> {
        let captions = self.captions.columns().iter().map(|name| ("captions", name));
        let optional = [("product_id", &self.product_id), ("weight", &self.weight)];
        let optional = optional.into_iter().filter_map(|(role, name)| Some((role, name.as_ref()?)));
        let labels = self.labels.iter().map(|name| ("labels", name));
        let image = self.image.iter().map(|name| ("image", name));
        let all = image.chain(captions).chain(optional).chain(labels);
        all.map(|(role, name)| (role, name.as_str())).collect()
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let names = self.image.iter().chain(self.captions.columns());
        names.chain(&self.product_id).chain(&self.weight).chain(&self.labels)
    }
}

fn check(
    shard: &Path,
    schema: &Schema,
    role: &'static str,
    name: &str,
    expected: &'static str,
    fits: fn(&DataType) -> bool,
) -> Result<(), DataError> {
    let Some((_, field)) = resolve(schema, name) else {
        let present: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(DataError::MissingColumn {
            path: shard.into(),
            column: name.into(),
            role,
            present: if present.is_empty() { "(none)".into() } else { present.join(", ") },
        });
    };
    if fits(field.data_type()) {
        return Ok(());
    }
    Err(DataError::ColumnType {
        path: shard.into(),
        column: name.into(),
        role,
        expected,
        found: type_name(field.data_type()),
    })
}

/// What a label's name means that is no column's: a column of names with values (a map, or a list of
/// structs of key and value), written with a dot before one of its keys, such as
/// `attributes.color`: its path, its field, and the key.
pub(crate) fn keyed<'a, 'n>(
    schema: &'a Schema,
    name: &'n str,
) -> Option<(Vec<String>, &'a Field, &'n str)> {
    if resolve(schema, name).is_some() {
        return None;
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let (path, field) = resolve(schema, &name[..dot])?;
        let entry = match field.data_type() {
            DataType::Map(entry, _) | DataType::List(entry) | DataType::LargeList(entry) => entry,
            _ => return None,
        };
        let DataType::Struct(parts) = entry.data_type() else { return None };
        let [key, value] = &parts[..] else { return None };
        let fits = is_label(key.data_type()) && is_label(value.data_type());
        fits.then_some((path, field, &name[dot + 1..]))
    })
}

/// The path and field that a name means: the column of exactly that name, else, at each dot, a
/// field of a struct.
pub(crate) fn resolve<'a>(schema: &'a Schema, name: &str) -> Option<(Vec<String>, &'a Field)> {
    fn find<'a>(fields: &'a Fields, name: &str, path: &mut Vec<String>) -> Option<&'a Field> {
        if let Some((_, field)) = fields.find(name) {
            path.push(name.into());
            return Some(field);
        }
        name.match_indices('.').find_map(|(dot, _)| {
            let (_, field) = fields.find(&name[..dot])?;
            let DataType::Struct(children) = field.data_type() else { return None };
            path.push(name[..dot].into());
            let found = find(children, &name[dot + 1..], path);
            if found.is_none() {
                path.pop();
            }
            found
        })
    }
    let mut path = Vec::new();
    find(schema.fields(), name, &mut path).map(|field| (path, field))
}

/// The roles that a column of this type can play.
pub(crate) fn fitting(kind: &DataType) -> Vec<&'static str> {
    let roles = [
        ("image", is_image(kind)),
        ("captions", is_captions(kind)),
        ("product_id", is_product(kind)),
        ("weight", is_number(kind)),
    ];
    roles.into_iter().filter(|(_, fits)| *fits).map(|(role, _)| role).collect()
}

fn is_bytes(kind: &DataType) -> bool {
    use DataType::*;
    match kind {
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => true,
        Dictionary(_, values) => is_bytes(values),
        _ => false,
    }
}

fn is_image(kind: &DataType) -> bool {
    let DataType::Struct(fields) = kind else { return is_bytes(kind) };
    fields.find("bytes").is_some_and(|(_, field)| is_bytes(field.data_type()))
        && fields.find("path").is_none_or(|(_, field)| is_text(field.data_type()))
}

fn is_text(kind: &DataType) -> bool {
    use DataType::*;
    match kind {
        Utf8 | LargeUtf8 | Utf8View => true,
        Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_captions(kind: &DataType) -> bool {
    use DataType::*;
    match kind {
        List(item) | LargeList(item) | FixedSizeList(item, _) => is_text(item.data_type()),
        ListView(item) | LargeListView(item) => is_text(item.data_type()),
        _ => is_text(kind),
    }
}

fn is_filling(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_filling(values),
        DataType::Boolean => true,
        _ => is_captions(kind) || is_number(kind),
    }
}

pub(crate) fn is_product(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_product(values),
        _ => is_text(kind) || kind.is_integer(),
    }
}

fn is_label(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_label(values),
        _ => is_product(kind) || *kind == DataType::Boolean,
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || matches!(kind, DataType::Decimal128(..))
}

/// A type as Arrow users write it.
pub(crate) fn type_name(kind: &DataType) -> String {
    use DataType::*;
    match kind {
        Utf8 => "string".into(),
        LargeUtf8 => "large_string".into(),
        Utf8View => "string_view".into(),
        List(item) | LargeList(item) | FixedSizeList(item, _) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), type_name(f.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(image: DataType, captions: DataType) -> Schema {
        Schema::new(vec![
            Field::new("image", image, true),
            Field::new("captions", captions, true),
            Field::new("product_id", DataType::Int32, true),
        ])
    }

    fn message(columns: Columns, schema: &Schema) -> String {
        let error = Roles::new(&columns).check(Path::new("a.parquet"), schema);
        error.unwrap_err().to_string()
    }

    #[test]
    fn a_missing_column_lists_those_present() {
        let columns = Columns { image: "picture".into(), ..Columns::default() };
        assert_eq!(
            message(columns, &schema(DataType::Binary, DataType::Utf8)),
            "shard `a.parquet`: no column `picture` for `image`; \
             the columns are: image, captions, product_id"
        );
    }

    #[test]
    fn a_wrong_type_says_expected_and_found() {
        assert_eq!(
            message(Columns::default(), &schema(DataType::Utf8, DataType::Utf8)),
            "shard `a.parquet`: column `image` for `image`: expected binary, large_binary, \
             binary_view or struct<bytes: binary, path: string>, found string"
        );
        let list = DataType::new_list(DataType::Int64, true);
        assert_eq!(
            message(Columns::default(), &schema(DataType::Binary, list)),
            "shard `a.parquet`: column `captions` for `captions`: expected string or \
             list<string>, found list<int64>"
        );
        let template = |text: &str| {
            let captions = serde_json::json!([{"template": text}, "captions"]);
            Columns { captions: serde_json::from_value(captions).unwrap(), ..Columns::default() }
        };
        let fits = schema(DataType::Binary, DataType::Utf8);
        Roles::new(&template("{product_id}")).check(Path::new("a.parquet"), &fits).unwrap();
        assert_eq!(
            message(template("a {image}"), &fits),
            "shard `a.parquet`: column `image` for `captions`: expected string, list<string>, a \
             number or boolean, found binary"
        );
        assert_eq!(
            message(template("{captions}"), &schema(DataType::Binary, DataType::Int64)),
            "shard `a.parquet`: column `captions` for `captions`: expected string or \
             list<string>, found int64"
        );
        assert!(message(template("{title}"), &fits).contains("no column `title` for `captions`"));
        let columns = Columns { weight: Some("captions".into()), ..Columns::default() };
        assert_eq!(
            message(columns, &schema(DataType::Binary, DataType::Utf8)),
            "shard `a.parquet`: column `captions` for `weight`: expected a number, found string"
        );
        let labels = vec!["product_id".into(), "image".into()];
        let roles = Roles { labels, ..Roles::new(&Columns::default()) };
        assert_eq!(
            roles.check(Path::new("a.parquet"), &fits).unwrap_err().to_string(),
            "shard `a.parquet`: column `image` for `labels`: expected string, integer or boolean, \
             or KEY of a map column as COLUMN.KEY, found binary"
        );
    }

    #[test]
    fn dots_reach_into_structs() {
        let inner = Fields::from(vec![Field::new("image", DataType::Binary, true)]);
        let schema = Schema::new(vec![
            Field::new("item", DataType::Struct(inner), true),
            Field::new("a.b", DataType::Utf8, true),
        ]);
        assert_eq!(resolve(&schema, "item.image").unwrap().0, ["item", "image"]);
        assert_eq!(resolve(&schema, "a.b").unwrap().0, ["a.b"]);
        assert!(resolve(&schema, "item.text").is_none());
    }
}
