#![doc = include_str!("../README.md")]

mod bad;
mod batch;
mod cells;
mod columns;
mod error;
mod loader;
mod order;
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
pub use picture::{
    Colour, Crop, Filter, MAX_PIXELS, Picture, PictureError, Preprocessor, Resize, jpeg_decoder,
};
pub use rng::{Purpose, Rng};
pub use scan::{Captions, Scan, ScanOptions};
pub use shards::find_shards;
pub use text::{Encoded, EndToken, PadId, Tokenizer, clean};
