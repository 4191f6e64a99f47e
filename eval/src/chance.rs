//! What a random order of the pool would score, on average: the exact expectation of each metric.

use crate::metrics::{Measure, Metric, discount, ideal_gain};
use std::collections::HashMap;

/// Expectations under a uniformly random order, remembered by pool size and relevant items.
#[derive(Debug, Default)]
pub(crate) struct Chance {
    mrr: HashMap<(usize, usize), f64>,
}

impl Chance {
    /// Expected value of `metric` over all orders of `pool` items, of which those with `grades`
    /// (descending, above 0) are relevant. Of a cut-off beyond the pool, only the pool's n places
    /// can hold items.
    ///
    /// - precision: each place holds a relevant item with probability R/n.
    /// - recall: k/n. hits: 1 - C(n-R, k)/C(n, k).
    /// - ndcg: each place's expected gain is the mean grade over the pool.
    /// - map: place i is relevant with probability R/n, and then (i-1)(R-1)/(n-1) of the places
    ///   before it are, on average.
    /// - mrr: the sum over r of 1/r times the probability that r is the first relevant place.
    pub(crate) fn expected(&mut self, metric: Metric, pool: usize, grades: &[u32]) -> f64 {
        if grades.is_empty() {
            return 0.0;
        }
        let (n, relevant) = (pool as f64, grades.len() as f64);
        let k = metric.k.unwrap_or(pool).min(pool);
        match metric.measure {
            Measure::Precision => relevant / n * k as f64 / metric.k.unwrap_or(pool) as f64,
            Measure::Recall => k as f64 / n,
            Measure::Hits => {
                let missed =
                    |place: usize| (n - relevant - place as f64).max(0.0) / (n - place as f64);
                1.0 - (0..k).map(missed).product::<f64>()
            }
            Measure::Ndcg => {
                let mean_grade = grades.iter().map(|grade| f64::from(*grade)).sum::<f64>() / n;
                mean_grade * (1..=k).map(discount).sum::<f64>() / ideal_gain(grades, k)
            }
            Measure::Map => {
                let others = if pool > 1 { (relevant - 1.0) / (n - 1.0) } else { 0.0 };
                let precision = |place: usize| (1.0 + (place - 1) as f64 * others) / place as f64;
                (1..=k).map(precision).sum::<f64>() / n
            }
            Measure::Mrr => *self
                .mrr
                .entry((pool, grades.len()))
                .or_insert_with(|| reciprocal_rank(n, relevant)),
        }
    }
}

fn reciprocal_rank(n: f64, relevant: f64) -> f64 {
    // Probability that none of the places before `rank` is relevant.
    let (mut none_yet, mut sum, mut rank) = (1.0, 0.0, 1.0);
    while none_yet > 0.0 && rank <= n - relevant + 1.0 {
        let left = n - rank + 1.0;
        sum += none_yet * relevant / left / rank;
        none_yet *= (left - relevant) / left;
        rank += 1.0;
    }
    sum
}

/// Expected rank of the first of `relevant` items in a random order of `pool`.
pub(crate) fn expected_first_rank(pool: usize, relevant: usize) -> f64 {
    (pool as f64 + 1.0) / (relevant as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{metrics, value};
    use crate::testing::Random;

    /// All orders of a small pool, each as likely as the others.
    #[test]
    fn is_the_mean_over_all_orders() {
        for (pool, grades) in
            [(1, vec![1]), (4, vec![2]), (5, vec![3, 1]), (6, vec![2, 2, 1, 1]), (4, vec![1; 4])]
        {
            let mut orders = Vec::new();
            permute(&mut (0..pool).collect::<Vec<usize>>(), 0, &mut orders);
            for metric in metrics(&(1..=pool + 2).collect::<Vec<_>>()) {
                let total: f64 = orders.iter().map(|order| score(metric, order, &grades)).sum();
                let mean = total / orders.len() as f64;
                let found = Chance::default().expected(metric, pool, &grades);
                assert!((found - mean).abs() < 1e-12, "{metric} n={pool}: {found} {mean}");
            }
            let firsts: f64 = orders.iter().map(|order| first(order, grades.len()) as f64).sum();
            let found = expected_first_rank(pool, grades.len());
            assert!((found - firsts / orders.len() as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn is_what_simulation_finds_in_a_larger_pool() {
        let (pool, grades, rounds) = (60, [3, 2, 1, 1, 1], 20_000);
        let (mut random, mut order) = (Random::new(5), (0..60).collect::<Vec<usize>>());
        let metrics = metrics(&[1, 5, 10]);
        let mut sums = vec![0.0; metrics.len()];
        for _ in 0..rounds {
            for i in (1..pool).rev() {
                order.swap(i, random.below(i + 1));
            }
            for (sum, metric) in sums.iter_mut().zip(&metrics) {
                *sum += score(*metric, &order, &grades);
            }
        }
        for (sum, metric) in sums.iter().zip(metrics) {
            let (mean, found) =
                (sum / f64::from(rounds), Chance::default().expected(metric, pool, &grades));
            assert!((mean - found).abs() < 0.01, "{metric}: simulated {mean}, expected {found}");
        }
    }

    /// `order[place]` is the item there; items `0..grades.len()` are relevant.
    fn score(metric: Metric, order: &[usize], grades: &[u32]) -> f64 {
        let ranks: Vec<(usize, u32)> = order
            .iter()
            .zip(1..)
            .filter_map(|(item, rank)| Some((rank, *grades.get(*item)?)))
            .collect();
        value(metric, &ranks, grades)
    }

    fn first(order: &[usize], relevant: usize) -> usize {
        order.iter().position(|item| *item < relevant).expect("present") + 1
    }

    fn permute(items: &mut Vec<usize>, from: usize, orders: &mut Vec<Vec<usize>>) {
        if from == items.len() {
            orders.push(items.clone());
        }
        for at in from..items.len() {
            items.swap(from, at);
            permute(items, from + 1, orders);
            items.swap(from, at);
        }
    }
}
