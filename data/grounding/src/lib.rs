#![doc = include_str!("../README.md")]

mod config;
mod detect;
mod error;
mod model;
mod picture;
mod prompt;
mod weights;

pub use config::{Activation, BertConfig, Config, SwinConfig};
pub use detect::{Detection, Detector, Inputs};
pub use error::GroundingError;
pub use model::{Outputs, Pixels};
pub use picture::{Bucket, RgbPicture};
