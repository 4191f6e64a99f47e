//! Whether a footer can be true: what it says is believed later, when memory is taken and rows are
//! counted.

use super::thrift::{Fault, walk};
use arrow_schema::{DataType, Fields};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::RowGroupMetaData;

/// The most texts in a row of a list column, on average over a row group.
const MAX_VALUES_PER_ROW: u64 = 4096;
/// The most bytes of a value where all have the same length: nulls take as many.
const MAX_FIXED_BYTES: i32 = 1 << 20;
/// Groups of columns within groups.
const MAX_SCHEMA_DEPTH: usize = 64;

/// What parquet must not even parse.
pub(super) fn check_bytes(footer: &[u8]) -> Result<(), &'static str> {
    // The schema is a tree in the order of a walk through it; each node states its children.
    let (mut open, mut depth) = (Vec::<i64>::new(), 0);
    let walked = walk(footer, |path, value| {
        if let [2, 0, 5] = path {
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(value);
            depth = depth.max(open.len());
        }
    });
    match walked {
        Err(Fault::Short) => Err("it is cut off"),
        Err(Fault::Wrong(reason)) => Err(reason),
        Ok(_) if depth > MAX_SCHEMA_DEPTH => Err("its columns nest too deeply"),
        Ok(_) => Ok(()),
    }
}

/// What is wrong with a footer of a file of `size` bytes, of which the columns of `projection` will be
/// read.
pub(super) fn check(
    metadata: &ArrowReaderMetadata,
    projection: &ProjectionMask,
    size: u64,
) -> Result<(), String> {
    check_lists(metadata.schema().fields())?;
    let columns = metadata.parquet_schema().columns().iter().enumerate();
    for (_, column) in columns.filter(|(leaf, _)| projection.leaf_included(*leaf)) {
        if column.type_length() > MAX_FIXED_BYTES {
            let (path, length) = (column.path(), column.type_length());
            return Err(format!("column `{path}` has values of {length} bytes each"));
        }
    }
    for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
        check_group(group, projection, size)
            .map_err(|reason| format!("row group {index}: {reason}"))?;
    }
    Ok(())
}

/// Lists that all have the same length take it for nulls, too.
fn check_lists(fields: &Fields) -> Result<(), String> {
    for field in fields {
        match field.data_type() {
            DataType::FixedSizeList(_, length) if *length as u64 > MAX_VALUES_PER_ROW => {
                return Err(format!("column `{}` has lists of {length} each", field.name()));
            }
            DataType::Struct(children) => check_lists(children)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_group(
    group: &RowGroupMetaData,
    projection: &ProjectionMask,
    size: u64,
) -> Result<(), String> {
    let rows = group.num_rows();
    let most = u64::try_from(rows).map(|rows| rows.saturating_mul(MAX_VALUES_PER_ROW));
    let Ok(most) = most else { return Err(format!("it states {rows} rows")) };
    let columns = group.columns().iter().enumerate();
    for (_, column) in columns.filter(|(leaf, _)| projection.leaf_included(*leaf)) {
        let wrong = |what: String| Err(format!("column `{}` {what}", column.column_path()));
        let values = column.num_values();
        let lists = column.column_descr().max_rep_level() > 0;
        let fits = match lists {
            // A row takes a value at least: an empty list, a null.
            true => values >= rows && values as u64 <= most,
            false => values == rows,
        };
        if !fits {
            return wrong(format!("states {values} values for {rows} rows"));
        }
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let length = column.compressed_size();
        let end = start.checked_add(length).and_then(|end| u64::try_from(end).ok());
        if start < 0 || length < 0 || end.is_none_or(|end| end > size) {
            return wrong(format!("lies at {start}, {length} bytes long, in a file of {size}"));
        }
        if column.uncompressed_size() < 0 {
            return wrong(format!("states {} bytes", column.uncompressed_size()));
        }
    }
    Ok(())
}
