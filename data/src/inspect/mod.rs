//! What is in shards: layout, columns, pictures, captions, duplicates, slices, unusable rows, and
//! advice. Every figure says over how many rows it was taken.
//!
//! Owns the figures and the contact sheet, not how they are printed. What touches files is in
//! `rows.rs` alone.

mod advice;
mod captions;
mod duplicates;
mod layout;
mod lettering;
mod pictures;
mod rows;
mod sheet;
mod slices;
mod spread;
mod unusable;

pub use captions::{CaptionLengths, Unit};
pub use duplicates::Duplicates;
pub use layout::{Column, RowGroups};
pub use lettering::Lettering;
pub use pictures::Pictures;
pub use sheet::{Sheet, contact_sheet};
pub use slices::Slices;
pub use spread::{Bin, Seen, Spread, Tally};
pub use unusable::Unusable;

use crate::row::RawRow;
use crate::sample::{self, usable_weight};
use crate::{Cause, DataError, Picture, Preprocessor, Tokenizer, TrainSet};
use configs::{Columns, Streams, WindowRows};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use rows::{Part, Rows};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Consecutive rows of a sample with pictures. Few, for neighbours are alike; not fewer, for every
/// piece costs a page or more.
const PIECE_ROWS: u64 = 32;
/// Rows whose pictures are decoded side by side.
const BLOCK_ROWS: usize = 128;

/// What to look at.
#[derive(Clone)]
pub struct InspectOptions {
    /// Which column plays which role.
    pub columns: Columns,
    /// Rows whose pictures and caption lengths are looked at; `None` for all.
    pub rows: Option<u64>,
    /// Rows whose products, captions and slices are compared; `None` for all.
    pub text_rows: Option<u64>,
    /// Consecutive rows that may meet in a batch: `data.shuffle.window_rows`, `auto` as for the
    /// greatest number of streams.
    pub window_rows: WindowRows,
    /// The column that slices are counted by; left out, `product_type` if there is one.
    pub slice: Option<String>,
    /// Counts tokens; without it, words are counted.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// What the model sees; without it, sizes are not compared.
    pub picture: Option<Preprocessor>,
    /// Whether pictures are decoded, so that damaged ones are found.
    pub decode: bool,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            rows: Some(1_000),
            text_rows: Some(200_000),
            window_rows: WindowRows::Auto,
            slice: None,
            tokenizer: None,
            picture: None,
            decode: true,
        }
    }
}

/// What is in shards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// Files.
    pub shards: u64,
    /// Rows of all shards.
    pub rows: u64,
    /// Bytes of all shards, columns without a role included.
    pub bytes: u64,
    /// The first shard's columns.
    pub columns: Vec<Column>,
    /// Shards whose columns differ from the first one's in name or type.
    pub other_schemas: u64,
    /// How the shards are cut.
    pub row_groups: RowGroups,
    /// Pictures of a sample.
    pub pictures: Pictures,
    /// Captions of the same sample.
    pub captions: CaptionLengths,
    /// Rows of the same sample that training would skip.
    pub unusable: Unusable,
    /// Rows that share a product id, where there is such a column.
    pub same_product: Option<Duplicates>,
    /// Rows that share a caption.
    pub same_caption: Duplicates,
    /// Rows by `product_type` or the column asked for.
    pub slices: Option<Slices>,
    /// What to do better when writing shards, or to look into.
    pub advice: Vec<String>,
}

/// Looks at the shards that `paths` name.
///
/// # Errors
/// Shards that are missing, not Parquet, empty or damaged; roles without a fitting column.
pub fn inspect(paths: &[String], options: &InspectOptions) -> Result<Inspection, DataError> {
    look_at(&Rows::open(paths, &options.columns, options.slice.as_deref())?, options)
}

/// Looks at a source of a training set, whose columns are its own and not those of `options`.
///
/// # Errors
/// Damaged shards.
pub fn inspect_source(
    set: &TrainSet,
    source: usize,
    options: &InspectOptions,
) -> Result<Inspection, DataError> {
    let shards = set.sources[source].shards.clone();
    look_at(&Rows::of(shards, options.slice.as_deref())?, options)
}

fn look_at(rows: &Rows, options: &InspectOptions) -> Result<Inspection, DataError> {
    let (columns, other_schemas) = layout::columns(rows)?;
    let row_groups = layout::row_groups(rows)?;
    let (pictures, captions, unusable) = look(rows, options)?;
    let (same_product, same_caption, slices) = compare(rows, options)?;
    let mut found = Inspection {
        shards: rows.shards.files.len() as u64,
        rows: rows.num_rows(),
        bytes: rows.num_bytes(),
        columns,
        other_schemas,
        row_groups,
        pictures,
        captions,
        unusable,
        same_product,
        same_caption,
        slices,
        advice: vec![],
    };
    found.advice = advice::advice(&found, window_rows(rows, options));
    Ok(found)
}

