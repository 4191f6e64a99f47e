//! Memory that a thread decodes into, kept from picture to picture.

use fast_image_resize::Resizer;
use std::cell::RefCell;

/// Buffers beyond this size, 7 megapixels, are given back after their picture.
const KEPT_BYTES: usize = 20 << 20;

/// A thread's buffers. What they hold means nothing between pictures.
#[derive(Default)]
pub(super) struct Scratch {
    /// Decoded pixels.
    pub pixels: Vec<u8>,
    /// What decoding and turning need beside.
    pub spare: Vec<u8>,
    /// Between the two passes of resizing.
    pub between: Vec<u8>,
    pub resizer: Resizer,
}

impl Scratch {
    /// Lends the thread's buffers.
    pub(super) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let result = work(scratch);
            for buffer in [&mut scratch.pixels, &mut scratch.spare, &mut scratch.between] {
                if buffer.capacity() > KEPT_BYTES {
                    *buffer = Vec::new();
                }
            }
            if scratch.resizer.size_of_internal_buffers() > KEPT_BYTES {
                scratch.resizer.reset_internal_buffers();
            }
            result
        })
    }
}

/// The first `size` bytes of a buffer, which grows where it is too short. Their values are old.
pub(super) fn room(buffer: &mut Vec<u8>, size: usize) -> &mut [u8] {
    if buffer.len() < size {
        // Afresh: pages that nothing is decoded into are then never touched.
        *buffer = vec![0; size];
    }
    &mut buffer[..size]
}
