//! What can be wrong with a file of embeddings.

use crate::EvalError;
use std::path::PathBuf;
use thiserror::Error;

/// Why embeddings could not be written to a file or read from it. Rows count from 0.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// Not Parquet, or damaged.
    #[error("embeddings `{}`: not a readable Parquet file: {reason}", .path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// Parquet that cannot be written.
    #[error("embeddings `{}`: cannot be written: {reason}", .path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// The writer's reason.
        reason: String,
    },
    /// A column is missing.
    #[error("embeddings `{}`: no column `{column}`; the columns are: {present}", .path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns there are.
        present: String,
    },
    /// A column is of another type.
    #[error("embeddings `{}`: column `{column}`: expected {expected}, found {found}", .path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What fits.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The metadata cannot be understood.
    #[error(
        "embeddings `{}`: the metadata `{}` cannot be read: {reason}",
        .path.display(),
        super::ORIGIN_KEY
    )]
    BadOrigin {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Vectors of another model.
    #[error(
        "embeddings `{}` have width {found}, but {expected} was expected: they come from another \
         model",
        .path.display()
    )]
    Width {
        /// The file.
        path: PathBuf,
        /// The width wanted.
        expected: usize,
        /// The width found.
        found: usize,
    },
    /// Rows, groups and values that do not fit each other were given to a writer.
    #[error("embeddings `{}`: {reason}", .path.display())]
    Misshapen {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A row cannot be used.
    #[error("embeddings `{}` row {row}{}: {reason}", .path.display(), named(.id))]
    Row {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// Its id, where that is known.
        id: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// The rows do not make a matrix.
    #[error("embeddings `{}`: {source}", .path.display())]
    Matrix {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EvalError,
    },
}

fn named(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(" (`{id}`)")).unwrap_or_default()
}
