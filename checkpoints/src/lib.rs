#![doc = include_str!("../README.md")]

mod atomic;
mod dtype;
mod error;
mod manifest;
mod read;
mod run_folder;
mod write;

pub use atomic::replace_file;
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use manifest::{FileEntry, MANIFEST, Manifest, measure, verify};
pub use read::{OwnedTensor, TensorFile, TensorInfo};
pub use run_folder::{Rejected, RunFolder, step_name};
pub use write::{TensorView, write_safetensors};

/// What this crate's functions return.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;
