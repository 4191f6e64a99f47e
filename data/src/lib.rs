#![doc = include_str!("../README.md")]

mod bad;
mod batch;
mod cells;
mod columns;
mod error;
pub mod inspect;
mod loader;
mod mixture;
#[doc(hidden)] // no part of the interface: examples/shuffle_quality studies it
pub mod order;
#[doc(hidden)] // no part of the interface: prepare reads Parquet, too
pub mod panics;
mod picture;
mod pipeline;
mod pixels;
mod reader;
mod rng;
mod row;
mod sample;
mod scan;
mod shards;
pub mod source;
mod stages;
mod text;
mod throughput;
mod train_set;
mod windows;

pub use bad::{Cause, Counts};
pub use batch::{Batch, EvalBatch, SampleId};
pub use error::DataError;
pub use loader::{Cursor, Loader, Shard};
pub use picture::{
    Area, Colour, Crop, Filter, MAX_PIXELS, Picture, PictureError, PictureFile, Preprocessor,
    Resize, Taps, encode_jpeg, jpeg_decoder, jpeg_is_exact, vertical_first,
};
pub use pixels::{PixelBuffer, PixelMemory, PixelSlot, Pixels};
pub use rng::{Purpose, Rng};
pub use scan::{Captions, Scan, ScanOptions};
pub use source::find_files;
pub use stages::StageTimes;
pub use text::{Encoded, EndToken, PadId, Tokenizer, clean};
pub use throughput::{Throughput, Until};
pub use train_set::{Since, TrainSet};
