//! The scores of relevant and of other items.

use serde::{Deserialize, Serialize};

/// Distribution of the scores of relevant items (positives) and of others (negatives).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// Edges of the bins, ascending: one more than there are bins.
    pub bins: Vec<f64>,
    /// Relevant items by bin.
    pub positives: Vec<usize>,
    /// Sampled other items by bin.
    pub negatives: Vec<usize>,
    /// Mean score of the relevant items.
    pub positive_mean: f64,
    /// Mean score of the sampled other items.
    pub negative_mean: f64,
    /// How many other items were sampled.
    pub sampled_negatives: usize,
}
