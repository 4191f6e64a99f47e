//! Arrow's types and values as cells.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use bytes::Bytes;

use super::cell::Cell;
use super::plan::{AttributeColumns, BoxPlan, Plan};

/// What column `index` of the plan should be, if a column of this type cannot play its roles.
pub(super) fn misfit(plan: &Plan, index: usize, kind: &DataType) -> Option<&'static str> {
    let texts = [Some(plan.title), plan.description, plan.product_type, plan.group];
    let each = match &plan.attributes {
        AttributeColumns::Each(columns) => columns.as_slice(),
        AttributeColumns::Packed(_) => &[],
    };
    let numbers: &[usize] = match &plan.given_box {
        Some(BoxPlan::Four(columns)) => columns,
        _ => &[],
    };
    let one_box = matches!(&plan.given_box, Some(BoxPlan::One(column)) if *column == index);
    let packed = matches!(&plan.attributes, AttributeColumns::Packed(column) if *column == index);
    let checks = [
        (index == plan.product_id, is_id(kind), "a string or integer"),
        (texts.contains(&Some(index)), is_scalar(kind), "a string or number"),
        (plan.image == Some(index), is_image(kind), "binary, struct<bytes, path> or string"),
        (plan.weight == Some(index), is_scalar(kind), "a number"),
        (each.contains(&index), is_scalar(kind) || is_list(kind), "a string, number or list"),
        (packed, is_packed(kind), "a map, struct, list<struct<key, value>> or JSON in a string"),
        (numbers.contains(&index), is_scalar(kind), "a number"),
        (one_box, is_scalar(kind) || is_list(kind), "a list of four numbers"),
    ];
    checks.into_iter().find(|(plays, fits, _)| *plays && !fits).map(|(_, _, expected)| expected)
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_id(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_id(values),
        _ => is_text(kind) || kind.is_integer(),
    }
}

fn is_scalar(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_scalar(values),
        DataType::Boolean | DataType::Decimal128(..) => true,
        _ => is_id(kind) || kind.is_floating(),
    }
}

fn items(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

fn is_list(kind: &DataType) -> bool {
    items(kind).is_some_and(is_scalar)
}

fn is_packed(kind: &DataType) -> bool {
    let entry = |kind: &DataType| matches!(kind, DataType::Struct(fields) if fields.len() == 2);
    matches!(kind, DataType::Struct(_) | DataType::Map(..))
        || is_text(kind)
        || items(kind).is_some_and(entry)
}

fn is_image(kind: &DataType) -> bool {
    let DataType::Struct(fields) = kind else { return is_bytes(kind) || is_text(kind) };
    fields.find("bytes").is_some_and(|(_, field)| is_bytes(field.data_type()))
        && fields.find("path").is_none_or(|(_, field)| is_text(field.data_type()))
}

fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => is_bytes(values),
        _ => false,
    }
}

/// The value of a row.
pub(super) fn cell(array: &ArrayRef, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    macro_rules! number {
        ($kind:ty) => {
            Cell::Text(array.as_primitive::<$kind>().value(row).to_string())
        };
    }
    let bytes = |bytes: &[u8]| Cell::Bytes(Bytes::copy_from_slice(bytes));
    let text = |text: &str| Cell::Text(text.to_owned());
    match array.data_type() {
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(array.as_string_view().value(row)),
        DataType::Binary => bytes(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(array.as_binary_view().value(row)),
        DataType::Boolean => Cell::Text(array.as_boolean().value(row).to_string()),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => number!(Float16Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Decimal128(..) => {
            Cell::Text(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match dictionary.normalized_keys().get(row) {
                Some(key) => cell(dictionary.values(), *key),
                None => Cell::Null,
            }
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |i| match cell(keys, i) {
                Cell::Text(key) => (key, cell(values, i)),
                _ => (String::new(), cell(values, i)),
            };
            Cell::Map((0..entries.len()).map(entry).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Cell::Map(columns.map(|(f, column)| (f.name().clone(), cell(column, row))).collect())
        }
        // Columns of other types play no role; within structs they count as nothing.
        _ => Cell::Null,
    }
}

fn list(items: &ArrayRef) -> Cell {
    Cell::List((0..items.len()).map(|i| cell(items, i)).collect())
}
