//! The state of libtorch's random generators.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use std::ffi::c_int;
use tch::{Device, Tensor};

/// The state of `device`'s default generator: a u8 tensor on the CPU.
///
/// # Errors
/// When the device does not exist.
pub fn rng_state(device: Device) -> Result<Tensor, NativeError> {
    let (cuda, index) = place(device);
    let mut out = std::ptr::null_mut();
    // SAFETY: on success `out` is a tensor that we own.
    let ok = unsafe { ffi::shim_rng_state(cuda, index, &mut out) };
    check(ok, "read the state of the random generator")?;
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// Puts back a state taken with [`rng_state`] on the same kind of device.
///
/// # Errors
/// When `state` is not such a state.
pub fn set_rng_state(device: Device, state: &Tensor) -> Result<(), NativeError> {
    let (cuda, index) = place(device);
    // SAFETY: a live tensor pointer.
    let ok = unsafe { ffi::shim_set_rng_state(cuda, index, state.as_ptr()) };
    check(ok, "restore the state of the random generator")
}

/// Whether `device` is a GPU, and its index.
pub(crate) fn place(device: Device) -> (bool, c_int) {
    match device {
        Device::Cuda(index) => (true, index.try_into().unwrap_or(c_int::MAX)),
        _ => (false, 0),
    }
}
