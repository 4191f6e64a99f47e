#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // with `native`, the crates that call foreign code

mod area;
mod decoder;
mod encoder;
mod ffi;
mod kept;
mod library;

pub use area::{Area, MAX_SIDE};
pub use decoder::{Decoder, Header, Output};
pub use library::Library;
