//! Arithmetic with a scope: autocast to 16 bits, and TF32.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use std::ffi::c_int;
use std::marker::PhantomData;
use tch::{Device, Kind};

/// While it lives, matrix products on its device type run in 16 bits on this thread; dropping it
/// restores the former state and frees the cached casts of weights.
#[derive(Debug)]
#[must_use = "autocast ends when this is dropped"]
pub struct Autocast {
    cuda: bool,
    was: bool,
    was_dtype: c_int,
    // Autocast state is per thread: keep the guard on the thread that made it.
    _not_send: PhantomData<*const ()>,
}

/// Enters autocast to `kind`, bfloat16 or float16, on `device` for this thread.
///
/// # Errors
/// When libtorch knows no autocast for the device.
///
/// # Panics
/// On another `kind`: a mistake of the caller's code.
pub fn autocast(device: Device, kind: Kind) -> Result<Autocast, NativeError> {
    assert!(matches!(kind, Kind::BFloat16 | Kind::Half), "autocast to {kind:?}");
    let (cuda, half) = (device.is_cuda(), kind == Kind::Half);
    let (mut was, mut was_dtype) = (false, 0);
    // SAFETY: both places outlive the call.
    let ok = unsafe { ffi::shim_autocast_enter(cuda, half, &mut was, &mut was_dtype) };
    check(ok, "enter autocast")?;
    Ok(Autocast { cuda, was, was_dtype, _not_send: PhantomData })
}

/// Whether autocast is on for `device` on this thread.
pub fn autocast_is_on(device: Device) -> bool {
    // SAFETY: plain values.
    unsafe { ffi::shim_autocast_is_on(device.is_cuda()) }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: plain values. It can only fail on an unknown device type, which entering refused.
        let _ = unsafe { ffi::shim_autocast_leave(self.cuda, self.was, self.was_dtype) };
    }
}

/// While it lives, f32 matrix products on GPUs may round their inputs to TF32 (10 bits of
/// mantissa), in the whole process: back-propagation runs on threads of its own. Convolutions have
/// a setting of their own; the towers have none on GPUs.
#[derive(Debug)]
#[must_use = "TF32 ends when this is dropped"]
pub struct Tf32 {
    was: bool,
}

/// Allows TF32 until the guard is dropped. On CPUs it changes nothing.
///
/// # Errors
/// When libtorch refuses.
pub fn allow_tf32() -> Result<Tf32, NativeError> {
    let was = tf32_is_allowed()?;
    // SAFETY: plain values.
    check(unsafe { ffi::shim_allow_tf32(true) }, "allow TF32")?;
    Ok(Tf32 { was })
}

/// Whether f32 matrix products on GPUs may round their inputs to TF32 now.
///
/// # Errors
/// When other code of the process set it through both of libtorch's interfaces.
pub fn tf32_is_allowed() -> Result<bool, NativeError> {
    let mut allowed = false;
    // SAFETY: `allowed` outlives the call.
    check(unsafe { ffi::shim_tf32_is_allowed(&mut allowed) }, "tell whether TF32 is allowed")?;
    Ok(allowed)
}

impl Drop for Tf32 {
    fn drop(&mut self) {
        // SAFETY: plain values. It cannot fail where allowing it did not.
        let _ = unsafe { ffi::shim_allow_tf32(self.was) };
    }
}
