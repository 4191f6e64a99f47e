//! What can go wrong while preparing shards. Every variant names the file and what to do.

use std::path::{Path, PathBuf};

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The operating system refused a file operation.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `create`, `write`, `rename` ...
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A shard could not be encoded or written as Parquet.
    #[error("cannot write shard `{}`: {source}", path.display())]
    Parquet {
        /// The shard being written.
        path: PathBuf,
        /// The writer's complaint.
        source: parquet::errors::ParquetError,
    },
    /// The columns of one row group do not fit the shard schema.
    #[error("cannot build a row group of shard `{}`: {source}", path.display())]
    Arrow {
        /// The shard being written.
        path: PathBuf,
        /// Arrow's complaint.
        source: arrow_schema::ArrowError,
    },
    /// A row lacks what the writer was told every row has, or has what it was told none has.
    #[error("shard folder `{}` row {row} (product `{product_id}`): {problem}", folder.display())]
    Row {
        /// The folder the shards go to.
        folder: PathBuf,
        /// Index of the row in the order it was pushed.
        row: u64,
        /// The row's product.
        product_id: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A picture could not be encoded.
    #[error("cannot encode the picture of product `{product_id}` as JPEG: {source}")]
    Picture {
        /// The product it belongs to.
        product_id: String,
        /// The encoder's complaint.
        source: image::ImageError,
    },
    /// The tokenizer could not be put together.
    #[error("cannot build the tokenizer: {0}")]
    Tokenizer(String),
    /// The output folder exists and holds something else.
    #[error(
        "`{}` already holds {found}, so nothing is written there: \
         choose another folder, or delete it first", path.display()
    )]
    Occupied {
        /// The output folder.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// Another process is writing the same sample.
    #[error(
        "another process is writing the sample `{}` (it holds `{}`): wait for it to end",
        path.display(), partial.display()
    )]
    Busy {
        /// The output folder.
        path: PathBuf,
        /// The folder the other process writes into until it is done.
        partial: PathBuf,
    },
    /// A file of the catalogue cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Catalogue {
        /// The file, URL or glob.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A file of the catalogue lacks a column.
    #[error("`{}`: no column `{column}` ({role}); there are {present}{hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that the configuration names.
        column: String,
        /// The key that names it.
        role: &'static str,
        /// The columns of the file.
        present: String,
        /// The nearest name, or what else may be the matter.
        hint: String,
    },
    /// A column's type does not fit its role.
    #[error(
        "`{}`: column `{column}` ({role}): expected {expected}, found {found}",
        path.display()
    )]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The key that names it.
        role: &'static str,
        /// The types that fit.
        expected: &'static str,
        /// The type found.
        found: String,
    },
    /// The picture's column is named for something else, too.
    #[error(
        "column `{column}` is named by {role} and by catalogue.columns.image: the picture's column can be nothing else"
    )]
    SharedColumn {
        /// The column.
        column: String,
        /// The other key that names it.
        role: &'static str,
    },
    /// A file or object store cannot be read.
    #[error(transparent)]
    Source(data::DataError),
    /// Fetching cannot begin.
    #[error("cannot set up the fetching of pictures: {0}")]
    Fetch(String),
    /// The caption agent cannot start or go on.
    #[error(transparent)]
    Refine(#[from] crate::refine::RefineError),
    /// The output holds what another run made, or is making.
    #[error(
        "`{}` holds the work of another run: {difference}; choose another output.dir, or delete it \
         first", path.display()
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// The keys that differ, with both values.
        difference: String,
    },
    /// Another process prepares the same shards.
    #[error("another process is at work in `{}`: wait for it to end", path.display())]
    Locked {
        /// The folder of unfinished work.
        path: PathBuf,
    },
    /// A file of unfinished or finished work is damaged.
    #[error("`{}` is damaged ({reason}): delete its folder and start again", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More products were rejected than allowed.
    #[error(
        "{rejected} of {products} products were rejected, more than output.max_reject_fraction \
         ({most}) allows; the first ones:\n  {examples}"
    )]
    Rejects {
        /// Rejected products.
        rejected: u64,
        /// Products looked at.
        products: u64,
        /// The share that is allowed.
        most: f64,
        /// Some of them, one to a line.
        examples: String,
    },
    /// The catalogue has no product that can be used.
    #[error("the catalogue has {products} products and none that can be used: nothing is written")]
    NoProducts {
        /// Products looked at.
        products: u64,
    },
    /// The run was asked to end.
    #[error("interrupted: {done} products are done and kept; the same command goes on from there")]
    Interrupted {
        /// Products done.
        done: u64,
    },
    /// The contact sheet could not be drawn.
    #[error("cannot draw the contact sheet `{}`: {reason}", path.display())]
    Sheet {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A fault of this program.
    #[error("{0}; this is a fault of vlclip, please report it")]
    Internal(String),
    /// A number in the specification makes no sample.
    #[error("sample {field} is {found}: expected {expected}")]
    Spec {
        /// The field of the specification.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}

impl PrepareError {
    /// An adapter for `map_err`: wraps a system error with what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> PrepareError {
        let path = path.to_path_buf();
        move |source| PrepareError::Io { action, path, source }
    }
}
