//! Randomisation test of paired differences, and the correction for doing many. Under the
//! hypothesis that no query prefers a report, each difference could as well have the other sign.

use crate::random::Random;
use crate::resample::weighted_sums;

/// The method, as comparisons state it.
pub(crate) const METHOD: &str = "two-sided sign-flip randomisation test of the paired mean \
    difference: all sign patterns where there are no more of them than random ones would be drawn, \
    else random patterns, counting the observed one; adjusted by Holm over all metrics and tasks, and \
    in slices over all slices of a column, metrics and tasks";

/// Two-sided p-values of the columns' sums; the columns' rows are the same queries. A column's test
/// is exact when its non-zero differences have at most `permutations` sign patterns.
pub(crate) fn p_values(columns: &[&[f64]], permutations: usize, seed: u64) -> Vec<f64> {
    let nonzero: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| column.iter().copied().filter(|difference| *difference != 0.0).collect())
        .collect();
    let few = |differences: &Vec<f64>| {
        u32::try_from(differences.len())
            .ok()
            .and_then(|count| 1usize.checked_shl(count))
            .is_some_and(|patterns| patterns <= permutations)
    };
    // Rows without any difference leave every sum as it is.
    let rows: Vec<usize> = (0..columns.first().map_or(0, |column| column.len()))
        .filter(|row| columns.iter().any(|column| column[*row] != 0.0))
        .collect();
    let sampled: Vec<Vec<f64>> = columns
        .iter()
        .zip(&nonzero)
        .filter(|(_, nonzero)| !few(nonzero))
        .map(|(column, _)| rows.iter().map(|row| column[*row]).collect())
        .collect();
    let sampled: Vec<&[f64]> = sampled.iter().map(Vec::as_slice).collect();
    let mut sums = weighted_sums(&sampled, permutations, |permutation, signs| {
        let mut random = Random::keyed(seed, permutation as u64);
        for signs in signs.chunks_mut(64) {
            let bits = random.bits();
            for (at, sign) in signs.iter_mut().enumerate() {
                *sign = if bits >> at & 1 == 1 { 1 } else { -1 };
            }
        }
    })
    .into_iter();
    nonzero
        .iter()
        .map(|differences| {
            let observed = differences.iter().sum::<f64>().abs();
            // Rounding must not tell equal sums apart.
            let size: f64 = differences.iter().map(|difference| difference.abs()).sum();
            let reaches = |sum: &f64| sum.abs() >= observed - 1e-12 * size;
            if few(differences) {
                let patterns = 1usize << differences.len();
                let flipped = |pattern: usize| -> f64 {
                    differences
                        .iter()
                        .enumerate()
                        .map(|(at, value)| if pattern >> at & 1 == 1 { -value } else { *value })
                        .sum()
                };
                let as_large = (0..patterns).filter(|pattern| reaches(&flipped(*pattern))).count();
                return as_large as f64 / patterns as f64;
            }
            let sums = sums.next().unwrap_or_default();
            let as_large = sums.iter().filter(|sum| reaches(sum)).count();
            // The observed signs are one more pattern: no p-value is 0.
            (as_large + 1) as f64 / (sums.len() + 1) as f64
        })
        .collect()
}

/// Holm's step-down adjustment: controls the chance of any false finding among the tests.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0f64;
    for (done, index) in order.into_iter().enumerate() {
        let left = (p_values.len() - done) as f64;
        least = least.max((p_values[index] * left).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn few_queries_are_tested_exactly() {
        // All of one sign: only the pattern itself and its negative are as large.
        assert_eq!(p_values(&[&[0.1, 0.2, 0.4, 0.7]], 1000, 0), [2.0 / 16.0]);
        // Unchanged queries change nothing; nothing at all is no evidence.
        assert_eq!(p_values(&[&[0.1, 0.0, 0.2, 0.4, 0.7]], 1000, 0), [2.0 / 16.0]);
        assert_eq!(p_values(&[&[0.0, 0.0]], 1000, 0), [1.0]);
        // One up and one down of the same size: every pattern is as large.
        assert_eq!(p_values(&[&[0.3, -0.3]], 1000, 0), [1.0]);
    }

    #[test]
    fn sampling_agrees_with_the_exact_test() {
        let mut random = Random::new(4);
        let differences: Vec<f64> = (0..12).map(|_| f64::from(random.uniform()) - 0.3).collect();
        let exact = p_values(&[&differences], 1 << 12, 0)[0];
        let sampled = p_values(&[&differences], (1 << 12) - 1, 0)[0];
        assert!(exact > 0.01 && exact < 0.5, "{exact}");
        let error = (exact * (1.0 - exact) / 4096.0).sqrt();
        assert!(sampled != exact && (sampled - exact).abs() < 4.0 * error, "{sampled} {exact}");
        assert_eq!(sampled, p_values(&[&differences], (1 << 12) - 1, 0)[0]);
        assert_ne!(sampled, p_values(&[&differences], (1 << 12) - 1, 1)[0]);
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
