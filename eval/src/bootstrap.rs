//! Confidence intervals of means over queries, by bootstrap. Owns resampling and the BCa formula.

use crate::EvalError;
use crate::random::Random;
use crate::resample::weighted_sums;
use statrs::distribution::{ContinuousCDF, Normal};

/// The method, as reports state it.
pub(crate) const METHOD: &str = "bootstrap over the scored queries, bias-corrected and accelerated \
    (BCa, Efron 1987), all metrics of a task on the same resamples; none for fewer than two queries \
    or where all have the same value, since resampling says nothing there";

/// Fewest resamples that an interval is made of.
const FEWEST: usize = 100;

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Resamples of the queries, at least 100; 0 for no intervals.
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

impl Bootstrap {
    /// Refuses what no interval can be made with.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        let Self { resamples, confidence, .. } = *self;
        if (1..FEWEST).contains(&resamples) {
            return Err(EvalError::BadResamples { resamples });
        }
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(EvalError::BadConfidence { confidence });
        }
        Ok(())
    }

    /// The interval of each column's mean; the columns' rows are the same queries.
    pub(crate) fn intervals(&self, columns: &[&[f64]]) -> Vec<Option<[f64; 2]>> {
        let varies = |column: &&&[f64]| column.iter().any(|value| *value != column[0]);
        let varying: Vec<&[f64]> = columns.iter().filter(varies).copied().collect();
        let mut means = self.resampled_means(&varying).into_iter();
        columns
            .iter()
            .map(|column| {
                let varies = self.resamples > 0 && varies(&column);
                let mut means = varies.then(|| means.next()).flatten()?;
                means.sort_unstable_by(f64::total_cmp);
                Some(self.bca(column, &means))
            })
            .collect()
    }

    /// Each column's mean over every resample, by column.
    fn resampled_means(&self, columns: &[&[f64]]) -> Vec<Vec<f64>> {
        let num_rows = columns.first().map_or(0, |column| column.len());
        let mut sums = weighted_sums(columns, self.resamples, |resample, counts| {
            let mut random = Random::keyed(self.seed, resample as u64);
            for _ in 0..num_rows {
                // A row that is drawn more than 127 times has a probability below 1e-200.
                let count = &mut counts[random.below(num_rows)];
                *count = count.saturating_add(1);
            }
        });
        sums.iter_mut().flatten().for_each(|sum| *sum /= num_rows as f64);
        sums
    }

    /// The BCa interval of the mean of `values` from its `means` over resamples, ascending. Falls
    /// back to the plain percentiles where the correction is not defined.
    fn bca(&self, values: &[f64], means: &[f64]) -> [f64; 2] {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        // Rounding must not tell equal means apart: metrics are of the order of 1.
        let tolerance = 1e-12 * mean.abs().max(1.0);
        let below = means.partition_point(|found| *found < mean - tolerance);
        let not_above = means.partition_point(|found| *found <= mean + tolerance);
        let normal = Normal::standard();
        let bias = normal.inverse_cdf((below + not_above) as f64 / (2 * means.len()) as f64);
        // The jackknife's acceleration, which a mean has in closed form.
        let power = |n: i32| values.iter().map(|value| (value - mean).powi(n)).sum::<f64>();
        let acceleration = power(3) / (6.0 * power(2).powf(1.5));
        let tail = (1.0 - self.confidence) / 2.0;
        [tail, 1.0 - tail].map(|share| {
            let shifted = bias + normal.inverse_cdf(share);
            let corrected = normal.cdf(bias + shifted / (1.0 - acceleration * shifted));
            quantile(means, if corrected.is_finite() { corrected } else { share })
        })
    }
}

/// The quantile of ascending values, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let low = (at.floor() as usize).min(last);
    let (below, above) = (sorted[low], sorted[(low + 1).min(last)]);
    below + (above - below) * (at - low as f64)
}
