//! Activations that are computed again in the backward pass instead of being kept.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::Tensor;
use torch_sys::C_tensor;

/// Part of a model: one tensor in, one out. It is `Send` because back-propagation on a GPU runs on a
/// thread of libtorch's, and need not be `Sync` because it never runs twice at once.
type Body = Box<dyn FnMut(&Tensor) -> Result<Tensor, NativeError> + Send>;

/// Runs `body` over `input` and keeps of it only `input`: back-propagation runs `body` again, with
/// the autocast state of now, and adds to the gradients of whatever it holds. `body` has to give the
/// same each time, and something in it, or `input`, has to require a gradient.
///
/// # Errors
/// When `body` ends in an error or panics. In back-propagation the same becomes the error of
/// [`crate::backward`].
pub fn recompute(
    input: &Tensor,
    body: impl FnMut(&Tensor) -> Result<Tensor, NativeError> + Send + 'static,
) -> Result<Tensor, NativeError> {
    let body: Box<Body> = Box::new(Box::new(body));
    let mut out = std::ptr::null_mut();
    // SAFETY: `input` is a live tensor pointer. The C++ side owns `body` from here on: its node of
    // the graph calls `run` under the node's lock, so never twice at once, and `release` once, last.
    // On success `out` is a tensor that we own.
    let ok = unsafe {
        ffi::shim_recompute(input.as_ptr(), Box::into_raw(body).cast(), run, release, &mut out)
    };
    check(ok, "run a part of the model")?;
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// Calls the body. Nothing unwinds into C++.
extern "C" fn run(body: *mut c_void, input: *mut C_tensor, output: *mut *mut C_tensor) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `body` came from `recompute`, and no other call of it is under way.
        let body = unsafe { &mut *body.cast::<Body>() };
        // SAFETY: `input` is live; the clone is a handle of our own.
        let input = unsafe { Tensor::clone_from_ptr(input) };
        body(&input)
    }));
    let message = match outcome {
        Ok(Ok(mut tensor)) => {
            // SAFETY: `output` is a place of the caller, who owns the tensor from here on.
            unsafe { *output = tensor.as_mut_ptr() };
            std::mem::forget(tensor);
            return true;
        }
        Ok(Err(error)) => error.message,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            text.unwrap_or("a panic without a message").to_owned()
        }
    };
    // SAFETY: the bytes are copied within the call.
    unsafe { ffi::shim_set_error(message.as_ptr().cast::<c_char>(), message.len()) };
    false
}

/// Drops the body.
extern "C" fn release(body: *mut c_void) {
    // SAFETY: `body` came from `Box::into_raw` in `recompute` and is released once.
    drop(unsafe { Box::from_raw(body.cast::<Body>()) });
}
