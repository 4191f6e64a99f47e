//! Confidence intervals of means over queries, by bootstrap.

/// The method, as reports state it.
pub(crate) const METHOD: &str = "bootstrap over the scored queries, bias-corrected and accelerated \
    (BCa), all metrics on the same resamples; none for fewer than two queries or where all have the \
    same value";

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Resamples of the queries; 0 for no intervals.
    pub resamples: usize,
    /// Share of such intervals that hold the true mean, in (0, 1).
    pub confidence: f64,
    /// Seed of the resamples.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, confidence: 0.95, seed: 0 }
    }
}
