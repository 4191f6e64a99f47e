//! Rows as they lie in the shards, copied out of Arrow. Pictures stay encoded.

use crate::columns::Roles;
use crate::text::RowCaptions;
use crate::{SampleId, cells, columns};
use arrow_array::{ArrayRef, RecordBatch};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a row's picture is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RawImage {
    /// In the row.
    Bytes(Vec<u8>),
    /// In a file of its own (Hugging Face's struct with null `bytes`).
    File(PathBuf),
    /// Nowhere.
    None,
}

/// One row: the roles' cells, copied out of Arrow.
#[derive(Clone, Debug)]
pub(crate) struct RawRow {
    /// The encoded picture.
    pub image: RawImage,
    /// What its caption can be.
    pub captions: RowCaptions,
    /// The weight: 1 where there is no such column, `None` where it is null.
    pub weight: Option<f64>,
    /// The label columns' values; `None` where null or empty.
    pub labels: Vec<Option<String>>,
    /// The row's name.
    pub id: SampleId,
    /// The row's number in the whole data set.
    pub number: u64,
    /// Why the row could not be read, if it could not: then nothing else is known of it.
    pub unreadable: Option<String>,
}

impl RawRow {
    /// A row that could not be read.
    pub fn unreadable(roles: &Roles, id: SampleId, number: u64, reason: String) -> Self {
        let plan = roles.captions.clone();
        let nothing = vec![vec![]; plan.columns().len()].into_iter();
        Self {
            image: RawImage::None,
            captions: RowCaptions::new(plan, nothing),
            weight: None,
            labels: vec![],
            id,
            number,
            unreadable: Some(reason),
        }
    }
}

/// Where a record batch's first row stands.
pub(crate) struct Place<'a> {
    /// The shard.
    pub shard: &'a Arc<Path>,
    /// The row's number in the shard.
    pub first_row: u64,
    /// The row's number in the whole data set.
    pub first_number: u64,
}

/// Copies the cells that play a role out of a record batch.
pub(crate) fn rows(batch: &RecordBatch, roles: &Roles, place: &Place) -> Vec<RawRow> {
    let schema = batch.schema();
    let column = |name: &str| {
        let (path, _) = columns::resolve(&schema, name)?;
        Some((cells::at_path(batch, &path)?, path))
    };
    let image = roles.image.as_deref().and_then(column);
    let captions: Vec<_> = roles.captions.columns().iter().map(|name| column(name)).collect();
    let product = roles.product_id.as_deref().and_then(column);
    let weight = roles.weight.as_deref().and_then(column);
    let labels: Vec<_> = roles
        .labels
        .iter()
        .map(|name| match columns::keyed(&schema, name) {
            Some((path, _, key)) => (cells::at_path(batch, &path).map(|array| (array, path)), key),
            None => (column(name), ""),
        })
        .collect();
    (0..batch.num_rows())
        .map(|i| {
            let cell = |column: &Option<(ArrayRef, Vec<String>)>| {
                let (array, path) = column.as_ref()?;
                (!cells::is_null(batch, path, i)).then(|| array.clone())
            };
            let row = place.first_row + i as u64;
            // Rows with an empty product, as with a null one, do not belong together.
            let product = cell(&product)
                .and_then(|array| cells::identity(&array, i))
                .filter(|product| !product.is_empty());
            let id = SampleId { shard: place.shard.clone(), row, product: product.map(Arc::from) };
            let texts = captions
                .iter()
                .map(|column| cell(column).map_or(vec![], |array| cells::shown(&array, i)));
            let label = |(column, key): &(Option<(ArrayRef, Vec<String>)>, &str)| {
                let array = cell(column)?;
                let value = match key.is_empty() {
                    true => cells::shown(&array, i).pop(),
                    false => cells::value_of(&array, i, key),
                };
                value.filter(|text| !text.is_empty())
            };
            RawRow {
                image: cell(&image)
                    .map_or(RawImage::None, |array| raw_image(&array, i, place.shard)),
                captions: RowCaptions::new(roles.captions.clone(), texts),
                weight: match roles.weight {
                    None => Some(1.0),
                    Some(_) => cell(&weight).and_then(|array| cells::number(&array, i)),
                },
                labels: labels.iter().map(label).collect(),
                id,
                number: place.first_number + i as u64,
                unreadable: None,
            }
        })
        .collect()
}

/// The picture of a cell: its bytes, or the file that a struct's `path` names, looked up from the
/// shard's folder.
fn raw_image(array: &dyn arrow_array::Array, row: usize, shard: &Path) -> RawImage {
    use arrow_array::cast::AsArray;
    let filled = |bytes: &[u8]| match bytes {
        [] => RawImage::None,
        bytes => RawImage::Bytes(bytes.to_vec()),
    };
    let Some(fields) = array.as_struct_opt() else {
        return cells::bytes(array, row).map_or(RawImage::None, filled);
    };
    let bytes = fields.column_by_name("bytes");
    if let Some(bytes) = bytes.and_then(|column| cells::bytes(column, row)) {
        return filled(bytes);
    }
    let path = fields.column_by_name("path").and_then(|column| cells::text(column, row));
    match (path, shard.parent()) {
        (Some(path), Some(folder)) if !path.is_empty() => RawImage::File(folder.join(path)),
        _ => RawImage::None,
    }
}
