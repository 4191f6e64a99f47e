//! Autocast to bfloat16 with a scope.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use tch::Device;

/// While it lives, matrix products on its device type run in bfloat16 on this thread; dropping it
/// restores the former state and frees the cached casts of weights.
#[derive(Debug)]
#[must_use = "autocast ends when this is dropped"]
pub struct Autocast {
    cuda: bool,
    was: bool,
    // Autocast state is per thread: keep the guard on the thread that made it.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Enters autocast to bfloat16 on `device` for this thread.
///
/// # Errors
/// When libtorch knows no autocast for the device.
pub fn autocast_bf16(device: Device) -> Result<Autocast, NativeError> {
    let cuda = device.is_cuda();
    let mut was = false;
    // SAFETY: `was` outlives the call.
    check(unsafe { ffi::shim_autocast_enter(cuda, &mut was) }, "enter bfloat16 autocast")?;
    Ok(Autocast { cuda, was, _not_send: std::marker::PhantomData })
}

/// Whether autocast is on for `device` on this thread.
pub fn autocast_is_on(device: Device) -> bool {
    // SAFETY: plain values.
    unsafe { ffi::shim_autocast_is_on(device.is_cuda()) }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: plain values. It can only fail on an unknown device type, which entering refused.
        let _ = unsafe { ffi::shim_autocast_leave(self.cuda, self.was) };
    }
}
