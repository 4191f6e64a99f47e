//! Everything that can go wrong with an index, one sentence each.

use eval::{EvalError, StoreError};
use std::path::PathBuf;
use thiserror::Error;

/// Why an index could not be built, opened or searched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The embeddings cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The exact search that recall is measured against failed.
    #[error("measuring recall: {0}")]
    Measure(#[from] EvalError),
    /// A file cannot be read or its digest taken.
    #[error(transparent)]
    Digest(#[from] checkpoints::CheckpointError),
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
    /// usearch refused.
    #[error("index `{}`: cannot {action}: {reason}", .path.display())]
    Usearch {
        /// The index or one of its files.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Its reason.
        reason: String,
    },
    /// A path that must not be overwritten.
    #[error(
        "`{}` is there already and is no index: choose another folder for the index, or remove it",
        .path.display()
    )]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// No index.
    #[error(
        "index `{}`: expected a folder that `vlclip embed --index` wrote, found {found}",
        .path.display()
    )]
    NoIndex {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// An index whose description cannot be understood.
    #[error("index `{}`: {reason}", .path.display())]
    BadInfo {
        /// The description.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not what the index says.
    #[error("index file `{}` is damaged: {reason}; build the index again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The embeddings are not grouped.
    #[error(
        "embeddings `{}` have no groups: write them with `--group COLUMN` to index each group by \
         itself",
        .path.display()
    )]
    NoGroups {
        /// The file.
        path: PathBuf,
    },
    /// Searching within a group of an index that has none.
    #[error(
        "index `{}` is not grouped, so `{group}` cannot be searched alone: build it with \
         `vlclip embed --group product_type`",
        .path.display()
    )]
    NotGrouped {
        /// The index.
        path: PathBuf,
        /// The group asked for.
        group: String,
    },
    /// An unknown group.
    #[error("index `{}` has no {column} `{group}`; it has: {present}", .path.display())]
    UnknownGroup {
        /// The index.
        path: PathBuf,
        /// The column of groups.
        column: String,
        /// The group asked for.
        group: String,
        /// Those it has, the first of them.
        present: String,
    },
    /// More results than there are items.
    #[error(
        "k = {k} is larger than the {items} items that are searched: choose k of at most {items}"
    )]
    KBeyondItems {
        /// Results asked for.
        k: usize,
        /// Items searched.
        items: u64,
    },
    /// k = 0.
    #[error("k must be at least 1")]
    KZero,
    /// A query of another width.
    #[error(
        "the query has width {found}, but the index has width {expected}: it is of another model"
    )]
    Width {
        /// The index's.
        expected: usize,
        /// The query's.
        found: usize,
    },
    /// A query without direction.
    #[error("the query's embedding has component {at} = {value}: expected finite numbers")]
    NotFinite {
        /// The component.
        at: usize,
        /// What it is.
        value: f32,
    },
}
