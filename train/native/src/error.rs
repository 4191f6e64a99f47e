//! The error that every call into libtorch can end in.

use std::ffi::CStr;

/// libtorch refused an operation.
#[derive(Debug, thiserror::Error)]
#[error("libtorch could not {operation}: {message}")]
pub struct NativeError {
    /// What was attempted, as a verb phrase.
    pub operation: &'static str,
    /// libtorch's own words, without its C++ backtrace.
    pub message: String,
}

/// Turns a shim function's success flag into a result.
pub(crate) fn check(ok: bool, operation: &'static str) -> Result<(), NativeError> {
    if ok {
        return Ok(());
    }
    // SAFETY: shim_error returns a NUL-terminated string that lives as long as the thread.
    let message = unsafe { CStr::from_ptr(crate::ffi::shim_error()) };
    let message = message.to_string_lossy();
    let line = message.lines().next().unwrap_or_default();
    // Gloo puts the place in its source in front.
    let place = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let message = place.map_or(line, |(_, said)| said).to_owned();
    Err(NativeError { operation, message })
}
