//! How shards are written: columns, row groups, compression, page index, checksums. All of it from
//! the footers, but for the checksums, which stand in the pages' headers.

use super::Spread;
use super::rows::Rows;
use crate::DataError;
use crate::columns::{fitting, resolve, type_name};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use serde::Serialize;
use std::collections::BTreeMap;

/// Shards whose first page is looked at for a checksum.
const PAGES: usize = 16;

/// A column of the first shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name; fields of structs that play a role are listed with their path in dots.
    pub name: String,
    /// Its type, as Arrow users write it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The role that it plays.
    pub role: Option<&'static str>,
    /// The roles that its type fits.
    pub fits: Vec<&'static str>,
    /// Nulls in all shards, where every footer states them.
    pub nulls: Option<u64>,
}

/// The row groups of all shards. Bytes are those of the columns that play a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowGroups {
    /// How many there are.
    pub count: u64,
    /// Rows of one.
    pub rows: Spread,
    /// Bytes of one in the file.
    pub stored_bytes: Spread,
    /// Bytes of one when uncompressed.
    pub bytes: Spread,
    /// Row groups by the compression of their picture column.
    pub compression: BTreeMap<String, u64>,
    /// Row groups whose picture column has a page index.
    pub page_index: u64,
    /// Shards of those looked at whose pages carry a checksum (CRC).
    pub checksums: u64,
    /// Shards looked at for checksums, spread over all.
    pub checksums_of: u64,
}

impl RowGroups {
    /// The probability that two rows of a global batch come from one window of one row group, by
    /// the order of `order.rs`. An estimate, from the median row group.
    ///
    /// Two rows of one window of W rows lie d apart with density 2 (W - d) / W^2 and share a row
    /// group of g rows with probability max(0, 1 - d/g).
    pub fn together_in_batch(
        &self,
        rows: u64,
        batch: usize,
        streams: usize,
        window_rows: usize,
    ) -> f64 {
        let group = self.rows.median.max(1) as f64;
        let window = (window_rows as f64).min(rows as f64 / streams as f64);
        let in_window = if group < window {
            group / window - (group / window).powi(2) / 3.0
        } else {
            1.0 - window / (3.0 * group)
        };
        let share = (batch as f64 / streams as f64).max(1.0);
        let beside = (share - 1.0) / (batch as f64 - 1.0).max(1.0);
        beside * in_window
    }

    /// The probability that two rows of a uniform permutation come from one row group.
    pub fn together_if_uniform(&self, rows: u64) -> f64 {
        (self.rows.median as f64 / rows as f64).min(1.0)
    }
}

/// Columns of the first shard, those in structs only where they play a role, and the number of
/// shards whose columns differ from it in name or type.
pub(super) fn columns(rows: &Rows) -> Result<(Vec<Column>, u64), DataError> {
    let roles = rows.shards.roles.by_name();
    let types = |metadata: &ArrowReaderMetadata| -> Vec<(String, String)> {
        let fields = metadata.schema().fields().iter();
        fields.map(|field| (field.name().clone(), type_name(field.data_type()))).collect()
    };
    let (first, _) = rows.shards.layout(0)?;
    let (mut columns, of_first, mut differ) = (list(&first, &roles), types(&first), 0);
    columns.iter_mut().for_each(|column| column.nulls = Some(0));
    for shard in 0..rows.shards.files.len() {
        let (metadata, _) = rows.shards.layout(shard)?;
        differ += u64::from(types(&metadata) != of_first);
        for column in &mut columns {
            let here = nulls(&metadata, &column.name);
            column.nulls = column.nulls.zip(here).map(|(before, here)| before + here);
        }
    }
    Ok((columns, differ))
}

