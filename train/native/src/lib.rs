#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // the one crate that calls C++

mod autocast;
mod backward;
mod error;
mod ffi;
mod optim;
mod rng;

pub use autocast::{Autocast, autocast_bf16};
pub use backward::backward;
pub use error::NativeError;
pub use optim::{AdamWStep, fused_adamw, global_norm, scale};
pub use rng::{rng_state, set_rng_state};
