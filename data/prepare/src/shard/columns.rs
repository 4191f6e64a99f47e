//! The schema of the shard contract (v1), and the columns of the row group being filled.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Float32Builder, Int32Builder, ListBuilder, StringBuilder, StructBuilder,
};
use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use bytes::Bytes;

use super::row::ShardRow;

/// Which of the contract's optional columns a set of shards has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionalColumns {
    /// `group`: what near-duplicates and variants have in common.
    pub group: bool,
    /// `image_raw`: the picture before cropping.
    pub image_raw: bool,
    /// `attributes`: names and values.
    pub attributes: bool,
    /// `weight`: the row's weight in the loss.
    pub weight: bool,
}

/// The Arrow schema of a shard with these optional columns.
///
/// `attributes` is a list of `{key, value}` entries, not Parquet's MAP: both hold the same bytes,
/// but Hugging Face `datasets` refuses to open any file that has a MAP column. (In DuckDB,
/// `map_from_entries(attributes)` makes it a map.)
pub fn shard_schema(optional: OptionalColumns) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let mut fields = vec![text("product_id")];
    if optional.group {
        fields.push(text("group"));
    }
    fields.push(Field::new("image", DataType::Binary, false));
    if optional.image_raw {
        fields.push(Field::new("image_raw", DataType::Binary, false));
    }
    fields.push(Field::new("captions", DataType::List(Arc::new(caption_item())), false));
    fields.extend([text("caption_raw"), text("caption_refined"), text("product_type")]);
    if optional.attributes {
        fields.push(Field::new("attributes", DataType::List(Arc::new(attribute_item())), false));
    }
    if optional.weight {
        fields.push(Field::new("weight", DataType::Float32, false));
    }
    fields.extend([
        text("grounding"),
        Field::new("box", DataType::Struct(box_fields()), true),
        Field::new("box_score", DataType::Float32, true),
        Field::new("caption_rounds", DataType::Int32, false),
        text("caption_stop"),
        text("caption_model"),
    ]);
    Arc::new(Schema::new(fields))
}

fn caption_item() -> Field {
    Field::new("item", DataType::Utf8, false)
}

fn attribute_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
    ])
}

fn attribute_item() -> Field {
    Field::new("item", DataType::Struct(attribute_fields()), false)
}

fn box_fields() -> Fields {
    Fields::from(
        ["x0", "y0", "x1", "y1"].map(|name| Field::new(name, DataType::Float32, true)).to_vec(),
    )
}

/// The rows of one row group, column by column.
pub(super) struct Columns {
    schema: SchemaRef,
    optional: OptionalColumns,
    rows: usize,
    bytes: usize,
    product_id: StringBuilder,
    group: StringBuilder,
    image: BinaryBuilder,
    image_raw: BinaryBuilder,
    captions: ListBuilder<StringBuilder>,
    caption_raw: StringBuilder,
    caption_refined: StringBuilder,
    product_type: StringBuilder,
    attributes: ListBuilder<StructBuilder>,
    weight: Float32Builder,
    grounding: StringBuilder,
    box_px: StructBuilder,
    box_score: Float32Builder,
    caption_rounds: Int32Builder,
    caption_stop: StringBuilder,
    caption_model: StringBuilder,
}

