//! The rows of one file, whatever its format.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cell;
use super::csv::CsvRows;
use super::files::{CatalogueFile, Sequential};
use super::format::{self, Kind};
use super::jsonl::JsonRows;
use super::parquet::{self, ParquetRows};
use super::plan::Plan;
use super::window::Window;
use crate::{Fault, PrepareError};

/// One row.
pub(super) struct Row {
    /// The line that it begins in, from 1.
    pub line: Option<u64>,
    /// A value for every column of the plan, or why there are none.
    pub cells: Result<Vec<Cell>, Fault>,
}

/// The rows of one file.
pub(super) struct Reader {
    rows: Rows,
    /// Rows read so far.
    pub read: u64,
    /// Bytes read so far of a text file.
    meter: Arc<AtomicU64>,
}

enum Rows {
    Csv(Box<CsvRows>),
    Jsonl(JsonRows),
    Parquet(Box<ParquetRows>),
}

/// Checks that a file can be read and has the columns of the plan.
pub(super) fn check(file: &CatalogueFile, plan: &Plan) -> Result<(), PrepareError> {
    match file.kind {
        Kind::Csv { delimiter, quotes } => {
            let (window, _) = text(file)?;
            CsvRows::open(file, window, (delimiter, quotes), plan).map(|_| ())
        }
        Kind::Jsonl => JsonRows::open(file, text(file)?.0)?.check(file, plan),
        Kind::Parquet => parquet::check(file, plan),
    }
}

fn text(file: &CatalogueFile) -> Result<(Window, Arc<AtomicU64>), PrepareError> {
    let bytes = Sequential::new(file.open()?);
    let meter = bytes.meter();
    let plain = format::plain(bytes).map_err(|error| file.wrong(error.to_string()))?;
    Ok((Window::new(plain), meter))
}

impl Reader {
    /// Opens a file from its first row on. Pictures may be left out of the rows before
    /// `pictures_from`.
    pub(super) fn open(
        file: &CatalogueFile,
        plan: &Plan,
        pictures_from: u64,
    ) -> Result<Self, PrepareError> {
        let (rows, meter) = match file.kind {
            Kind::Csv { delimiter, quotes } => {
                let (window, meter) = text(file)?;
                {
                    let rows = CsvRows::open(file, window, (delimiter, quotes), plan)?;
                    (Rows::Csv(Box::new(rows)), meter)
                }
            }
            Kind::Jsonl => {
                let (window, meter) = text(file)?;
                (Rows::Jsonl(JsonRows::open(file, window)?), meter)
            }
            Kind::Parquet => {
                let rows = ParquetRows::open(file, plan, pictures_from)?;
                (Rows::Parquet(Box::new(rows)), Arc::default())
            }
        };
        Ok(Self { rows, read: 0, meter })
    }

    /// The next row.
    pub(super) fn next(
        &mut self,
        file: &CatalogueFile,
        plan: &Plan,
    ) -> Result<Option<Row>, PrepareError> {
        let row = match &mut self.rows {
            Rows::Csv(rows) => rows.row(file),
            Rows::Jsonl(rows) => rows.row(file, plan),
            Rows::Parquet(rows) => rows.row(file, plan),
        }?;
        self.read += u64::from(row.is_some());
        Ok(row)
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        match &self.rows {
            Rows::Csv(rows) => rows.window.held_bytes(),
            Rows::Jsonl(rows) => rows.window.held_bytes(),
            Rows::Parquet(_) => 0,
        }
    }

    /// The share of `file` that has been read, in [0, 1].
    pub(super) fn fraction(&self, file: &CatalogueFile) -> f64 {
        let (done, all) = match &self.rows {
            Rows::Parquet(rows) => (self.read, rows.num_rows()),
            _ => (self.meter.load(Ordering::Relaxed), file.bytes()),
        };
        if all == 0 { 1.0 } else { done as f64 / all as f64 }
    }
}
