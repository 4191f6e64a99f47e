#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // with `native`, the crates that call foreign code

mod decoder;
mod ffi;
mod library;

pub use decoder::{Decoder, Header, Output};
pub use library::Library;
