#![doc = include_str!("../README.md")]

mod bad;
mod batch;
mod cells;
mod columns;
mod error;
pub mod inspect;
mod loader;
#[doc(hidden)] // no part of the interface: examples/shuffle_quality studies it
pub mod order;
mod picture;
mod pipeline;
mod reader;
mod rng;
mod row;
mod sample;
mod scan;
mod shards;
mod text;

pub use bad::{Cause, Counts};
pub use batch::{Batch, EvalBatch, SampleId};
pub use error::DataError;
pub use loader::{Cursor, Loader, Shard};
pub use picture::{Filter, MAX_PIXELS, Picture, PictureError, Preprocessor, Resize};
pub use rng::{Purpose, Rng};
pub use scan::{Captions, Scan, ScanOptions};
pub use shards::find_shards;
pub use text::{Encoded, EndToken, PadId, Tokenizer, clean};
