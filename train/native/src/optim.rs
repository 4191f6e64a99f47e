//! Optimiser kernels over lists of tensors.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use tch::Tensor;

/// Hyper-parameters of one AdamW update.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// One AdamW update (Loshchilov & Hutter, arXiv 1711.05101) of every tensor in `params`, in place,
/// by libtorch's fused kernel. The lists run in parallel; each of `steps` is an f32 scalar that
/// counts updates and is raised by one.
///
/// # Errors
/// When shapes, dtypes or devices of the lists do not match.
///
/// # Panics
/// When the lists differ in length: a mistake of the caller's code.
pub fn fused_adamw(
    params: &mut [Tensor],
    grads: &[Tensor],
    exp_avg: &mut [Tensor],
    exp_avg_sq: &mut [Tensor],
    steps: &mut [Tensor],
    with: AdamWStep,
) -> Result<(), NativeError> {
    let len = params.len();
    assert!([grads.len(), exp_avg.len(), exp_avg_sq.len(), steps.len()].iter().all(|&l| l == len));
    if len == 0 {
        return Ok(());
    }
    // SAFETY: five arrays of `len` live tensor pointers each.
    let ok = unsafe {
        ffi::shim_fused_adamw(
            ffi::pointers(params).as_ptr(),
            ffi::pointers(grads).as_ptr(),
            ffi::pointers(exp_avg).as_ptr(),
            ffi::pointers(exp_avg_sq).as_ptr(),
            ffi::pointers(steps).as_ptr(),
            len,
            with.lr,
            with.betas[0],
            with.betas[1],
            with.weight_decay,
            with.eps,
        )
    };
    check(ok, "update the weights with fused AdamW")
}

/// The L2 norm of all elements of all `tensors` together: a scalar on their device, not waited for.
///
/// # Errors
/// When `tensors` is empty or its members live on different devices.
pub fn global_norm(tensors: &[Tensor]) -> Result<Tensor, NativeError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: an array of live tensor pointers; on success `out` is a tensor that we own.
    let ok =
        unsafe { ffi::shim_global_norm(ffi::pointers(tensors).as_ptr(), tensors.len(), &mut out) };
    check(ok, "take the norm of the gradients")?;
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// Multiplies every tensor in place by the scalar tensor `factor`.
///
/// # Errors
/// When devices or dtypes do not match.
pub fn scale(tensors: &mut [Tensor], factor: &Tensor) -> Result<(), NativeError> {
    // SAFETY: an array of live tensor pointers and one more.
    let ok =
        unsafe { ffi::shim_scale(ffi::pointers(tensors).as_ptr(), tensors.len(), factor.as_ptr()) };
    check(ok, "scale the gradients")
}
