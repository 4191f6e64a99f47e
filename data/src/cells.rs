//! One cell of an Arrow array, whatever encoding the writer chose: bytes, text, texts, a number,
//! any of these as text.
//!
//! Each function takes an array whose type [`crate::columns`] has accepted; another type reads
//! as null.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// The array at a path of struct fields.
pub(crate) fn at_path(batch: &RecordBatch, path: &[String]) -> Option<ArrayRef> {
    let (first, rest) = path.split_first()?;
    let mut array = batch.column_by_name(first)?.clone();
    for name in rest {
        array = array.as_struct_opt()?.column_by_name(name)?.clone();
    }
    Some(array)
}

/// Whether any struct on the path is null in `row`: a null parent makes its fields null.
pub(crate) fn is_null(batch: &RecordBatch, path: &[String], row: usize) -> bool {
    (1..=path.len())
        .any(|depth| at_path(batch, &path[..depth]).is_none_or(|array| array.is_null(row)))
}

/// A cell of bytes.
pub(crate) fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        DataType::Dictionary(..) => {
            let (values, key) = dictionary(array, row)?;
            bytes(values, key)
        }
        _ => None,
    }
}

/// A cell of text.
pub(crate) fn text(array: &dyn Array, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let (values, key) = dictionary(array, row)?;
            text(values, key)
        }
        _ => None,
    }
}

/// A cell of one text or a list of texts; nulls are left out.
pub(crate) fn texts(array: &dyn Array, row: usize) -> Vec<String> {
    if array.is_null(row) {
        return Vec::new();
    }
    let list = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        _ => return text(array, row).map(str::to_owned).into_iter().collect(),
    };
    (0..list.len()).filter_map(|i| text(&list, i).map(str::to_owned)).collect()
}

/// A cell of one text or a list of texts, or a number or boolean as text. NaN and infinities, which
/// some writers put for null, show as nothing.
pub(crate) fn shown(array: &dyn Array, row: usize) -> Vec<String> {
    if array.is_null(row) {
        return Vec::new();
    }
    let finite = |value: f64, shown: String| value.is_finite().then_some(shown);
    let one = match array.data_type() {
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row).to_f32();
            finite(value.into(), value.to_string())
        }
        // With the digits that this precision needs: 0.1, not 0.10000000149011612.
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            finite(value.into(), value.to_string())
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            finite(value, value.to_string())
        }
        DataType::Decimal128(..) => {
            Some(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        kind if kind.is_integer() => identity(array, row),
        DataType::Dictionary(..) => {
            return dictionary(array, row).map_or(vec![], |(values, key)| shown(values, key));
        }
        _ => return texts(array, row),
    };
    one.into_iter().collect()
}

/// The value of `key` in a cell of names with values, as text.
pub(crate) fn value_of(array: &dyn Array, row: usize, key: &str) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let entries: ArrayRef = match array.data_type() {
        DataType::Map(..) => std::sync::Arc::new(array.as_map().value(row)),
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => return None,
    };
    let [keys, values] = entries.as_struct_opt()?.columns() else { return None };
    let at = (0..keys.len()).find(|at| identity(keys, *at).as_deref() == Some(key))?;
    shown(values, at).pop()
}

/// A cell of text or an integer, as text.
pub(crate) fn identity(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    if let DataType::Dictionary(..) = array.data_type() {
        let (values, key) = dictionary(array, row)?;
        return identity(values, key);
    }
    macro_rules! integer {
        ($($kind:ident => $native:ty),*) => {
            match array.data_type() {
                $(DataType::$kind => Some(array.as_primitive::<$native>().value(row).to_string()),)*
                _ => text(array, row).map(str::to_owned),
            }
        };
    }
    integer!(
        Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
        UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
    )
}

/// A cell of any number, as the nearest f64.
pub(crate) fn number(array: &dyn Array, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Float16 => Some(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => Some(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row);
            Some(unscaled as f64 / 10f64.powi((*scale).into()))
        }
        _ => identity(array, row)?.parse().ok(),
    }
}

