#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // with `jpeg` and `process`, the crates that call foreign code

mod autocast;
mod backward;
mod cuda;
mod error;
mod ffi;
mod group;
mod guard;
mod host;
mod optim;
mod product;
mod recompute;
mod rng;

pub use autocast::{Autocast, Tf32, allow_tf32, autocast, autocast_is_on, tf32_is_allowed};
pub use backward::{backward, clear_grads, grad_is_enabled};
pub use cuda::{
    DelayedScalar, GpuMemory, Uploader, device_count, empty_cache, gpu_memory, reset_peak,
    set_device,
};
pub use error::NativeError;
pub use group::{ProcessGroup, Reducer, Store};
pub use guard::{guarded, is_out_of_memory, or_panic};
pub use host::{HostBytes, HostPart, host_parts};
pub use optim::{
    AdamWStep, OnDevice, ScaleUpdate, copy, fused_adamw, global_norm, scale, update_scale,
};
pub use product::matrix_product;
pub use recompute::recompute;
pub use rng::{rng_state, set_rng_state};

/// The version of libtorch that the program was built with, such as `2.11.0`.
pub fn libtorch_version() -> &'static str {
    // SAFETY: a string literal of the C++ side.
    let text = unsafe { std::ffi::CStr::from_ptr(ffi::shim_libtorch_version()) };
    text.to_str().unwrap_or("unknown")
}
