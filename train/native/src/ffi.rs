//! The C functions of the `.cpp` files.

use std::ffi::{c_char, c_int, c_void};
use tch::Tensor;
use torch_sys::C_tensor;

/// `Store` of `c10d.cpp`.
#[repr(C)]
#[derive(Debug)]
pub struct Store([u8; 0]);

/// `Group` of `c10d.cpp`.
#[repr(C)]
#[derive(Debug)]
pub struct Group([u8; 0]);

/// `c10d::Reducer`.
#[repr(C)]
#[derive(Debug)]
pub struct Reducer([u8; 0]);

/// `Uploader` of `cuda.cpp`.
#[repr(C)]
#[derive(Debug)]
pub struct Uploader([u8; 0]);

/// `Delayed` of `cuda.cpp`.
#[repr(C)]
#[derive(Debug)]
pub struct Delayed([u8; 0]);

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
        grad_scale: *const C_tensor,
        found_inf: *const C_tensor,
    ) -> bool;
    pub fn shim_global_norm(
        tensors: *const *const C_tensor,
        len: usize,
        out: *mut *mut C_tensor,
    ) -> bool;
    pub fn shim_scale(tensors: *const *const C_tensor, len: usize, factor: *const C_tensor)
    -> bool;
    pub fn shim_copy(to: *const *const C_tensor, from: *const *const C_tensor, len: usize) -> bool;
    pub fn shim_update_scale(
        scale: *const C_tensor,
        growth_tracker: *const C_tensor,
        found_inf: *const C_tensor,
        growth: f64,
        backoff: f64,
        interval: i64,
    ) -> bool;
    pub fn shim_grad_is_enabled() -> bool;
    pub fn shim_backward(
        outputs: *const *const C_tensor,
        grads: *const *const C_tensor,
        len: usize,
    ) -> bool;
    pub fn shim_recompute(
        input: *const C_tensor,
        body: *mut c_void,
        run: extern "C" fn(*mut c_void, *mut C_tensor, *mut *mut C_tensor) -> bool,
        drop: extern "C" fn(*mut c_void),
        out: *mut *mut C_tensor,
    ) -> bool;
    pub fn shim_set_error(message: *const c_char, len: usize);
    pub fn shim_cuda_device_count() -> c_int;
    pub fn shim_cuda_set_device(index: c_int) -> bool;
    pub fn shim_cuda_memory(
        index: c_int,
        free: *mut u64,
        total: *mut u64,
        allocated: *mut u64,
        peak: *mut u64,
    ) -> bool;
    pub fn shim_cuda_reset_peak(index: c_int) -> bool;
    pub fn shim_cuda_empty_cache() -> bool;
    pub fn shim_uploader_new(index: c_int, out: *mut *mut Uploader) -> bool;
    pub fn shim_uploader_free(uploader: *mut Uploader);
    pub fn shim_uploader_upload(
        uploader: *mut Uploader,
        host: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> bool;
    pub fn shim_host_bytes(len: i64, pinned: bool, out: *mut *mut C_tensor) -> bool;
    pub fn shim_delayed_new(scalar: *const C_tensor, out: *mut *mut Delayed) -> bool;
    pub fn shim_delayed_get(delayed: *mut Delayed, value: *mut f64) -> bool;
    pub fn shim_delayed_free(delayed: *mut Delayed);
    pub fn shim_clear_grads(tensors: *const *const C_tensor, len: usize);
    pub fn shim_autocast_enter(
        cuda: bool,
        half: bool,
        was: *mut bool,
        was_dtype: *mut c_int,
    ) -> bool;
    pub fn shim_autocast_is_on(cuda: bool) -> bool;
    pub fn shim_autocast_leave(cuda: bool, was: bool, was_dtype: c_int) -> bool;
    pub fn shim_allow_tf32(allow: bool) -> bool;
    pub fn shim_tf32_is_allowed(allowed: *mut bool) -> bool;
    pub fn shim_rng_state(cuda: bool, index: c_int, out: *mut *mut C_tensor) -> bool;
    pub fn shim_set_rng_state(cuda: bool, index: c_int, state: *const C_tensor) -> bool;

    pub fn shim_store_connect(
        host: *const c_char,
        port: u16,
        serve: bool,
        world: usize,
        timeout_ms: u64,
        prefix: *const c_char,
        out: *mut *mut Store,
    ) -> bool;
    pub fn shim_store_free(store: *mut Store);
    pub fn shim_store_set(store: *mut Store, key: *const c_char, value: *const c_char) -> bool;
    pub fn shim_store_get(
        store: *mut Store,
        key: *const c_char,
        value: *mut c_char,
        room: usize,
    ) -> bool;
    pub fn shim_group_new(
        store: *mut Store,
        rank: c_int,
        world: c_int,
        timeout_ms: u64,
        host: *const c_char,
        nccl: bool,
        out: *mut *mut Group,
    ) -> bool;
    pub fn shim_group_free(group: *mut Group);
    pub fn shim_group_all_reduce(group: *mut Group, sum: *const C_tensor) -> bool;
    pub fn shim_group_all_reduce_min(group: *mut Group, least: *const C_tensor) -> bool;
    pub fn shim_group_all_gather(
        group: *mut Group,
        rows: *const C_tensor,
        all: *const C_tensor,
    ) -> bool;
    pub fn shim_group_gather(
        group: *mut Group,
        tensor: *const C_tensor,
        root: c_int,
        parts: *const *const C_tensor,
        len: usize,
    ) -> bool;
    pub fn shim_group_broadcast(
        group: *mut Group,
        tensor: *const C_tensor,
        root: c_int,
        timeout_ms: u64,
    ) -> bool;
    pub fn shim_reducer_new(
        group: *mut Group,
        params: *const *const C_tensor,
        len: usize,
        bf16: bool,
        out: *mut *mut Reducer,
    ) -> bool;
    pub fn shim_reducer_free(reducer: *mut Reducer);
    pub fn shim_reducer_prepare(reducer: *mut Reducer) -> bool;
    pub fn shim_reducer_settle(reducer: *mut Reducer) -> bool;
}

/// The pointers of a list of tensors, for the duration of one call.
pub fn pointers(tensors: &[Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(Tensor::as_ptr).collect()
}