/// The columns of one file, and the roles that they play.
pub(super) fn list(metadata: &ArrowReaderMetadata, roles: &[(&'static str, &str)]) -> Vec<Column> {
    let schema = metadata.schema();
    let column = |name: &str, kind| Column {
        name: name.into(),
        kind: type_name(kind),
        role: roles.iter().find(|(_, of)| *of == name).map(|(role, _)| *role),
        fits: fitting(kind),
        nulls: None,
    };
    let top = schema.fields().iter().map(|field| column(field.name(), field.data_type()));
    let nested = roles.iter().filter_map(|(_, name)| {
        let (path, field) = resolve(schema, name)?;
        (path.len() > 1).then(|| column(name, field.data_type()))
    });
    top.chain(nested).collect()
}

/// Nulls of a column with one leaf, if every row group states them.
fn nulls(metadata: &ArrowReaderMetadata, name: &str) -> Option<u64> {
    let leaves = metadata.parquet_schema().columns().iter().enumerate();
    let mut leaves = leaves.filter(|(_, column)| column.path().parts() == [name]);
    let (leaf, _) = leaves.next()?;
    let groups = metadata.metadata().row_groups().iter();
    groups.map(|group| group.column(leaf).statistics()?.null_count_opt()).sum()
}

/// The row groups of all shards.
pub(super) fn row_groups(rows: &Rows) -> Result<RowGroups, DataError> {
    let shards = &rows.shards;
    let of = |size: fn(&crate::shards::Group) -> u64| {
        Spread::of(shards.groups.iter().map(size).collect()).unwrap_or(Spread {
            min: 0,
            median: 0,
            p95: 0,
            max: 0,
        })
    };
    let mut compression = BTreeMap::new();
    let (mut page_index, mut first_pages) = (0, Vec::new());
    for index in 0..shards.files.len() {
        let (metadata, projection) = shards.layout(index)?;
        let Some(leaf) = picture_leaf(rows, &metadata, &projection) else { continue };
        for (number, group) in metadata.metadata().row_groups().iter().enumerate() {
            let column = group.column(leaf);
            let codec = format!("{:?}", column.compression()).to_lowercase();
            let codec = codec.split('(').next().unwrap_or_default().to_owned();
            *compression.entry(codec).or_default() += 1;
            page_index += u64::from(column.offset_index_offset().is_some());
            if number == 0 {
                let page = column.dictionary_page_offset().unwrap_or(i64::MAX);
                first_pages.push((index, page.min(column.data_page_offset())));
            }
        }
    }
    let step = first_pages.len().div_ceil(PAGES).max(1);
    let (mut checksums, mut checksums_of) = (0, 0);
    for (shard, offset) in first_pages.into_iter().step_by(step) {
        let Ok(offset) = u64::try_from(offset) else { continue };
        checksums_of += 1;
        checksums += u64::from(has_checksum(&rows.head(shard, offset, 64)?));
    }
    Ok(RowGroups {
        count: shards.groups.len() as u64,
        rows: of(|group| group.rows),
        stored_bytes: of(|group| group.stored_bytes),
        bytes: of(|group| group.bytes),
        compression,
        page_index,
        checksums,
        checksums_of,
    })
}

/// The leaf of a shard that holds the pictures' bytes.
fn picture_leaf(
    rows: &Rows,
    metadata: &ArrowReaderMetadata,
    projection: &ProjectionMask,
) -> Option<usize> {
    let (path, _) = resolve(metadata.schema(), rows.shards.roles.image.as_deref()?)?;
    let mut leaves = metadata.parquet_schema().columns().iter().enumerate();
    let found = leaves.find(|(leaf, column)| {
        projection.leaf_included(*leaf) && column.path().parts().starts_with(&path)
    });
    found.map(|(leaf, _)| leaf)
}

/// Whether a page header, in Thrift's compact protocol, carries a checksum: its fields 1 to 3 are
/// the type and two sizes, always there, and field 4, if present, is the CRC.
///
/// Source: parquet.thrift, `struct PageHeader`; the compact protocol writes a field as a byte
/// (distance to the former field's id, type) and an i32 (type 5) as a varint.
fn has_checksum(header: &[u8]) -> bool {
    const NEXT_I32: u8 = 0x15;
    let mut rest = header;
    for _ in 0..3 {
        let Some((&NEXT_I32, varint)) = rest.split_first() else { return false };
        let Some(last) = varint.iter().position(|byte| byte & 0x80 == 0) else { return false };
        rest = &varint[last + 1..];
    }
    rest.first() == Some(&NEXT_I32)
}
