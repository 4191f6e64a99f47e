//! Confidence intervals of means over queries, by bootstrap. Owns resampling and the BCa formula.

use crate::EvalError;
use crate::random::Random;
use crate::resample::weighted_sums;

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
        let bias = normal_quantile((below + not_above) as f64 / (2 * means.len()) as f64);
        // The jackknife's acceleration, which a mean has in closed form.
        let power = |n: i32| values.iter().map(|value| (value - mean).powi(n)).sum::<f64>();
        let acceleration = power(3) / (6.0 * power(2).powf(1.5));
        let tail = (1.0 - self.confidence) / 2.0;
        [tail, 1.0 - tail].map(|share| {
            let shifted = bias + normal_quantile(share);
            let corrected = normal(bias + shifted / (1.0 - acceleration * shifted));
            quantile(means, if corrected.is_finite() { corrected } else { share })
        })
    }
}

/// Probability that a standard normal number is below `x`.
fn normal(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// The number below which a standard normal one lies with probability `share`, by bisection: a few
/// are needed per interval, to the last digits. Infinite for 0 and 1.
fn normal_quantile(share: f64) -> f64 {
    if share > 0.5 {
        // The lower tail is told apart from 0 where the upper is not from 1.
        return -normal_quantile(1.0 - share);
    }
    if share <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut low, mut high) = (-40.0, 0.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if normal(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn hits(random: &mut Random, count: usize, share: f32) -> Vec<f64> {
        (0..count).map(|_| f64::from(u8::from(random.uniform() < share))).collect()
    }

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0];
        for (share, expected) in [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 3.0), (1.0, 4.0)] {
            assert_eq!(quantile(&sorted, share), expected);
        }
    }

    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (share, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (1e-6, -4.753_424_308_822_899),
        ] {
            let found = normal_quantile(share);
            assert!((found - expected).abs() < 1e-14, "{share}: {found}");
            assert!((normal(found) - share).abs() < 1e-16);
        }
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
    }

    #[test]
    fn where_all_agree_there_is_no_interval() {
        let bootstrap = Bootstrap::default();
        let varying = [1.0, 0.0, 1.0];
        let found = bootstrap.intervals(&[&[1.0; 3], &varying, &[0.0; 3]]);
        assert_eq!((found[0], found[2]), (None, None));
        assert_eq!(found[1], bootstrap.intervals(&[&varying])[0]);
        assert!(found[1].is_some());
        assert_eq!(bootstrap.intervals(&[&[0.5]]), [None]);
        assert!(bootstrap.intervals(&[]).is_empty());
    }

    #[test]
    fn two_queries_give_the_widest_interval() {
        let [low, high] = Bootstrap::default().intervals(&[&[0.0, 1.0]])[0].expect("they differ");
        assert_eq!((low, high), (0.0, 1.0));
    }

    #[test]
    fn the_seed_decides() {
        let values = hits(&mut Random::new(1), 500, 0.3);
        let of = |seed| Bootstrap { seed, ..Bootstrap::default() }.intervals(&[&values])[0];
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let [low, high] = of(1).expect("they differ");
        // The normal interval of a share of about 0.3 of 500.
        assert!((high - low - 2.0 * 1.96 * (0.3f64 * 0.7 / 500.0).sqrt()).abs() < 0.01);
    }

    #[test]
    fn holds_the_true_mean_as_often_as_it_says() {
        let mut random = Random::new(9);
        let rounds = 400;
        let held = (0..rounds).filter(|round| {
            let values = hits(&mut random, 80, 0.2);
            let bootstrap = Bootstrap { resamples: 400, confidence: 0.9, seed: *round };
            let [low, high] = bootstrap.intervals(&[&values])[0].expect("they differ");
            low <= 0.2 && 0.2 <= high
        });
        let share = held.count() as f64 / rounds as f64;
        assert!((0.84..0.95).contains(&share), "{share}");
    }
}
