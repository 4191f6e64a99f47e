//! Back-propagation from given gradients.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use tch::Tensor;

/// Accumulates into the leaves' `.grad()` the gradients of `outputs`, where `grads[i]` is the
/// gradient of the loss at `outputs[i]`, in its shape and dtype. The graph is freed.
///
/// # Errors
/// When an output has no graph or a gradient's shape or dtype differs from its output's.
///
/// # Panics
/// When the lists differ in length: a mistake of the caller's code.
pub fn backward(outputs: &[Tensor], grads: &[Tensor]) -> Result<(), NativeError> {
    assert_eq!(outputs.len(), grads.len());
    // SAFETY: two arrays of live tensor pointers of equal length.
    let ok = unsafe {
        ffi::shim_backward(
            ffi::pointers(outputs).as_ptr(),
            ffi::pointers(grads).as_ptr(),
            outputs.len(),
        )
    };
    check(ok, "back-propagate")
}

/// Frees the gradients of leaf tensors, so that the next backward pass writes instead of adding.
pub fn clear_grads(params: &mut [Tensor]) {
    // SAFETY: an array of live tensor pointers.
    unsafe { ffi::shim_clear_grads(ffi::pointers(params).as_ptr(), params.len()) }
}

/// Whether operations on this thread record a graph.
pub fn grad_is_enabled() -> bool {
    // SAFETY: plain values.
    unsafe { ffi::shim_grad_is_enabled() }
}
