//! What a detector of products is: another one is one implementation of this trait.

use crate::BoxPx;

/// One picture and what to look for in it.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// height x width x 3, RGB, 8 bits per channel.
    pub rgb: &'a [u8],
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The product in words, such as `handbag`.
    pub phrase: &'a str,
}

/// One box that a detector found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where, in pixels of the picture; it may reach over the picture's edges.
    pub box_px: BoxPx,
    /// The detector's confidence, 0 to 1.
    pub score: f32,
    /// The words that the box answers to.
    pub phrase: String,
}

/// Why a detector failed: what it says of itself.
pub type DetectError = Box<dyn std::error::Error + Send + Sync>;

/// Finds products in pictures.
pub trait Detector: Send {
    /// The boxes found in each picture of a batch, in any order, whatever their scores: a box below
    /// the threshold tells a doubtful picture from one with nothing in it.
    ///
    /// # Errors
    /// When it fails on the batch as a whole. Whoever calls may try its pictures one by one.
    fn detect(&self, batch: &[Query<'_>]) -> Result<Vec<Vec<Found>>, DetectError>;
}
