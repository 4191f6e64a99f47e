#![doc = include_str!("../README.md")]

mod duplicates;
mod error;
mod sample;
mod shard;
mod split;

pub use duplicates::{groups, phash};
pub use error::PrepareError;
pub use sample::{SampleSpec, SampleSummary, write_sample};
pub use shard::{
    BoxPx, CONTRACT_VERSION, Grounding, OptionalColumns, ShardFile, ShardOptions, ShardRow,
    ShardWriter, shard_schema,
};
pub use split::Split;
