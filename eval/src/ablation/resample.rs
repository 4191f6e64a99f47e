//! Intervals of contrasts by resampling seeds and queries. Owns the bootstrap.

use super::contrasts::Sum;
use super::{Contrast, ContrastKind};
use crate::Bootstrap;
use crate::random::Random;

/// The method, as results state it.
pub(super) fn method(num_seeds: usize) -> String {
    let seeds = match num_seeds {
        1 => "the one seed is kept: the intervals say nothing of other seeds",
        _ => {
            "seeds are drawn with replacement, then queries, the same for all arms and metrics; \
             deviations of the drawn seeds are scaled by sqrt(S / (S - 1)), without which a few \
             seeds S would look too alike (Rao and Wu 1988). With so few seeds an interval is still \
             rather too narrow than too wide: see the value of each seed"
        }
    };
    format!("percentiles of a bootstrap over seeds and queries: {seeds}")
}

/// Values by arm, then seed, then query.
pub(super) type Values = Vec<Vec<Vec<f64>>>;

/// Measures `sums` over `values`. `key` names the queries: metrics measured under one key and seed
/// share their draws.
pub(super) fn measured(
    values: &Values,
    sums: &[Sum],
    key: &str,
    bootstrap: &Bootstrap,
) -> Vec<Contrast> {
    let plain = |column: &Vec<f64>| column.iter().sum::<f64>() / column.len().max(1) as f64;
    let means: Vec<Vec<f64>> =
        values.iter().map(|seeds| seeds.iter().map(plain).collect()).collect();
    let num_seeds = means.first().map_or(0, Vec::len);
    let equal = vec![1.0 / num_seeds.max(1) as f64; num_seeds];
    let draws = draws(values, sums, key, bootstrap);
    let contrast = |(at, sum): (usize, &Sum)| {
        let drawn: Vec<f64> = draws.iter().map(|draw| draw[at]).collect();
        let alone = |seed: usize| {
            let mut only = vec![0.0; num_seeds];
            only[seed] = 1.0;
            weighted(&sum.weights, &means, &only)
        };
        Contrast {
            kind: sum.kind,
            name: sum.name.clone(),
            weights: sum.weights.clone(),
            value: weighted(&sum.weights, &means, &equal),
            interval: interval(drawn, bootstrap.confidence).map(|bounds| match sum.kind {
                // The scaling of seeds can lead beyond what a metric can be.
                ContrastKind::Arm => bounds.map(|bound| bound.clamp(0.0, 1.0)),
                _ => bounds,
            }),
            per_seed: (0..num_seeds).map(alone).collect(),
        }
    };
    sums.iter().enumerate().map(contrast).collect()
}

/// Each resample's value of each sum.
fn draws(values: &Values, sums: &[Sum], key: &str, bootstrap: &Bootstrap) -> Vec<Vec<f64>> {
    let num_seeds = values.first().map_or(0, Vec::len);
    let num_queries = values.first().and_then(|seeds| seeds.first()).map_or(0, Vec::len);
    if num_queries < 2 || num_seeds == 0 {
        return Vec::new();
    }
    // Without it the variance between seeds would come out as (S - 1) / S of what it is.
    let scale = (num_seeds as f64 / (num_seeds as f64 - 1.0).max(1.0)).sqrt();
    let of_key = stream(key, bootstrap.seed);
    let resample = |index: usize| {
        let mut random = Random::keyed(of_key, index as u64);
        let of_seeds = counts(&mut random, num_seeds);
        let of_queries = counts(&mut random, num_queries);
        let seed_weight = |count: &f64| (1.0 + scale * (count - 1.0)) / num_seeds as f64;
        let seed_weights: Vec<f64> = of_seeds.iter().map(seed_weight).collect();
        let mean = |column: &Vec<f64>| {
            let pairs = column.iter().zip(&of_queries);
            pairs.map(|(value, count)| value * count).sum::<f64>() / num_queries as f64
        };
        let means: Vec<Vec<f64>> =
            values.iter().map(|seeds| seeds.iter().map(mean).collect()).collect();
        sums.iter().map(|sum| weighted(&sum.weights, &means, &seed_weights)).collect()
    };
    (0..bootstrap.resamples).map(resample).collect()
}

/// A seed for the draws that `key` names (FNV-1a).
fn stream(key: &str, seed: u64) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    key.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, mix)
}

/// How often each of `len` is drawn in `len` draws.
fn counts(random: &mut Random, len: usize) -> Vec<f64> {
    let mut counts = vec![0.0; len];
    (0..len).for_each(|_| counts[random.below(len)] += 1.0);
    counts
}

/// The sum over arms and seeds of both weights times the mean.
fn weighted(arms: &[f64], means: &[Vec<f64>], seeds: &[f64]) -> f64 {
    let of_arm = |means: &Vec<f64>| means.iter().zip(seeds).map(|(m, w)| m * w).sum::<f64>();
    arms.iter().zip(means).map(|(weight, means)| weight * of_arm(means)).sum()
}

