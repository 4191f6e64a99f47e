#![doc = include_str!("../README.md")]

mod catalogue;
mod digest;
mod duplicates;
mod error;
mod fetch;
pub mod grounding;
pub mod pipeline;
pub mod refine;
mod reject;
mod sample;
mod shard;
mod split;
mod syncer;

pub use catalogue::{Catalogue, FileStamp, ImageRef, Position, Product, Products, Query, queries};
pub use duplicates::{groups, phash};
pub use error::PrepareError;
pub use fetch::Fetcher;
pub use refine::{Agent, CaptionLimit, Crop, Listing, RefineError, Refined, Spent, Stop};
pub use reject::{Cause, Fault, Reject, RowRef};
pub use sample::{SampleSpec, SampleSummary, write_sample};
pub use shard::{
    BoxPx, CONTRACT_VERSION, Grounding, OptionalColumns, ShardFile, ShardOptions, ShardRow,
    ShardWriter, shard_schema,
};
pub use split::Split;
