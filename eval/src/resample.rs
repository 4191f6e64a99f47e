//! Sums of columns under many sets of weights at once: what a bootstrap and a randomisation test
//! spend their time on.

use std::thread;

/// Replicates summed together: their weights lie side by side, so that one value meets all of them.
const LANES: usize = 8;
/// Rows whose weights stay in the first-level cache while every column passes.
const TILE: usize = 256;
/// Multiplications below which threads cost more than they save.
const SMALL: usize = 1 << 22;

/// For every column and replicate the sum over the rows of weight times value, by column and then
/// replicate. `fill` writes the weights of a replicate, one per row, over zeros. The result does
/// not depend on the number of threads.
pub(crate) fn weighted_sums(
    columns: &[&[f64]],
    replicates: usize,
    fill: impl Fn(usize, &mut [i8]) + Sync,
) -> Vec<Vec<f64>> {
    let num_rows = columns.first().map_or(0, |column| column.len());
    if num_rows == 0 {
        return vec![vec![0.0; replicates]; columns.len()];
    }
    let work = num_rows.saturating_mul(replicates).saturating_mul(columns.len());
    let num_threads = match work {
        0..SMALL => 1,
        _ => thread::available_parallelism().map_or(1, usize::from),
    };
    let share = replicates.div_ceil(num_threads).next_multiple_of(LANES);
    let of_share = |first: usize| {
        let last = replicates.min(first + share);
        let mut sums = vec![Vec::with_capacity(share); columns.len()];
        let mut weights = vec![0; LANES * num_rows];
        for first in (first..last).step_by(LANES) {
            let lanes = LANES.min(last - first);
            weights.fill(0);
            for (lane, weights) in weights.chunks_mut(num_rows).take(lanes).enumerate() {
                fill(first + lane, weights);
            }
            for (sums, lane_sums) in sums.iter_mut().zip(sum_lanes(columns, &weights)) {
                sums.extend_from_slice(&lane_sums[..lanes]);
            }
        }
        sums
    };
    let mut all = vec![Vec::with_capacity(replicates); columns.len()];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..replicates)
            .step_by(share.max(1))
            .map(|first| scope.spawn(move || of_share(first)))
            .collect();
        for worker in workers {
            // A worker can only panic with a bug of this file: let it be seen.
            let sums = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.iter_mut().zip(sums).for_each(|(all, sums)| all.extend(sums));
        }
    });
    all
}

/// The sums of [`LANES`] replicates, whose weights follow one another, for each column.
fn sum_lanes(columns: &[&[f64]], weights: &[i8]) -> Vec<[f64; LANES]> {
    let num_rows = weights.len() / LANES;
    let mut sums = vec![[0.0; LANES]; columns.len()];
    let mut tile = [[0.0; LANES]; TILE];
    for start in (0..num_rows).step_by(TILE) {
        let rows = start..num_rows.min(start + TILE);
        for (lane, weights) in weights.chunks(num_rows).enumerate() {
            for (row, weight) in tile.iter_mut().zip(&weights[rows.clone()]) {
                row[lane] = f64::from(*weight);
            }
        }
        for (sums, column) in sums.iter_mut().zip(columns) {
            let mut lanes = *sums;
            for (weights, value) in tile.iter().zip(&column[rows.clone()]) {
                for (sum, weight) in lanes.iter_mut().zip(weights) {
                    *sum += weight * value;
                }
            }
            *sums = lanes;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn equals_the_plain_sums() {
        let mut random = Random::new(3);
        for (rows, replicates) in [(1, 1), (5, 3), (300, 17), (3000, 1000)] {
            let columns: Vec<Vec<f64>> =
                (0..3).map(|_| (0..rows).map(|_| f64::from(random.uniform())).collect()).collect();
            let borrowed: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let weight = |replicate: usize, row: usize| ((replicate * 31 + row * 7) % 9) as i8 - 4;
            let sums = weighted_sums(&borrowed, replicates, |replicate, weights| {
                for (row, found) in weights.iter_mut().enumerate() {
                    *found = weight(replicate, row);
                }
            });
            for (column, sums) in columns.iter().zip(&sums) {
                assert_eq!(sums.len(), replicates);
                for (replicate, sum) in sums.iter().enumerate() {
                    let plain: f64 = column
                        .iter()
                        .enumerate()
                        .map(|(row, value)| f64::from(weight(replicate, row)) * value)
                        .sum();
                    assert_eq!(*sum, plain);
                }
            }
        }
    }
}