/// The percentiles that hold `confidence` of what was drawn; `None` where it is always the same.
fn interval(mut drawn: Vec<f64>, confidence: f64) -> Option<[f64; 2]> {
    drawn.sort_unstable_by(f64::total_cmp);
    let (first, last) = (drawn.first()?, drawn.last()?);
    // What differs by rounding alone is the same: metrics are of the order of 1.
    if last - first < 1e-12 {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    Some([tail, 1.0 - tail].map(|share| {
        let at = share.clamp(0.0, 1.0) * (drawn.len() - 1) as f64;
        let low = at.floor() as usize;
        let high = drawn.get(low + 1).unwrap_or(&drawn[low]);
        drawn[low] + (high - drawn[low]) * (at - low as f64)
    }))
}

impl Contrast {
    /// 1 or -1 where the interval lies on that side of 0; 0 where it holds 0, or where there is none
    /// and nothing is known of the uncertainty.
    pub(crate) fn side(&self) -> i32 {
        match self.interval {
            Some([low, _]) if low > 0.0 => 1,
            Some([_, high]) if high < 0.0 => -1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn difference() -> [Sum; 1] {
        let weights = vec![1.0, -1.0];
        [Sum { kind: ContrastKind::Difference, name: "a".into(), weights }]
    }

    /// Two arms, `effect` apart, with noise that seeds have and noise that queries have.
    fn made(effect: f64, seeds: usize, queries: usize, case: u64) -> Values {
        let mut random = testing::Random::new(case);
        let mut noise = |scale: f64| (f64::from(random.uniform()) - 0.5) * scale;
        let of_query: Vec<f64> = (0..queries).map(|_| noise(0.8)).collect();
        let arm = |effect: f64, noise: &mut dyn FnMut(f64) -> f64| {
            let seed = |_| {
                let shift = noise(0.02);
                let value = |query: &f64| 0.5 + query + effect + shift + noise(0.2);
                of_query.iter().map(value).collect()
            };
            (0..seeds).map(seed).collect::<Vec<Vec<f64>>>()
        };
        let first = arm(effect, &mut noise);
        vec![first, arm(0.0, &mut noise)]
    }

    /// Means: arm a 0.5 and 1.0 by seed, arm b 0.25 and 0.25.
    #[test]
    fn values_by_hand() {
        let values =
            vec![vec![vec![0.0, 1.0], vec![1.0, 1.0]], vec![vec![0.5, 0.0], vec![0.0, 0.5]]];
        let found = &measured(&values, &difference(), "", &Bootstrap::default())[0];
        assert_eq!(found.value, 0.5);
        assert_eq!(found.per_seed, [0.25, 0.75]);
        let [low, high] = found.interval.expect("it varies");
        assert!(low < 0.5 && 0.5 < high, "{low} {high}");
    }

    /// Seeds that differ and queries that do not: the variance is that of a mean of 3 seeds,
    /// s^2 / 3 with s^2 over n - 1, which the plain bootstrap would state as 2/3 of it.
    #[test]
    fn the_variance_between_few_seeds_is_not_understated() {
        let values = vec![[0.1, 0.2, 0.6].map(|mean| vec![mean; 4]).to_vec()];
        let sums = [Sum { kind: ContrastKind::Arm, name: "a".into(), weights: vec![1.0] }];
        let bootstrap = Bootstrap { resamples: 40_000, ..Bootstrap::default() };
        let drawn: Vec<f64> =
            draws(&values, &sums, "", &bootstrap).into_iter().map(|draw| draw[0]).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        let expected = (0.2f64.powi(2) + 0.1f64.powi(2) + 0.3f64.powi(2)) / 2.0 / 3.0;
        assert!((variance / expected - 1.0).abs() < 0.03, "{variance} {expected}");
    }

    #[test]
    fn an_effect_that_is_there_is_found_and_none_is_not() {
        let (mut found, mut false_alarms) = (0, 0);
        for case in 0..20 {
            let side = |effect: f64| {
                let values = made(effect, 3, 200, case);
                let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
                measured(&values, &difference(), "", &bootstrap)[0].side()
            };
            found += i32::from(side(0.08) == 1) - i32::from(side(-0.08) == 1);
            false_alarms += i32::from(side(0.0) != 0);
        }
        assert_eq!(found, 20);
        assert!(false_alarms <= 4, "{false_alarms} of 20 at 95 %");
    }

    /// The queries' own difficulty, which all arms share, is not part of a difference's interval.
    #[test]
    fn arms_are_paired_by_query_and_draws_are_repeatable() {
        let values = made(0.05, 3, 200, 1);
        let arm = [Sum { kind: ContrastKind::Arm, name: "a".into(), weights: vec![1.0, 0.0] }];
        let width = |sums: &[Sum]| {
            let found = measured(&values, sums, "", &Bootstrap::default());
            let [low, high] = found[0].interval.expect("it varies");
            high - low
        };
        assert!(width(&difference()) < 0.6 * width(&arm));
        let again = |key: &str, seed: u64| {
            let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
            measured(&values, &difference(), key, &bootstrap)
        };
        assert_eq!(again("a", 0), again("a", 0));
        assert_ne!(again("a", 0), again("b", 0));
        assert_ne!(again("a", 0), again("a", 1));
    }

    #[test]
    fn what_never_varies_has_no_interval() {
        let same = vec![vec![vec![0.5; 9]; 2], vec![vec![0.25; 9]; 2]];
        let found = &measured(&same, &difference(), "", &Bootstrap::default())[0];
        assert_eq!((found.value, found.interval, found.side()), (0.25, None, 0));
        let single = vec![vec![vec![1.0]; 2], vec![vec![0.0]; 2]];
        let found = &measured(&single, &difference(), "", &Bootstrap::default())[0];
        assert_eq!((found.value, found.interval), (1.0, None));
        let few = Bootstrap { resamples: 0, ..Bootstrap::default() };
        assert_eq!(measured(&made(0.1, 2, 9, 0), &difference(), "", &few)[0].interval, None);
    }
}
