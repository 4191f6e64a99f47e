//! What a random order of the candidates would score, on average: the exact expectation of each
//! metric.

use super::score::{Pick, Scored, Scorer, discount};
use super::{Measure, Metric};
use std::collections::HashMap;

/// Expectations under a uniformly random order, remembered by candidates and relevant items.
pub(crate) struct Chance {
    picks: Vec<Pick>,
    /// Sums over the first k ranks, by k.
    sums: Vec<Sums>,
    /// Ranks of which the probability that the first relevant item is no further is wanted.
    ranks: Vec<usize>,
    known: HashMap<(usize, usize), Expected>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    discounts: f64,
    reciprocals: f64,
}

/// What a query with so many candidates, of which so many are relevant, can expect.
struct Expected {
    /// By metric; of ndcg, the discounts that a mean gain is multiplied with.
    metrics: Vec<f64>,
    /// Probability that the first relevant item stands at one of `Chance::ranks` or before it.
    first_within: Vec<f64>,
}

impl Chance {
    /// For the metrics of `scorer`, queries of at most `largest_pool` candidates, and the given ranks
    /// of [`Chance::first_within`].
    pub(crate) fn new(scorer: &Scorer, largest_pool: usize, ranks: Vec<usize>) -> Self {
        let mut sums = Vec::with_capacity(largest_pool + 1);
        let mut sum = Sums::default();
        sums.push(sum);
        for rank in 1..=largest_pool {
            sum.discounts += discount(rank);
            sum.reciprocals += 1.0 / rank as f64;
            sums.push(sum);
        }
        Self { picks: scorer.picks().to_vec(), sums, ranks, known: HashMap::new() }
    }

    /// Fills `expected` with the expectation of each metric over all orders of `pool` items, of
    /// which those with `grades` (descending, above 0) are relevant and `scored` is one order.
    ///
    /// Of k places at most the n candidates are filled; then
    /// - precision, R-precision: each filled place is relevant with probability R/n.
    /// - recall: k/n. hits: 1 - C(n-R, k)/C(n, k).
    /// - ndcg: each place's expected gain is the mean grade over the pool.
    /// - map: place i is relevant with probability R/n, and then (i-1)(R-1)/(n-1) of the places
    ///   before it are, on average.
    /// - mrr: the sum over r of 1/r times the probability that r is the first relevant place.
    pub(crate) fn metrics(
        &mut self,
        pool: usize,
        grades: &[u32],
        scored: &Scored,
        expected: &mut Vec<f64>,
    ) {
        expected.clear();
        if grades.is_empty() {
            expected.resize(self.picks.len(), 0.0);
            return;
        }
        let mean_grade = grades.iter().map(|grade| f64::from(*grade)).sum::<f64>() / pool as f64;
        let known = self.known(pool, grades.len());
        expected.extend_from_slice(&known.metrics);
        for (value, pick) in expected.iter_mut().zip(&self.picks) {
            if pick.metric.measure == Measure::Ndcg {
                *value *= mean_grade / scored.ideal(*pick);
            }
        }
    }

    /// Probabilities that the first relevant item stands at one of the ranks or before it.
    pub(crate) fn first_within(&mut self, pool: usize, num_relevant: usize) -> &[f64] {
        &self.known(pool, num_relevant).first_within
    }

    fn known(&mut self, pool: usize, num_relevant: usize) -> &Expected {
        let Self { picks, sums, ranks, known } = self;
        known.entry((pool, num_relevant)).or_insert_with(|| Expected {
            metrics: picks
                .iter()
                .map(|pick| expected(pick.metric, pool, num_relevant, sums))
                .collect(),
            first_within: ranks.iter().map(|rank| hit(pool, num_relevant, *rank)).collect(),
        })
    }
}

/// Of ndcg without the mean gain, which depends on the grades.
fn expected(metric: Metric, pool: usize, num_relevant: usize, sums: &[Sums]) -> f64 {
    let k = metric.k;
    let filled = k.map_or(pool, |k| k.min(pool));
    let (n, relevant) = (pool as f64, num_relevant as f64);
    match metric.measure {
        Measure::Precision => relevant / n * (filled as f64 / k.unwrap_or(pool) as f64),
        Measure::RPrecision => relevant / n,
        Measure::Recall => filled as f64 / n,
        Measure::Hits => hit(pool, num_relevant, filled),
        Measure::Ndcg => sums[filled].discounts,
        Measure::Map => {
            let others = if pool > 1 { (relevant - 1.0) / (n - 1.0) } else { 0.0 };
            // The sum over places i of (1 + (i-1) * others) / i.
            (sums[filled].reciprocals * (1.0 - others) + filled as f64 * others) / n
        }
        Measure::Mrr => reciprocal_rank(n, relevant, filled as f64),
    }
}

/// Probability that one of `relevant` items is among the first `k` of `pool`: 1 - C(n-R, k)/C(n, k).
fn hit(pool: usize, relevant: usize, k: usize) -> f64 {
    let (few, many) = (relevant.min(k), relevant.max(k));
    let missed = |place: usize| pool.saturating_sub(many + place) as f64 / (pool - place) as f64;
    1.0 - (0..few.min(pool)).map(missed).product::<f64>()
}

fn reciprocal_rank(n: f64, relevant: f64, k: f64) -> f64 {
    // Probability that none of the places before `rank` is relevant.
    let (mut none_yet, mut sum, mut rank) = (1.0, 0.0, 1.0);
    while none_yet > 1e-20 && rank <= k.min(n - relevant + 1.0) {
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
    use crate::metrics::metrics;
    use crate::metrics::score::value;
    use crate::testing::Random;

    /// All orders of a small pool, each as likely as the others.
    #[test]
    fn is_the_mean_over_all_orders() {
        for (pool, grades) in
            [(1, vec![1]), (4, vec![2]), (5, vec![3, 1]), (6, vec![2, 2, 1, 1]), (4, vec![1; 4])]
        {
            let mut orders = Vec::new();
            permute(&mut (0..pool).collect::<Vec<usize>>(), 0, &mut orders);
            // Cut-offs beyond the pool too: a query may have fewer candidates than others.
            for metric in metrics(&(1..=pool + 2).collect::<Vec<_>>()) {
                let total: f64 = orders.iter().map(|order| score(metric, order, &grades)).sum();
                let mean = total / orders.len() as f64;
                let found = chance(metric, pool, &grades);
                assert!((found - mean).abs() < 1e-12, "{metric} n={pool}: {found} {mean}");
            }
            for rank in 1..=pool {
                let early = orders.iter().filter(|order| first(order, grades.len()) <= rank);
                let share = early.count() as f64 / orders.len() as f64;
                assert!((hit(pool, grades.len(), rank) - share).abs() < 1e-12);
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
            let (mean, found) = (sum / f64::from(rounds), chance(metric, pool, &grades));
            assert!((mean - found).abs() < 0.01, "{metric}: simulated {mean}, expected {found}");
        }
    }

    fn chance(metric: Metric, pool: usize, grades: &[u32]) -> f64 {
        let (scorer, mut scored) = (Scorer::new(&[metric]), Scored::default());
        scorer.score(&[], grades, &mut scored);
        let mut expected = Vec::new();
        Chance::new(&scorer, pool, Vec::new()).metrics(pool, grades, &scored, &mut expected);
        expected[0]
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
