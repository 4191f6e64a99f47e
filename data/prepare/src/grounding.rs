//! How a product is found in its picture: by a box of the catalogue, or by a detector.
//!
//! Everything here is a function of numbers; pictures are decoded and cut elsewhere.

mod boxes;
mod choose;
mod detector;

pub use boxes::given;
pub use choose::choose;
pub use detector::{DetectError, Detector, Found, Query};

use crate::{BoxPx, Grounding};

/// Which part of a picture is kept, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// How it was found.
    pub grounding: Grounding,
    /// The product's box, clamped to the picture, without padding; none: the whole picture.
    pub box_px: Option<BoxPx>,
    /// The detector's confidence in 0..=1, that of the best box where it was too low; 1 for a given
    /// box.
    pub score: Option<f32>,
    /// What to cut out: the box with padding, or the whole picture.
    pub crop: Area,
}

/// Whole pixels of a picture: `x0 <= x < x1`, `y0 <= y < y1`; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x0: usize,
    /// Top edge.
    pub y0: usize,
    /// Right edge, exclusive.
    pub x1: usize,
    /// Bottom edge, exclusive.
    pub y1: usize,
}

impl Area {
    /// All of a picture of `width` x `height` pixels.
    pub fn whole(width: usize, height: usize) -> Self {
        Self { x0: 0, y0: 0, x1: width, y1: height }
    }

    /// Whether it is all of a picture of `width` x `height` pixels.
    pub fn is_whole(&self, width: usize, height: usize) -> bool {
        *self == Self::whole(width, height)
    }

    /// Its width in pixels.
    pub fn width(&self) -> usize {
        self.x1 - self.x0
    }

    /// Its height in pixels.
    pub fn height(&self) -> usize {
        self.y1 - self.y0
    }
}

impl Cut {
    /// The whole picture, kept for the reason that `grounding` states.
    pub fn whole(grounding: Grounding, width: usize, height: usize) -> Self {
        Self { grounding, box_px: None, score: None, crop: Area::whole(width, height) }
    }
}
