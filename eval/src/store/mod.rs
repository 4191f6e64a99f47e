//! Embeddings in a Parquet file that any Parquet reader opens. Owns the columns, the metadata and the
//! checks on both; bounded memory in both directions.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `id` | string | the item; distinct, not empty |
//! | `product_type`, or another name | string, optional | the group, null where there is none |
//! | `embedding` | fixed-size list of float or float16 | a unit vector |
//!
//! The file's metadata holds [`Origin`] as JSON under [`ORIGIN_KEY`].

mod error;
mod origin;
mod read;
mod vectors;
mod write;

pub use error::StoreError;
pub use origin::{ModelFiles, ORIGIN_KEY, ORIGIN_VERSION, Origin};
pub use read::{StoreReader, StoredRows};
pub use write::{StoreWriter, StoredDtype};

/// The column of ids.
const ID: &str = "id";
/// The column of vectors.
const EMBEDDING: &str = "embedding";
