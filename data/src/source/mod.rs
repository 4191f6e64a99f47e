//! Where shards lie: found by path, glob or URL, and read by ranges of bytes, from a disk or an
//! object store.
//!
//! ```text
//! pattern ──► local | bucket ──► Object ──► Handle (ranges of bytes) ──► parquet
//!  braces      files   URLs     size, version   blocks, disk cache
//! ```
//!
//! Parquet's own reader for object stores fetches the chosen column chunks of a row group whole;
//! here memory must not follow the size of row groups, so ranges are read as they are needed.

mod blocks;
mod bucket;
mod disk_cache;
mod local;
mod object;
mod pattern;
mod upload;

pub use blocks::Handle;
pub use bucket::chain;
pub(crate) use disk_cache::DiskCache;
pub use local::find_files;
pub use object::{Access, Object, find};
pub use upload::{check_writable, read_object, upload};
