//! Pictures decoded straight into memory that a GPU copies from by itself.

use data::{PixelBuffer, PixelMemory, PixelSlot, Pixels};
use native::{HostBytes, HostPart, host_parts};
use std::any::Any;
use tch::Tensor;

/// Memory of libtorch: pinned for a GPU, or ordinary (for tests).
#[derive(Debug)]
pub struct TorchMemory {
    /// Whether it is pinned, which needs a GPU.
    pub pinned: bool,
}

struct Slot(HostPart);

struct Buffer(HostBytes);

impl PixelMemory for TorchMemory {
    fn slots(&self, slots: usize, slot_bytes: usize) -> Result<Vec<Box<dyn PixelSlot>>, String> {
        let parts =
            host_parts(slots, slot_bytes, self.pinned).map_err(|error| error.to_string())?;
        Ok(parts.into_iter().map(|part| Box::new(Slot(part)) as _).collect())
    }

    fn join(&self, slots: Vec<Box<dyn PixelSlot>>) -> Pixels {
        let parts = slots.into_iter().filter_map(|slot| (slot as Box<dyn Any>).downcast().ok());
        let parts = parts.map(|slot: Box<Slot>| slot.0).collect();
        HostBytes::joined(parts).map_or_else(|| Pixels::from(vec![]), |b| Pixels::new(Buffer(b)))
    }
}

impl PixelSlot for Slot {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl PixelBuffer for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The pixels as a tensor, u8 `[len]`, that shares their memory, where they lie in libtorch's.
pub fn shared(pixels: &Pixels) -> Option<Tensor> {
    pixels.buffer::<Buffer>().map(|buffer| buffer.0.tensor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_write_is_a_tensor_without_a_copy() {
        let memory = TorchMemory { pinned: false };
        let mut slots = memory.slots(3, 4).unwrap();
        let start = slots[0].bytes().as_ptr();
        for (slot, value) in slots.iter_mut().zip(1..) {
            slot.bytes().fill(value);
        }
        let pixels = memory.join(slots);
        assert_eq!(&pixels[..], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        let tensor = shared(&pixels).unwrap();
        assert_eq!(tensor.data_ptr().cast_const().cast(), start);
        assert_eq!(Vec::<u8>::try_from(tensor).unwrap(), &pixels[..]);
        assert!(shared(&Pixels::from(vec![1, 2])).is_none(), "other memory is copied");
    }
}
