#![doc = include_str!("../README.md")]

pub mod device;
pub mod dist;
mod due;
mod evaluate;
mod guard;
pub mod launch;
mod log;
pub mod loss;
pub mod memory;
pub mod model;
mod model_dir;
mod optim;
mod outputs;
pub mod patches;
pub mod pixel_memory;
pub mod preflight;
mod progress;
mod resume;
mod run;
mod scaler;
mod schedule;
mod signal;
mod snapshot;
mod sources;
mod start;
pub mod step;
pub mod tensors;
pub mod verify;

pub use evaluate::{EvalSet, evaluate};
pub use model_dir::ModelDir;
pub use optim::{AdamW, not_finite};
pub use outputs::{CLEAN, Finished};
pub use resume::Resume;
pub use run::train;
pub use scaler::GradScaler;
pub use schedule::learning_rate;
