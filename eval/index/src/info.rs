//! `index.json`: what an index was made of and how, and what it was measured to do.

use crate::IndexError;
use checkpoints::FileEntry;
use eval::Origin;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Name of the description within an index's folder.
pub const INFO: &str = "index.json";
/// Its format.
pub const SCHEMA: &str = "vlclip.index";
/// Version of the format.
pub const SCHEMA_VERSION: u32 = 1;

/// How vectors are stored in the graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    /// 4 bytes a component.
    F32,
    /// 2 bytes: scores are right to three digits.
    #[default]
    F16,
    /// 1 byte: scores are right to about two digits, and close ones may change places.
    I8,
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        })
    }
}

/// What an index is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexInfo {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Where the embeddings came from; nothing where their file does not say so.
    pub origin: Option<Origin>,
    /// Components of a vector.
    pub width: usize,
    /// Items of all graphs.
    pub items: u64,
    /// How vectors are stored.
    pub scalar: Scalar,
    /// Neighbours of an item in the graph.
    pub connectivity: usize,
    /// Candidates kept while an item is added.
    pub expansion_add: usize,
    /// Candidates kept while searching: the least of those tried that reached the recall wanted.
    pub expansion_search: usize,
    /// The column of groups, where each has a graph of its own.
    pub group: Option<String>,
    /// The graphs: one, or one for each group in the order of their names.
    pub graphs: Vec<GraphFile>,
    /// `items.parquet`: id and group of each item. An item's key in the graphs is its row here.
    pub items_file: FileEntry,
    /// Recall and latency, for each kind of query.
    pub measured: Vec<Measured>,
    /// Version of usearch.
    pub usearch: String,
}

/// A graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphFile {
    /// The group; nothing for items without one, and where the index is not grouped.
    pub group: Option<String>,
    /// Its file, in usearch's own format.
    pub name: String,
    /// Items in it.
    pub items: u64,
    /// Size and digest of the file.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// What a sample of queries showed. Times are of one thread, without embedding the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What the queries were.
    pub queries: String,
    /// How many.
    pub num_queries: usize,
    /// The cut-off: 10, or the items of the smallest graph if those are fewer.
    pub k: usize,
    /// The mean share of the exact first k that is found.
    pub recall: f64,
    /// The share in the query that fared worst.
    pub recall_min: f64,
    /// Half of the queries took no longer, in microseconds.
    pub p50_us: f64,
    /// 95 of 100 queries took no longer, in microseconds.
    pub p95_us: f64,
    /// Mean time of a query in microseconds.
    pub mean_us: f64,
    /// Queries in a second.
    pub queries_per_s: f64,
}

impl IndexInfo {
    /// Reads the description in an index's folder.
    ///
    /// # Errors
    /// No index, or one of another version.
    pub fn read(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(INFO);
        let found = match (dir.exists(), dir.is_dir()) {
            (false, _) => Some("nothing there"),
            (true, false) => Some("a file"),
            (true, true) => (!path.is_file()).then_some("a folder without index.json"),
        };
        if let Some(found) = found {
            return Err(IndexError::NoIndex { path: dir.to_owned(), found });
        }
        let bytes = std::fs::read(&path).map_err(|source| IndexError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let bad = |reason: String| IndexError::BadInfo { path: path.clone(), reason };
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("not valid JSON: {error}")))?;
        let (schema, version) = (&value["schema"], &value["schema_version"]);
        if *schema != SCHEMA || *version != SCHEMA_VERSION {
            return Err(bad(format!(
                "has schema {schema} version {version}, but this program reads \"{SCHEMA}\" version \
                 {SCHEMA_VERSION}: build the index again"
            )));
        }
        serde_json::from_value(value).map_err(|error| bad(error.to_string()))
    }
}
