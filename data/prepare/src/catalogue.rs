//! A catalogue of products in CSV, TSV, JSON lines or Parquet, read row by row in a stable order.
//!
//! ```text
//! files ──► format ──► csv | jsonl | parquet ──► cells ──► assemble ──► Product or Reject
//!  find     by name      one row at a time         one per column
//! ```
//! Memory is that of one row (in Parquet: a few rows and a page of each column), and of 20 to 40
//! bytes per product for finding ids that come twice.

mod arrow;
mod assemble;
mod cell;
mod csv;
mod encoding;
mod files;
mod format;
mod image_ref;
mod jsonl;
mod parquet;
mod plan;
mod product;
mod queries;
mod reader;
mod seen;
mod window;

pub use files::FileStamp;
pub use product::{ImageRef, Product};
pub use queries::{Query, queries};

use std::sync::Arc;

use crate::{PrepareError, Reject, RowRef};
use files::CatalogueFile;
use plan::Plan;
use reader::{Reader, Row};
use seen::Seen;

/// An opened catalogue: its files are there, and have the columns that the configuration names.
#[derive(Debug, Clone)]
pub struct Catalogue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: configs::prepare::Catalogue,
    plan: Plan,
    files: Vec<CatalogueFile>,
}

/// How far a catalogue has been read: every row before is done.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Position {
    /// Index of the file.
    pub file: usize,
    /// Row of the file, from 0.
    pub row: u64,
}

impl RowRef {
    /// The position right after this row.
    pub fn next(&self) -> Position {
        Position { file: self.file_index, row: self.row + 1 }
    }

    /// The position of this row.
    pub fn position(&self) -> Position {
        Position { file: self.file_index, row: self.row }
    }
}

impl Catalogue {
    /// Finds the files and checks that they can be read and have every column that is named.
    ///
    /// # Errors
    /// No file; one that cannot be read or is no catalogue; a column that is missing (with the
    /// columns that there are, and the nearest), stands there twice or has a type that does not
    /// fit its role.
    pub fn open(
        config: &configs::prepare::Catalogue,
        grounding: &configs::prepare::Grounding,
    ) -> Result<Self, PrepareError> {
        let plan = Plan::new(config, grounding)?;
        let files = files::find(config)?;
        for file in &files {
            reader::check(file, &plan)?;
        }
        Ok(Self(Arc::new(Inner { config: config.clone(), plan, files })))
    }

    /// The files and which version of them was found: a run may go on with a catalogue whose
    /// stamps equal those that it began with.
    pub fn stamps(&self) -> Vec<FileStamp> {
        self.0.files.iter().map(CatalogueFile::stamp).collect()
    }

    /// The products from a position on (`Position::default()`: all). Rows before it are read
    /// again, without their pictures where the format allows, so that an id that was there
    /// is still recognised.
    pub fn products(&self, from: Position) -> Products {
        Products {
            catalogue: self.0.clone(),
            from,
            file: 0,
            reader: None,
            seen: Seen::default(),
            ended: false,
        }
    }
}

/// The products of a catalogue in order. Each row is a product or its rejection; an error ends
/// the iteration.
pub struct Products {
    catalogue: Arc<Inner>,
    from: Position,
    file: usize,
    reader: Option<Reader>,
    seen: Seen,
    ended: bool,
}

impl Products {
    /// The share of the catalogue that has been read, by bytes or rows, in [0, 1].
    pub fn fraction(&self) -> f64 {
        let files = &self.catalogue.files;
        let all: u64 = files.iter().map(CatalogueFile::bytes).sum();
        let done: u64 = files.iter().take(self.file).map(CatalogueFile::bytes).sum();
        let here = files.get(self.file).zip(self.reader.as_ref());
        let here = here.map_or(0.0, |(file, reader)| reader.fraction(file) * file.bytes() as f64);
        if all == 0 { 1.0 } else { (done as f64 + here) / all as f64 }
    }

    /// The next row of any file, and whether it lies before the position to start from.
    fn row(&mut self) -> Result<Option<(Row, RowRef)>, PrepareError> {
        let inner = &self.catalogue;
        while let Some(file) = inner.files.get(self.file) {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let pictures_from = match self.file.cmp(&self.from.file) {
                        std::cmp::Ordering::Less => u64::MAX,
                        std::cmp::Ordering::Equal => self.from.row,
                        std::cmp::Ordering::Greater => 0,
                    };
                    let opened = Reader::open(file, &inner.plan, pictures_from)?;
                    self.reader.insert(opened)
                }
            };
            let number = reader.read;
            if let Some(row) = reader.next(file, &inner.plan)? {
                let at = RowRef {
                    file: file.path().clone(),
                    file_index: self.file,
                    row: number,
                    line: row.line,
                };
                return Ok(Some((row, at)));
            }
            self.reader = None;
            self.file += 1;
        }
        Ok(None)
    }

    fn judge(&mut self, row: Row, at: RowRef, skipped: bool) -> Result<Product, Reject> {
        let inner = &self.catalogue;
        let cells = row.cells.map_err(|fault| fault.at(at.clone(), None))?;
        let file = &inner.files[at.file_index];
        let sound = assemble::texts(&inner.config, &inner.plan, &cells, at)?;
        if let Some(first) = self.seen.add(&sound.product_id, &sound.row) {
            let detail = first.describe(&inner.files, sound.row.file_index);
            let fault = crate::Fault::new(crate::Cause::DuplicateId, detail);
            return Err(fault.at(sound.row, Some(sound.product_id)));
        }
        if skipped { Ok(sound) } else { assemble::picture(&inner.plan, cells, file, sound) }
    }
}

impl Iterator for Products {
    type Item = Result<Result<Product, Reject>, PrepareError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.row() {
                Ok(Some((row, at))) => {
                    let skipped = at.position() < self.from;
                    let judged = self.judge(row, at, skipped);
                    if !skipped {
                        return Some(Ok(judged));
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
