//! Host memory that threads fill part by part and that is a tensor afterwards, without a copy.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use tch::Tensor;

/// One part of a piece of memory. Parts do not overlap, and each has one owner, so that each may be
/// written by another thread.
#[derive(Debug)]
pub struct HostPart {
    start: *mut u8,
    len: usize,
    index: usize,
    /// Keeps the memory until the last part is gone.
    whole: Arc<Mutex<Tensor>>,
}

// SAFETY: `start..start + len` belongs to this part alone, and the memory outlives it.
unsafe impl Send for HostPart {}

impl Deref for HostPart {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as for `Send`; the bytes were set to 0 at first.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl DerefMut for HostPart {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `Send`; `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// `count` parts of `len` bytes each, side by side. `pinned`: in memory that a GPU copies from by
/// itself, which libtorch keeps and gives out again once such a copy is done; needs a GPU.
///
/// # Errors
/// When memory is short, or there is no GPU to pin it for.
pub fn host_parts(count: usize, len: usize, pinned: bool) -> Result<Vec<HostPart>, NativeError> {
    let bytes = i64::try_from(count * len).unwrap_or(i64::MAX);
    let mut out = std::ptr::null_mut();
    // SAFETY: plain values; on success `out` is a tensor that we own.
    check(unsafe { ffi::shim_host_bytes(bytes, pinned, &mut out) }, "get memory for a batch")?;
    let tensor = unsafe { Tensor::from_ptr(out) };
    let start = tensor.data_ptr().cast::<u8>();
    // SAFETY: the tensor has `count * len` bytes. Memory nobody wrote to must not be read.
    unsafe { start.write_bytes(0, count * len) };
    let whole = Arc::new(Mutex::new(tensor));
    let part = |index: usize| HostPart {
        // SAFETY: within the tensor's `count * len` bytes.
        start: unsafe { start.add(index * len) },
        len,
        index,
        whole: whole.clone(),
    };
    Ok((0..count).map(part).collect())
}

/// Parts that were put together: bytes that nobody writes to any more.
#[derive(Debug)]
pub struct HostBytes {
    tensor: Mutex<Tensor>,
    start: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read, and the tensor is behind a lock.
unsafe impl Send for HostBytes {}
// SAFETY: as for `Send`.
unsafe impl Sync for HostBytes {}

impl HostBytes {
    /// All parts of one call of [`host_parts`], in their order; else nothing.
    pub fn joined(parts: Vec<HostPart>) -> Option<Self> {
        let whole = parts.first()?.whole.clone();
        let (start, len) = (parts[0].start.cast_const(), parts.iter().map(|part| part.len).sum());
        let fits = |(index, part): (usize, &HostPart)| {
            part.index == index && Arc::ptr_eq(&part.whole, &whole)
        };
        if !parts.iter().enumerate().all(fits) {
            return None;
        }
        drop(parts);
        // The last owner: no part is missing.
        let tensor = Arc::into_inner(whole)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some(Self { tensor: Mutex::new(tensor), start, len })
    }

    /// The bytes as a tensor, u8 `[len]`, which shares the memory and must only be read.
    pub fn tensor(&self) -> Tensor {
        self.tensor.lock().unwrap_or_else(PoisonError::into_inner).shallow_clone()
    }
}

impl Deref for HostBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the tensor's memory, which lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_filled_by_threads_are_one_tensor_in_place() {
        let mut parts = host_parts(3, 4, false).unwrap();
        let start = parts[0].as_ptr();
        std::thread::scope(|scope| {
            for (index, part) in parts.iter_mut().enumerate() {
                scope.spawn(move || part.fill(index as u8 + 1));
            }
        });
        let bytes = HostBytes::joined(parts).unwrap();
        assert_eq!(&bytes[..], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!(bytes.as_ptr(), start);
        let tensor = bytes.tensor();
        drop(bytes);
        assert_eq!(Vec::<u8>::try_from(tensor).unwrap()[4..8], [2; 4]);
    }

    #[test]
    fn missing_and_mixed_parts_are_not_joined() {
        let mut parts = host_parts(3, 4, false).unwrap();
        let third = parts.pop();
        assert!(HostBytes::joined(parts).is_none());
        drop(third);
        let mut parts = host_parts(2, 4, false).unwrap();
        parts.swap(0, 1);
        assert!(HostBytes::joined(parts).is_none());
        assert!(HostBytes::joined(vec![]).is_none());
    }
}
