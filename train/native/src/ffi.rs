//! The C functions of `shim.cpp`.

use std::ffi::{c_char, c_int};
use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    pub fn shim_error() -> *const c_char;
    pub fn shim_libtorch_version() -> *const c_char;
    pub fn shim_fused_adamw(
        params: *const *const C_tensor,
        grads: *const *const C_tensor,
        exp_avg: *const *const C_tensor,
        exp_avg_sq: *const *const C_tensor,
        steps: *const *const C_tensor,
        len: usize,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
    ) -> bool;
    pub fn shim_global_norm(
        tensors: *const *const C_tensor,
        len: usize,
        out: *mut *mut C_tensor,
    ) -> bool;
    pub fn shim_scale(tensors: *const *const C_tensor, len: usize, factor: *const C_tensor)
    -> bool;
    pub fn shim_backward(
        outputs: *const *const C_tensor,
        grads: *const *const C_tensor,
        len: usize,
    ) -> bool;
    pub fn shim_clear_grads(tensors: *const *const C_tensor, len: usize);
    pub fn shim_autocast_enter(cuda: bool, was: *mut bool) -> bool;
    pub fn shim_autocast_is_on(cuda: bool) -> bool;
    pub fn shim_autocast_leave(cuda: bool, was: bool) -> bool;
    pub fn shim_rng_state(cuda: bool, index: c_int, out: *mut *mut C_tensor) -> bool;
    pub fn shim_set_rng_state(cuda: bool, index: c_int, state: *const C_tensor) -> bool;
}

/// The pointers of a list of tensors, for the duration of one call.
pub fn pointers(tensors: &[Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(Tensor::as_ptr).collect()
}
