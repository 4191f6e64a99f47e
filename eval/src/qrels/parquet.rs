//! Judgements in Parquet: one row each, in the columns `query_id`, `item_id` (text or integers) and
//! `grade` (integers). Other columns are passed over.

use crate::{EvalError, Qrels};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;

const IDS: [&str; 2] = ["query_id", "item_id"];
const GRADE: &str = "grade";

pub(super) fn read(path: &Path) -> Result<Qrels, EvalError> {
    let failed = |source| EvalError::Io { action: "read", path: path.to_owned(), source };
    let wrong = |problem: String| EvalError::QrelsTable { path: path.to_owned(), problem };
    let file = File::open(path).map_err(failed)?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(error.to_string()))?;
    check(builder.schema()).map_err(wrong)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [IDS[0], IDS[1], GRADE]);
    let reader = builder.with_projection(mask).build().map_err(|error| wrong(error.to_string()))?;
    let mut qrels = Qrels::default();
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| wrong(error.to_string()))?;
        for row in 0..batch.num_rows() {
            let cell = |name: &str| {
                let text = batch.column_by_name(name).and_then(|column| text(column, row));
                text.ok_or_else(|| wrong(format!("row {}, column `{name}` is null", rows + row)))
            };
            let (query, item, grade) = (cell(IDS[0])?, cell(IDS[1])?, cell(GRADE)?);
            let grade = grade.parse().map_err(|_| {
                let at = rows + row;
                wrong(format!(
                    "row {at}, column `{GRADE}`: {grade} is not a whole number of 32 bits"
                ))
            })?;
            qrels.add(query, item, grade)?;
        }
        rows += batch.num_rows();
    }
    Ok(qrels)
}

/// Refuses a table that lacks a column or has one of another type.
fn check(schema: &Schema) -> Result<(), String> {
    for (name, expected) in
        [(IDS[0], "text or integers"), (IDS[1], "text or integers"), (GRADE, "integers")]
    {
        let Ok(field) = schema.field_with_name(name) else {
            let found: Vec<&str> =
                schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(format!(
                "no column `{name}`: expected `query_id`, `item_id` and `grade`, found `{}`",
                found.join("`, `")
            ));
        };
        let kind = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            kind => kind,
        };
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if !kind.is_integer() && (name == GRADE || !is_text) {
            return Err(format!("column `{name}` holds {kind}: expected {expected}"));
        }
    }
    Ok(())
}

/// A cell of text or an integer, as text; `None` if it is null.
fn text(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    macro_rules! cell {
        ($($kind:ident: $native:ty),*) => {
            match array.data_type() {
                DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
                DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
                DataType::Utf8View => array.as_string_view().value(row).to_owned(),
                DataType::Dictionary(..) => {
                    let dictionary = array.as_any_dictionary_opt()?;
                    let key = text(dictionary.keys(), row)?.parse().ok()?;
                    text(dictionary.values(), key)?
                }
                $(DataType::$kind => array.as_primitive::<$native>().value(row).to_string(),)*
                _ => return None,
            }
        };
    }
    Some(cell!(
        Int8: Int8Type, Int16: Int16Type, Int32: Int32Type, Int64: Int64Type, UInt8: UInt8Type,
        UInt16: UInt16Type, UInt32: UInt32Type, UInt64: UInt64Type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
        StringViewArray, UInt8Array,
    };
    use parquet::arrow::ArrowWriter;
    use std::sync::Arc;

    fn read_table(columns: Vec<(&str, ArrayRef)>) -> Result<Qrels, String> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("judged.parquet");
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let file = File::create(&path).expect("creates");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
        writer.write(&batch).expect("writes");
        writer.close().expect("closes");
        let shown = path.display().to_string();
        Qrels::read(&path).map_err(|error| error.to_string().replace(&shown, "FILE"))
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn reads_text_and_integers_of_any_width() {
        let expected = Qrels::new([("q1", "7", 2), ("q1", "8", 0), ("q2", "7", 1)]).expect("valid");
        let items: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 7]));
        let queries: DictionaryArray<Int8Type> = vec!["q1", "q1", "q2"].into_iter().collect();
        for (queries, grades) in [
            (Arc::new(queries) as ArrayRef, Arc::new(UInt8Array::from(vec![2, 0, 1])) as ArrayRef),
            (
                Arc::new(StringViewArray::from(vec!["q1", "q1", "q2"])),
                Arc::new(Int64Array::from(vec![2, 0, 1])),
            ),
        ] {
            let note = texts(&[None, None, None]);
            let columns = vec![
                ("note", note),
                ("grade", grades),
                ("query_id", queries),
                ("item_id", items.clone()),
            ];
            assert_eq!(read_table(columns), Ok(expected.clone()));
        }
    }

    #[test]
    fn names_file_row_and_column_of_what_it_cannot_read() {
        let ids = || texts(&[Some("a"), Some("b")]);
        let table = |items: ArrayRef, grades: ArrayRef| {
            read_table(vec![("query_id", ids()), ("item_id", items), ("grade", grades)])
                .expect_err("refused")
        };
        let grades = |second: Option<i64>| Arc::new(Int64Array::from(vec![Some(1), second]));
        assert_eq!(
            table(texts(&[Some("a"), None]), grades(Some(1))),
            "`FILE` is not a table of judgements: row 1, column `item_id` is null"
        );
        assert_eq!(
            table(ids(), grades(None)),
            "`FILE` is not a table of judgements: row 1, column `grade` is null"
        );
        assert_eq!(
            table(ids(), grades(Some(1 << 40))),
            "`FILE` is not a table of judgements: row 1, column `grade`: 1099511627776 is not a \
             whole number of 32 bits"
        );
        assert_eq!(
            table(ids(), Arc::new(Float64Array::from(vec![1.0, 0.5]))),
            "`FILE` is not a table of judgements: column `grade` holds Float64: expected integers"
        );
        assert_eq!(
            read_table(vec![("query_id", ids()), ("item", ids())]).expect_err("refused"),
            "`FILE` is not a table of judgements: no column `item_id`: expected `query_id`, \
             `item_id` and `grade`, found `query_id`, `item`"
        );
        let twice = texts(&[Some("a"), Some("a")]);
        let columns =
            vec![("query_id", twice.clone()), ("item_id", twice), ("grade", grades(Some(1)))];
        let columns = columns.into_iter().map(|(name, array)| (name, array as ArrayRef)).collect();
        assert_eq!(
            read_table(columns).expect_err("twice"),
            "query `a` and item `a` are judged twice in the qrels: keep one judgement of each pair"
        );
        let dir = tempfile::tempdir().expect("temporary folder");
        let text = dir.path().join("qrels.parquet");
        std::fs::write(&text, "q1 0 a 1\n").expect("writes");
        let message = Qrels::read(&text).expect_err("no Parquet").to_string();
        assert!(message.contains("qrels.parquet` is not a table of judgements: "), "{message}");
    }
}
