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

/// Scalars on the device that change an update without the host waiting for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDevice<'a> {
    /// f32: the gradients are divided by it first.
    pub grad_scale: Option<&'a Tensor>,
    /// f32: where it is 1 nothing changes, the counts of updates included; else it is 0.
    pub found_inf: Option<&'a Tensor>,
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
    on_device: OnDevice,
) -> Result<(), NativeError> {
    let len = params.len();
    assert!([grads.len(), exp_avg.len(), exp_avg_sq.len(), steps.len()].iter().all(|&l| l == len));
    if len == 0 {
        return Ok(());
    }
    let optional = |tensor: Option<&Tensor>| tensor.map_or(std::ptr::null(), Tensor::as_ptr);
    // SAFETY: five arrays of `len` live tensor pointers each; the last two are live or null.
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
            optional(on_device.grad_scale),
            optional(on_device.found_inf),
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

/// Copies each of `from` into its place in `to`, converting dtypes.
///
/// # Errors
/// When shapes do not match.
///
/// # Panics
/// When the lists differ in length: a mistake of the caller's code.
pub fn copy(to: &mut [Tensor], from: &[Tensor]) -> Result<(), NativeError> {
    assert_eq!(to.len(), from.len());
    if to.is_empty() {
        return Ok(());
    }
    // SAFETY: two arrays of live tensor pointers of equal length.
    let ok = unsafe {
        ffi::shim_copy(ffi::pointers(to).as_ptr(), ffi::pointers(from).as_ptr(), to.len())
    };
    check(ok, "copy the weights")
}

/// How a gradient scale moves: torch.amp.GradScaler's terms.
#[derive(Clone, Copy, Debug)]
pub struct ScaleUpdate {
    /// Factor after `interval` finite steps in a row.
    pub growth: f64,
    /// Factor after a step that was not finite.
    pub backoff: f64,
    /// Finite steps in a row before it grows.
    pub interval: i64,
}

/// Moves the f32 scalar `scale` and the i32 scalar `growth_tracker`, which counts finite steps in a
/// row, after a step in which `found_inf` (f32) was 0 or 1; the host does not wait.
///
/// # Errors
/// When dtypes or devices do not match.
pub fn update_scale(
    scale: &mut Tensor,
    growth_tracker: &mut Tensor,
    found_inf: &Tensor,
    with: ScaleUpdate,
) -> Result<(), NativeError> {
    // SAFETY: three live tensor pointers.
    let ok = unsafe {
        ffi::shim_update_scale(
            scale.as_ptr(),
            growth_tracker.as_ptr(),
            found_inf.as_ptr(),
            with.growth,
            with.backoff,
            with.interval,
        )
    };
    check(ok, "update the gradient scale")
}
