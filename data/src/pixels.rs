//! The pixels of batches, in memory that is used again and again.

use bytes::BytesMut;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// The pixels of one batch. Their memory goes back to the loader when they are dropped, so that
/// the next batch is decoded into pages that exist already (and that a GPU may know as pinned).
pub struct Pixels {
    bytes: BytesMut,
    home: Option<Arc<Pool>>,
}

impl From<Vec<u8>> for Pixels {
    /// Pixels that come from elsewhere than a loader.
    fn from(pixels: Vec<u8>) -> Self {
        Self { bytes: BytesMut::from(&*pixels), home: None }
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} bytes)", self.bytes.len())
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Drop for Pixels {
    fn drop(&mut self) {
        let Some(home) = &self.home else { return };
        let bytes = std::mem::take(&mut self.bytes);
        home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// Buffers of one size that wait to be used.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<BytesMut>>,
}

impl Pool {
    /// A buffer for `slots` pictures of `slot_bytes` each, cut into one part per picture: each can
    /// be filled by another thread.
    pub fn slots(&self, slots: usize, slot_bytes: usize) -> Vec<BytesMut> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut rest = idle.unwrap_or_default();
        rest.resize(slots * slot_bytes, 0);
        (0..slots).map(|_| rest.split_to(slot_bytes)).collect()
    }
}

/// The parts of a buffer as one again: they lie side by side, so nothing is copied.
pub(crate) fn joined(parts: impl IntoIterator<Item = BytesMut>, home: &Arc<Pool>) -> Pixels {
    let mut parts = parts.into_iter();
    let mut bytes = parts.next().unwrap_or_default();
    parts.for_each(|part| bytes.unsplit(part));
    Pixels { bytes, home: Some(home.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_place_and_the_memory_is_used_again() {
        let pool = Arc::new(Pool::default());
        let mut first = std::ptr::null();
        for round in 0..3u8 {
            let mut parts = pool.slots(4, 300);
            let start = parts[0].as_ptr();
            for (i, part) in parts.iter_mut().enumerate() {
                part.fill(round * 10 + i as u8);
            }
            let pixels = joined(parts, &pool);
            assert_eq!(pixels.len(), 1200);
            assert_eq!(pixels.as_ptr(), start, "nothing was copied");
            assert!(
                pixels
                    .chunks(300)
                    .enumerate()
                    .all(|(i, part)| { part.iter().all(|&value| value == round * 10 + i as u8) })
            );
            if round == 0 {
                first = start;
            }
            assert_eq!(start, first, "the same memory");
        }
    }
}