impl Columns {
    pub(super) fn new(optional: OptionalColumns) -> Self {
        Columns {
            schema: shard_schema(optional),
            optional,
            rows: 0,
            bytes: 0,
            product_id: StringBuilder::new(),
            group: StringBuilder::new(),
            image: BinaryBuilder::new(),
            image_raw: BinaryBuilder::new(),
            captions: ListBuilder::new(StringBuilder::new()).with_field(caption_item()),
            caption_raw: StringBuilder::new(),
            caption_refined: StringBuilder::new(),
            product_type: StringBuilder::new(),
            attributes: ListBuilder::new(StructBuilder::from_fields(attribute_fields(), 0))
                .with_field(attribute_item()),
            weight: Float32Builder::new(),
            grounding: StringBuilder::new(),
            box_px: StructBuilder::from_fields(box_fields(), 0),
            box_score: Float32Builder::new(),
            caption_rounds: Int32Builder::new(),
            caption_stop: StringBuilder::new(),
            caption_model: StringBuilder::new(),
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Encoded picture bytes held, which is nearly all of the memory taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is wrong with `row`, if anything, for shards with these columns.
    pub(super) fn problem(&self, row: &ShardRow) -> Option<String> {
        let unequal = |column: &str, wanted: bool, has: bool| {
            (wanted != has).then(|| match wanted {
                true => format!("column `{column}` is written but this row has no value for it"),
                false => format!("has a value for `{column}`, a column that is not written"),
            })
        };
        if row.product_id.is_empty() {
            return Some("the product id is empty".into());
        }
        if row.captions.is_empty() {
            return Some("it has no captions: expected at least one".into());
        }
        if !self.optional.attributes && !row.attributes.is_empty() {
            return unequal("attributes", false, true);
        }
        unequal("group", self.optional.group, row.group.is_some())
            .or_else(|| unequal("image_raw", self.optional.image_raw, row.image_raw.is_some()))
            .or_else(|| unequal("weight", self.optional.weight, row.weight.is_some()))
    }

    pub(super) fn push(&mut self, row: &ShardRow) {
        self.rows += 1;
        self.bytes += row.image.len() + row.image_raw.as_ref().map_or(0, Bytes::len);
        self.product_id.append_value(&row.product_id);
        if let Some(group) = &row.group {
            self.group.append_value(group);
        }
        self.image.append_value(&row.image);
        if let Some(picture) = &row.image_raw {
            self.image_raw.append_value(picture);
        }
        row.captions.iter().for_each(|text| self.captions.values().append_value(text));
        self.captions.append(true);
        self.caption_raw.append_value(&row.caption_raw);
        self.caption_refined.append_value(&row.caption_refined);
        self.product_type.append_value(&row.product_type);
        self.push_attributes(&row.attributes);
        if let Some(weight) = row.weight {
            self.weight.append_value(weight);
        }
        self.grounding.append_value(row.grounding.name());
        let edges = row.box_px.map(|b| [b.x0, b.y0, b.x1, b.y1]);
        for side in 0..4 {
            if let Some(edge) = self.box_px.field_builder::<Float32Builder>(side) {
                edge.append_option(edges.map(|e| e[side]));
            }
        }
        self.box_px.append(edges.is_some());
        self.box_score.append_option(row.box_score);
        self.caption_rounds.append_value(row.caption_rounds);
        self.caption_stop.append_value(&row.caption_stop);
        self.caption_model.append_value(&row.caption_model);
    }

    fn push_attributes(&mut self, attributes: &[(String, String)]) {
        for (key, value) in attributes {
            let entry = self.attributes.values();
            for (side, text) in [key, value].into_iter().enumerate() {
                if let Some(column) = entry.field_builder::<StringBuilder>(side) {
                    column.append_value(text);
                }
            }
            entry.append(true);
        }
        self.attributes.append(true);
    }

    /// Takes the rows out as one record batch and starts anew.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = self.rows;
        self.rows = 0;
        self.bytes = 0;
        let group = self.group.finish();
        let image = finish_pictures(&mut self.image, rows);
        let image_raw = finish_pictures(&mut self.image_raw, rows);
        let attributes = self.attributes.finish();
        let weight = self.weight.finish();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.product_id.finish())];
        if self.optional.group {
            columns.push(Arc::new(group));
        }
        columns.push(Arc::new(image));
        if self.optional.image_raw {
            columns.push(Arc::new(image_raw));
        }
        columns.push(Arc::new(self.captions.finish()));
        columns.push(Arc::new(self.caption_raw.finish()));
        columns.push(Arc::new(self.caption_refined.finish()));
        columns.push(Arc::new(self.product_type.finish()));
        if self.optional.attributes {
            columns.push(Arc::new(attributes));
        }
        if self.optional.weight {
            columns.push(Arc::new(weight));
        }
        columns.push(Arc::new(self.grounding.finish()));
        columns.push(Arc::new(self.box_px.finish()));
        columns.push(Arc::new(self.box_score.finish()));
        columns.push(Arc::new(self.caption_rounds.finish()));
        columns.push(Arc::new(self.caption_stop.finish()));
        columns.push(Arc::new(self.caption_model.finish()));
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// Takes the pictures out, and makes room for as many bytes again: row groups are about equal.
fn finish_pictures(pictures: &mut BinaryBuilder, rows: usize) -> BinaryArray {
    let bytes = pictures.values_slice().len();
    let next = BinaryBuilder::with_capacity(rows, bytes + bytes / 8);
    std::mem::replace(pictures, next).finish()
}
