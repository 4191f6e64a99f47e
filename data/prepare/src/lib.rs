#![doc = include_str!("../README.md")]

mod error;
pub mod refine;
mod sample;
mod shard;
mod split;

pub use error::PrepareError;
pub use sample::{SampleSpec, SampleSummary, write_sample};
pub use shard::{
    BoxPx, CONTRACT_VERSION, Grounding, OptionalColumns, ShardFile, ShardOptions, ShardRow,
    ShardWriter, shard_schema,
};
pub use split::Split;
