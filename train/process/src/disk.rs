//! What the file system has left. Linux only.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that this user may still write to the file system that `path`, which exists, lies on.
///
/// # Errors
/// When there is no such path, or the system cannot tell.
pub fn free_disk(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a string that ends with zero, and a struct that the system fills in where it succeeds.
    let found = unsafe {
        match libc::statvfs(path.as_ptr(), found.as_mut_ptr()) {
            0 => found.assume_init(),
            _ => return Err(io::Error::last_os_error()),
        }
    };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_system_tells_and_a_missing_path_is_an_error() {
        assert!(free_disk(Path::new("/")).is_ok());
        assert_eq!(free_disk(Path::new("/proc")).ok(), Some(0));
        let error = free_disk(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
