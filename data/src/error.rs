//! Everything that can go wrong with data, each said with what, where, expected and found.

use std::path::PathBuf;

/// An error of this crate. Every message names the file (and row or field), what was expected,
/// what was found and, where it is not obvious, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The list of shard paths is empty.
    #[error("no shards are named: give Parquet files, folders or globs")]
    NoPaths,
    /// A path names nothing.
    #[error("shards `{path}`: no such file or folder")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// A glob matches nothing.
    #[error("shards `{pattern}`: the glob matches no file")]
    NoMatch {
        /// The glob as given.
        pattern: String,
    },
    /// A glob cannot be parsed.
    #[error("shards `{pattern}`: not a valid glob: {reason}")]
    BadGlob {
        /// The glob as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder without Parquet files.
    #[error("shards `{path}`: the folder holds no file ending in .parquet")]
    NoParquet {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A file that is not Parquet, or whose footer is damaged.
    #[error("shard `{path}`: not a readable Parquet file: {reason}")]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// An object store or a web server cannot be read.
    #[error("`{url}`: {reason}")]
    Store {
        /// The object, or the folder of the store.
        url: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A shard is another than the one that the run began with.
    #[error(
        "shard `{path}` {now}: it has changed since the run began, and the order of rows would \
         mix the old with the new; bring the old shard back, or start a new run (another `name`, \
         or --resume never)"
    )]
    Changed {
        /// The file or URL.
        path: PathBuf,
        /// What is different about it.
        now: String,
    },
    /// A shard lacks a column that the config names.
    #[error("shard `{path}`: no column `{column}` for `{role}`; the columns are: {present}")]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column the config names.
        column: String,
        /// Its role: the key under `columns`.
        role: &'static str,
        /// The columns the file has, comma-separated.
        present: String,
    },
    /// A column's type does not fit its role.
    #[error("shard `{path}`: column `{column}` for `{role}`: expected {expected}, found {found}")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its role: the key under `columns`.
        role: &'static str,
        /// The types that fit.
        expected: &'static str,
        /// The type found.
        found: String,
    },
    /// No shard has a row.
    #[error("the {shards} shard(s) hold no rows at all (the first is `{first}`)")]
    Empty {
        /// How many shards were opened.
        shards: usize,
        /// One of them.
        first: PathBuf,
    },
    /// The data set is smaller than one batch.
    #[error(
        "fewer rows ({rows}) than one batch ({batch_size}): add shards or lower the batch size"
    )]
    FewRows {
        /// Rows of all shards.
        rows: u64,
        /// The global batch size.
        batch_size: usize,
    },
    /// Numbers that do not fit each other.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A cursor that lies outside the epoch: the data or the batch size have changed.
    #[error(
        "cannot continue at batch {batch}: an epoch of this data has {batches} batches; \
         the shards, the batch size or `shuffle` have changed since the cursor was saved"
    )]
    Cursor {
        /// The cursor's batch.
        batch: u64,
        /// Batches of an epoch.
        batches: u64,
    },
    /// Rows of a shard cannot be read.
    #[error("shard `{path}` row group {group} near row {row}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The row group, from 0.
        group: usize,
        /// The row of the file, from 0, at which the failing read began.
        row: u64,
        /// The reader's reason.
        reason: String,
    },
    /// More unusable rows than the config allows.
    #[error(
        "{bad} of {rows} rows are unusable, more than max_bad_fraction = {fraction} allows \
         ({causes}); first: {examples}"
    )]
    TooManyBad {
        /// Distinct unusable rows met in this pass.
        bad: u64,
        /// Rows that one pass reads.
        rows: u64,
        /// The cap.
        fraction: f64,
        /// `cause: count`, comma-separated.
        causes: String,
        /// The first unusable rows by name.
        examples: String,
    },
    /// A shuffle window holds no usable row.
    #[error("none of the {rows} rows of a shuffle window is usable; first: {example}")]
    NoUsableRow {
        /// Rows of the window.
        rows: usize,
        /// One of them and why it is unusable.
        example: String,
    },
    /// A tokenizer that cannot be used.
    #[error("tokenizer `{path}`: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A `preprocessor_config.json` that cannot be followed.
    #[error("{origin}: `{field}`: expected {expected}, found {found}")]
    Preprocessor {
        /// The file, or `preprocessor config`.
        origin: String,
        /// The key.
        field: String,
        /// What this program can follow.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// A picture given directly (not as a row) cannot be used.
    #[error("picture: {0}")]
    Picture(#[from] crate::PictureError),
    /// A contact sheet that cannot be drawn.
    #[error("contact sheet: {reason}")]
    ContactSheet {
        /// Why.
        reason: String,
    },
    /// There is no memory for a batch's pixels.
    #[error("no memory for the pixels of a batch: {0}; lower data.prefetch or batch.size")]
    PixelMemory(String),
    /// A data thread panicked: a bug in this program or in a library.
    #[error("a data thread panicked at {at}: {message}")]
    Panic {
        /// The sample or the work it was at.
        at: String,
        /// The panic's message.
        message: String,
    },
    /// The data threads have ended, because an error was already reported.
    #[error("the data threads have ended; the error reported before says why")]
    Stopped,
}

impl DataError {
    /// Whether one shard is at fault and the others can be read.
    pub(crate) fn is_of_one_shard(&self) -> bool {
        matches!(
            self,
            Self::NotParquet { .. } | Self::MissingColumn { .. } | Self::ColumnType { .. }
        )
    }
}
