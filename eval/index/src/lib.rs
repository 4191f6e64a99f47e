#![doc = include_str!("../README.md")]

mod build;
mod error;
mod graph;
mod info;
mod items;
mod measure;
mod search;

pub use build::{IndexOptions, build, replaceable};
pub use error::IndexError;
pub use info::{GraphFile, INFO, IndexInfo, Measured, SCHEMA, SCHEMA_VERSION, Scalar};
pub use measure::Queries;
pub use search::{Found, How, Index};