/// The values of a dictionary array, and the value's index at `row`.
fn dictionary(array: &dyn Array, row: usize) -> Option<(&dyn Array, usize)> {
    let dictionary = array.as_any_dictionary_opt()?;
    let key: usize = identity(dictionary.keys(), row)?.parse().ok()?;
    Some((dictionary.values().as_ref(), key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::*;

    #[test]
    fn texts_of_every_encoding() {
        let dictionary: DictionaryArray<Int8Type> =
            vec![Some("b"), None, Some("a")].into_iter().collect();
        assert_eq!(texts(&dictionary, 2), ["a"]);
        assert!(texts(&dictionary, 1).is_empty());
        assert_eq!(texts(&StringViewArray::from(vec!["x"]), 0), ["x"]);
        assert_eq!(texts(&LargeStringArray::from(vec!["x"]), 0), ["x"]);
        let mut list = builder::ListBuilder::new(builder::StringBuilder::new());
        list.append_value([Some("one"), None, Some("two")]);
        list.append_null();
        list.append_value(Vec::<Option<&str>>::new());
        let list = list.finish();
        assert_eq!(texts(&list, 0), ["one", "two"]);
        assert!(texts(&list, 1).is_empty() && texts(&list, 2).is_empty());
    }

    #[test]
    fn whatever_is_in_a_template_shows() {
        let one = |array: &dyn Array| shown(array, 0).join("|");
        assert_eq!(one(&BooleanArray::from(vec![true])), "true");
        assert_eq!(one(&Int8Array::from(vec![-3])), "-3");
        assert_eq!(one(&Float32Array::from(vec![0.1])), "0.1");
        assert_eq!(one(&Float64Array::from(vec![250.0])), "250");
        let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(one(&decimal), "12.50");
        assert_eq!(one(&StringArray::from(vec!["x"])), "x");
        let keys = Int8Array::from(vec![1]);
        let values: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 2.5]));
        assert_eq!(one(&DictionaryArray::new(keys, values)), "2.5");
        for missing in [f64::NAN, f64::INFINITY] {
            assert!(shown(&Float64Array::from(vec![missing]), 0).is_empty());
        }
        assert!(shown(&BooleanArray::from(vec![None]), 0).is_empty());
    }

    #[test]
    fn bytes_of_every_encoding() {
        assert_eq!(bytes(&BinaryViewArray::from(vec![b"x".as_slice()]), 0), Some(b"x".as_slice()));
        assert_eq!(bytes(&LargeBinaryArray::from(vec![b"x".as_slice()]), 0), Some(b"x".as_slice()));
        let fixed = FixedSizeBinaryArray::try_from_iter([[1u8, 2], [3, 4]].into_iter()).unwrap();
        assert_eq!(bytes(&fixed, 1), Some([3u8, 4].as_slice()));
        let values = BinaryArray::from(vec![b"p".as_slice(), b"q".as_slice()]);
        let keys = UInt16Array::from(vec![Some(1), None]);
        let dictionary = DictionaryArray::new(keys, std::sync::Arc::new(values));
        assert_eq!(bytes(&dictionary, 0), Some(b"q".as_slice()));
        assert_eq!(bytes(&dictionary, 1), None);
    }

    #[test]
    fn identities_and_numbers() {
        assert_eq!(identity(&Int64Array::from(vec![-7]), 0).as_deref(), Some("-7"));
        assert_eq!(identity(&StringArray::from(vec!["p"]), 0).as_deref(), Some("p"));
        assert_eq!(number(&UInt8Array::from(vec![3]), 0), Some(3.0));
        assert_eq!(number(&Float32Array::from(vec![0.5]), 0), Some(0.5));
        let decimal = Decimal128Array::from(vec![125]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(number(&decimal, 0), Some(1.25));
        assert_eq!(number(&Float64Array::from(vec![None]), 0), None);
    }
}
