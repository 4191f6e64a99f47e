//! The pixels of batches: memory that pictures are decoded into, each into its own part of it.

use bytes::BytesMut;
use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// Where batches' pixels come to lie. A trainer on a GPU gives memory that the GPU copies from by
/// itself, so that nothing lies between decoding and that copy.
pub trait PixelMemory: fmt::Debug + Send + Sync {
    /// Room for `slots` pictures of `slot_bytes` each, side by side, one part per picture.
    ///
    /// # Errors
    /// The reason why there is none.
    fn slots(&self, slots: usize, slot_bytes: usize) -> Result<Vec<Box<dyn PixelSlot>>, String>;

    /// Parts that [`PixelMemory::slots`] gave, in their order, as one.
    fn join(&self, slots: Vec<Box<dyn PixelSlot>>) -> Pixels;
}

/// Room for one picture.
pub trait PixelSlot: Any + Send {
    /// Its bytes; what they were before means nothing.
    fn bytes(&mut self) -> &mut [u8];
}

/// All pixels of a batch.
pub trait PixelBuffer: Any + Send + Sync {
    /// B x size x size x 3.
    fn bytes(&self) -> &[u8];
}

/// The pixels of one batch.
pub struct Pixels(Box<dyn PixelBuffer>);

impl Pixels {
    /// Those that lie in `buffer`.
    pub fn new(buffer: impl PixelBuffer) -> Self {
        Self(Box::new(buffer))
    }

    /// The buffer, if it is of type `B`.
    pub fn buffer<B: PixelBuffer>(&self) -> Option<&B> {
        (&*self.0 as &dyn Any).downcast_ref()
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} bytes)", self.len())
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl PixelBuffer for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(pixels: Vec<u8>) -> Self {
        Self::new(pixels)
    }
}

/// Ordinary memory, used again once a batch is dropped: its pages exist already.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Vec<BytesMut>>>,
}

struct Pooled {
    bytes: BytesMut,
    home: Arc<Mutex<Vec<BytesMut>>>,
}

impl PixelMemory for Pool {
    fn slots(&self, slots: usize, slot_bytes: usize) -> Result<Vec<Box<dyn PixelSlot>>, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut rest = idle.unwrap_or_default();
        rest.resize(slots * slot_bytes, 0);
        Ok((0..slots).map(|_| Box::new(rest.split_to(slot_bytes)) as _).collect())
    }

    fn join(&self, slots: Vec<Box<dyn PixelSlot>>) -> Pixels {
        let parts = slots.into_iter().filter_map(|slot| (slot as Box<dyn Any>).downcast().ok());
        let mut parts = parts.map(|part: Box<BytesMut>| *part);
        let mut bytes = parts.next().unwrap_or_default();
        // The parts lie side by side, so nothing is copied.
        parts.for_each(|part| bytes.unsplit(part));
        Pixels::new(Pooled { bytes, home: self.idle.clone() })
    }
}

impl PixelSlot for BytesMut {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl PixelBuffer for Pooled {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.home.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_place_and_the_memory_is_used_again() {
        let pool = Pool::default();
        let mut first = std::ptr::null();
        for round in 0..3u8 {
            let mut parts = pool.slots(4, 300).unwrap();
            let start = parts[0].bytes().as_ptr();
            for (i, part) in parts.iter_mut().enumerate() {
                part.bytes().fill(round * 10 + i as u8);
            }
            let pixels = pool.join(parts);
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
