//! Training shards: the rows of the shard contract (v1) as Parquet files.
//!
//! `row` is one training pair, `columns` the schema and the columns being filled, `writer` the
//! files on disk.

mod columns;
mod row;
mod sink;
mod writer;

pub use columns::{OptionalColumns, shard_schema};
pub use row::{BoxPx, Grounding, ShardRow};
pub use writer::{CONTRACT_VERSION, ShardFile, ShardOptions, ShardWriter};
