//! The shape of the embedding space.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the embeddings look like as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The model's learned factor of the cosines, where it has one.
    pub logit_scale: Option<f64>,
    /// Components per embedding.
    pub width: usize,
    /// Mean squared distance of matching pairs of unit vectors; lower is closer.
    pub alignment: Option<f64>,
    /// Log of the mean of exp(-2 d^2) over pairs of one side's unit vectors, by side; lower is more
    /// even.
    pub uniformity: BTreeMap<String, f64>,
    /// Distance between the sides' mean vectors.
    pub modality_gap: Option<f64>,
}
