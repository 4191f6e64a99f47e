//! GPUs: memory, and copies that the host does not wait for. On a CPU device nothing here touches
//! CUDA.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use crate::rng::place;
use tch::{Device, Tensor};

/// How many GPUs the process sees.
pub fn device_count() -> usize {
    // SAFETY: plain values.
    usize::try_from(unsafe { ffi::shim_cuda_device_count() }).unwrap_or(0)
}

/// Makes `device` the one that new streams and communicators of this thread belong to.
///
/// # Errors
/// When it is a GPU that does not exist.
pub fn set_device(device: Device) -> Result<(), NativeError> {
    let (true, index) = place(device) else { return Ok(()) };
    // SAFETY: plain values.
    check(unsafe { ffi::shim_cuda_set_device(index) }, "choose the GPU")
}

/// Memory of a GPU in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuMemory {
    /// Free for any process.
    pub free: u64,
    /// The GPU's whole memory.
    pub total: u64,
    /// In tensors of this process now.
    pub allocated: u64,
    /// The most that was in tensors since [`reset_peak`].
    pub peak: u64,
}

/// The memory of `device`; `None` where it is no GPU.
///
/// # Errors
/// When CUDA cannot tell.
pub fn gpu_memory(device: Device) -> Result<Option<GpuMemory>, NativeError> {
    let (true, index) = place(device) else { return Ok(None) };
    let mut m = GpuMemory::default();
    // SAFETY: four places that outlive the call.
    let ok = unsafe {
        ffi::shim_cuda_memory(index, &mut m.free, &mut m.total, &mut m.allocated, &mut m.peak)
    };
    check(ok, "read the GPU's memory")?;
    Ok(Some(m))
}

/// Starts [`GpuMemory::peak`] anew.
///
/// # Errors
/// When the GPU does not exist.
pub fn reset_peak(device: Device) -> Result<(), NativeError> {
    let (true, index) = place(device) else { return Ok(()) };
    // SAFETY: plain values.
    check(unsafe { ffi::shim_cuda_reset_peak(index) }, "reset the GPU's memory statistics")
}

/// Gives memory that no tensor uses back to `device`.
///
/// # Errors
/// When an earlier operation of the GPU failed.
pub fn empty_cache(device: Device) -> Result<(), NativeError> {
    let (true, _) = place(device) else { return Ok(()) };
    // SAFETY: no arguments.
    check(unsafe { ffi::shim_cuda_empty_cache() }, "give back unused GPU memory")
}

/// Copies tensors to one device, beside what it computes.
#[derive(Debug)]
pub struct Uploader {
    stream: Option<*mut ffi::Uploader>,
}

impl Uploader {
    /// To `device`.
    ///
    /// # Errors
    /// When it is a GPU that does not exist.
    pub fn new(device: Device) -> Result<Self, NativeError> {
        let (true, index) = place(device) else { return Ok(Self { stream: None }) };
        let mut stream = std::ptr::null_mut();
        // SAFETY: on success `stream` is an object that we own.
        let ok = unsafe { ffi::shim_uploader_new(index, &mut stream) };
        check(ok, "open a stream for copies")?;
        Ok(Self { stream: Some(stream) })
    }

    /// `host` on the device. On a GPU neither host nor device waits for the copy, but what is
    /// computed with the result on this thread's stream comes after it. On a CPU these are the same
    /// tensors.
    ///
    /// # Errors
    /// When memory is short.
    pub fn upload(&self, host: &[Tensor]) -> Result<Vec<Tensor>, NativeError> {
        let Some(stream) = self.stream else {
            return Ok(host.iter().map(Tensor::shallow_clone).collect());
        };
        let one = |tensor: &Tensor| {
            let mut out = std::ptr::null_mut();
            // SAFETY: a live object and a live tensor; on success `out` is a tensor that we own.
            let ok = unsafe { ffi::shim_uploader_upload(stream, tensor.as_ptr(), &mut out) };
            check(ok, "copy a batch to the GPU")?;
            Ok(unsafe { Tensor::from_ptr(out) })
        };
        host.iter().map(one).collect()
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        if let Some(stream) = self.stream {
            // SAFETY: ours, freed once.
            unsafe { ffi::shim_uploader_free(stream) }
        }
    }
}

/// A scalar of the device that is read later, so that the host need not wait for it now.
#[derive(Debug)]
pub struct DelayedScalar(Delayed);

#[derive(Debug)]
enum Delayed {
    Here(f64),
    Coming(*mut ffi::Delayed),
}

impl DelayedScalar {
    /// Starts to copy `scalar`, of any dtype and one element; on a CPU that is all.
    ///
    /// # Errors
    /// When `scalar` has other than one element or memory is short.
    pub fn start(scalar: &Tensor) -> Result<Self, NativeError> {
        let operation = "read a scalar";
        if !scalar.device().is_cuda() {
            let value = f64::try_from(scalar);
            let value =
                value.map_err(|error| NativeError { operation, message: error.to_string() })?;
            return Ok(Self(Delayed::Here(value)));
        }
        let mut delayed = std::ptr::null_mut();
        // SAFETY: a live tensor; on success `delayed` is an object that we own.
        check(unsafe { ffi::shim_delayed_new(scalar.as_ptr(), &mut delayed) }, operation)?;
        Ok(Self(Delayed::Coming(delayed)))
    }

    /// Its value, once the device has come to it.
    ///
    /// # Errors
    /// When an operation of the GPU before it failed.
    pub fn get(&self) -> Result<f64, NativeError> {
        match self.0 {
            Delayed::Here(value) => Ok(value),
            Delayed::Coming(delayed) => {
                let mut value = f64::NAN;
                // SAFETY: a live object, and a place that outlives the call.
                check(unsafe { ffi::shim_delayed_get(delayed, &mut value) }, "read a scalar")?;
                Ok(value)
            }
        }
    }
}

impl Drop for DelayedScalar {
    fn drop(&mut self) {
        if let Delayed::Coming(delayed) = self.0 {
            // SAFETY: ours, freed once.
            unsafe { ffi::shim_delayed_free(delayed) }
        }
    }
}