/// The columns of a Parquet file and the roles that their types fit, whatever roles the config
/// gives: for a message where those do not fit.
///
/// # Errors
/// A file that is missing or not Parquet.
pub fn columns_of(path: &Path) -> Result<Vec<Column>, DataError> {
    let file =
        std::fs::File::open(path).map_err(|source| DataError::Io { path: path.into(), source })?;
    let metadata = ArrowReaderMetadata::load(&file, Default::default())
        .map_err(|error| DataError::NotParquet { path: path.into(), reason: error.to_string() })?;
    Ok(layout::list(&metadata, &[]))
}

/// What one row with its picture shows.
struct Looked {
    header: Option<pictures::Header>,
    lengths: Vec<u64>,
    unusable: Option<(Cause, String)>,
}

/// Pictures, caption lengths and unusable rows of the sample.
fn look(
    rows: &Rows,
    options: &InspectOptions,
) -> Result<(Pictures, CaptionLengths, Unusable), DataError> {
    let mut pictures = pictures::Counter::default();
    let mut captions = captions::Counter::default();
    let mut unusable = unusable::Counter::default();
    let input_px = options.picture.as_ref().map(|picture| picture.size as u64);
    let mut count = |block: &mut Vec<RawRow>| {
        for (row, looked) in block.iter().zip(side_by_side(block, |row| measure(row, options))) {
            pictures.add(looked.header, input_px);
            captions.add(&looked.lengths);
            unusable.add(looked.unusable, &row.id);
        }
        block.clear();
    };
    let mut block = Vec::with_capacity(BLOCK_ROWS);
    for segment in rows.spread(options.rows.unwrap_or(u64::MAX), PIECE_ROWS) {
        rows.read(segment, Part::Roles, |row| {
            block.push(row.row);
            if block.len() == BLOCK_ROWS {
                count(&mut block);
            }
        })?;
    }
    count(&mut block);
    let of = rows.num_rows();
    Ok((
        pictures.finish(of, input_px),
        captions.finish(of, options.tokenizer.as_deref()),
        unusable.finish(of, options.decode),
    ))
}

/// Looks at a row in the order in which the loader finds it unusable.
fn measure(row: &RawRow, options: &InspectOptions) -> Looked {
    let tokenizer = options.tokenizer.as_deref();
    let captions = row.captions.all();
    let lengths: Result<Vec<u64>, _> =
        captions.iter().map(|caption| captions::length(caption, tokenizer)).collect();
    let text = match &lengths {
        Ok(lengths) if lengths.is_empty() => Err((Cause::NoCaption, row.captions.missing())),
        Ok(_) => Ok(()),
        Err(error) => Err((Cause::NoCaption, error.to_string())),
    };
    let encoded = sample::encoded_picture(row);
    let header = encoded.as_ref().ok().map(|bytes| pictures::Header::read(bytes));
    let picture = encoded.and_then(|bytes| {
        if !options.decode {
            return Ok(());
        }
        let picture = Picture::decode(&bytes).map_err(sample::unusable_picture)?;
        let seen = options.picture.as_ref().map(|model| model.evaluate(&picture));
        seen.transpose().map(|_| ()).map_err(sample::unusable_picture)
    });
    let unusable = usable_weight(row.weight).map(|_| ()).and(text).and(picture).err();
    Looked { header, lengths: lengths.unwrap_or_default(), unusable }
}

/// Applies `work` to every item, on all cores, and gives the results in order.
fn side_by_side<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let chunks = items.chunks(each);
        let work = &work;
        let running: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<U>>()))
            .collect();
        let results = running.into_iter().flat_map(|thread| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

/// Rows of a shuffle window.
fn window_rows(rows: &Rows, options: &InspectOptions) -> u64 {
    let streams = Streams::Auto.number(usize::MAX.div_ceil(2));
    options.window_rows.number(rows.shards.row_bytes(), streams).max(1) as u64
}

/// What rows have in common: products, captions, slices.
fn compare(
    rows: &Rows,
    options: &InspectOptions,
) -> Result<(Option<Duplicates>, Duplicates, Option<Slices>), DataError> {
    let mut products = duplicates::Counter::default();
    let mut captions = duplicates::Counter::default();
    let mut slices = slices::Counter::default();
    let window = window_rows(rows, options);
    for segment in rows.spread(options.text_rows.unwrap_or(u64::MAX), window) {
        let mut in_window = 0;
        rows.read(segment, Part::Texts, |row| {
            let product: Vec<&str> = row.row.id.product.as_deref().into_iter().collect();
            products.add(&product);
            let texts = row.row.captions.all();
            captions.add(&texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
            slices.add(row.slice);
            in_window += 1;
            if in_window == window {
                in_window = 0;
                products.end_window();
                captions.end_window();
                slices.end_window();
            }
        })?;
        products.end_window();
        captions.end_window();
        slices.end_window();
    }
    let of = rows.num_rows();
    let has_products = rows.shards.roles.product_id.is_some();
    Ok((
        has_products.then(|| products.finish(of)),
        captions.finish(of),
        rows.slice.as_ref().map(|column| slices.finish(column, of)),
    ))
}
