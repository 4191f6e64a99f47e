//! One pass over the ranked queries: every metric of each, and the sums that a report needs.

use super::{CurvePoint, RankBin, TieCounts};
use crate::Ranking;
use crate::metrics::chance::{Chance, expected_first_rank};
use crate::metrics::score::{Scored, Scorer};
use crate::metrics::{Measure, Metric};
use crate::ranking::Place;
use std::collections::BTreeMap;

/// Measures that are drawn as curves over the cut-off.
const CURVES: [Measure; 4] = [Measure::Precision, Measure::Recall, Measure::Hits, Measure::Ndcg];

/// The scored queries, in the order of the ranking.
pub(super) struct Tally {
    /// Names of the metrics.
    pub(super) names: Vec<String>,
    /// Each scored query's index in the ranking.
    pub(super) rows: Vec<usize>,
    /// Each one's number of candidates.
    pub(super) pools: Vec<usize>,
    /// Each one's number of relevant items.
    pub(super) relevant: Vec<usize>,
    /// Rank of each one's first relevant item.
    pub(super) first_rank: Vec<Option<usize>>,
    /// By metric, then scored query.
    pub(super) values: Vec<Vec<f64>>,
    /// Expectation of a random order, likewise.
    pub(super) chance: Vec<Vec<f64>>,
    /// Sum by metric, with every tie broken for the worse.
    pub(super) pessimistic: Vec<f64>,
    /// Sum by metric, with every tie broken for the better.
    pub(super) optimistic: Vec<f64>,
    pub(super) ties: TieCounts,
    /// Sum of the ranks of the first relevant items that a random order gives on average.
    pub(super) chance_ranks: f64,
    /// Value and chance at each point of the curves, summed.
    points: Vec<(Metric, f64, f64)>,
    /// Highest rank of each bin of the histogram, and the queries that a random order has at that
    /// rank or before it, on average.
    bins: Vec<(usize, f64)>,
}

impl Tally {
    pub(super) fn of(ranking: &Ranking, metrics: &[Metric], largest_pool: usize) -> Self {
        let points: Vec<Metric> = CURVES
            .into_iter()
            .flat_map(|measure| {
                curve_ks(largest_pool).into_iter().map(move |k| Metric { measure, k: Some(k) })
            })
            .collect();
        let bins = bin_ends(largest_pool);
        let scorer = Scorer::new(&[metrics, &points].concat());
        let (picks, curve_picks) = scorer.picks().split_at(metrics.len());
        let mut chance = Chance::new(&scorer, largest_pool, bins.clone());
        let num_judged = ranking.queries.iter().filter(|query| query.relevant.is_some()).count();
        let columns = || vec![Vec::with_capacity(num_judged); metrics.len()];
        let mut tally = Self {
            names: metrics.iter().map(Metric::to_string).collect(),
            rows: Vec::with_capacity(num_judged),
            pools: Vec::with_capacity(num_judged),
            relevant: Vec::with_capacity(num_judged),
            first_rank: Vec::with_capacity(num_judged),
            values: columns(),
            chance: columns(),
            pessimistic: vec![0.0; metrics.len()],
            optimistic: vec![0.0; metrics.len()],
            ties: TieCounts { relevant_items: 0, queries: 0 },
            chance_ranks: 0.0,
            points: points.into_iter().map(|metric| (metric, 0.0, 0.0)).collect(),
            bins: bins.into_iter().map(|end| (end, 0.0)).collect(),
        };

        // Filled again for each query: there may be millions.
        let (mut ranks, mut grades, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let (mut scored, mut resolved) = (Scored::default(), Scored::default());
        for (row, query) in ranking.queries.iter().enumerate() {
            let Some(places) = &query.relevant else { continue };
            ranks.clear();
            ranks.extend(places.iter().map(|place| (place.rank, place.grade)));
            grades.clear();
            grades.extend(places.iter().map(|place| place.grade));
            grades.sort_unstable_by(|a, b| b.cmp(a));
            scorer.score(&ranks, &grades, &mut scored);
            chance.metrics(query.pool, &grades, &scored, &mut expected);

            let tied = places.iter().filter(|place| place.pessimistic > place.optimistic).count();
            tally.ties.relevant_items += tied;
            tally.ties.queries += usize::from(tied > 0);
            for (resolve, sums) in
                [(Resolve::Worst, &mut tally.pessimistic), (Resolve::Best, &mut tally.optimistic)]
            {
                let of = if tied == 0 {
                    &scored
                } else {
                    untied(places, resolve, &mut ranks);
                    scorer.score(&ranks, &grades, &mut resolved);
                    &resolved
                };
                sums.iter_mut().zip(picks).for_each(|(sum, pick)| *sum += of.value(*pick));
            }
            for (at, pick) in picks.iter().enumerate() {
                tally.values[at].push(scored.value(*pick));
                tally.chance[at].push(expected[at]);
            }
            for ((point, pick), chance) in
                tally.points.iter_mut().zip(curve_picks).zip(&expected[picks.len()..])
            {
                point.1 += scored.value(*pick);
                point.2 += chance;
            }
            if !places.is_empty() {
                tally.chance_ranks += expected_first_rank(query.pool, places.len());
                let within = chance.first_within(query.pool, places.len());
                tally.bins.iter_mut().zip(within).for_each(|(bin, chance)| bin.1 += chance);
            }
            tally.rows.push(row);
            tally.pools.push(query.pool);
            tally.relevant.push(places.len());
            tally.first_rank.push(places.first().map(|place| place.rank));
        }
        tally
    }

    /// The curves' means, by measure.
    pub(super) fn curves(&self) -> BTreeMap<String, Vec<CurvePoint>> {
        let count = self.rows.len() as f64;
        let mut curves: BTreeMap<String, Vec<CurvePoint>> = BTreeMap::new();
        for (metric, value, chance) in &self.points {
            let Some(k) = metric.k else { continue };
            let point = CurvePoint { k, value: value / count, chance: chance / count };
            curves.entry(metric.measure.name().into()).or_default().push(point);
        }
        curves
    }

    /// The queries by the rank of their first relevant item.
    pub(super) fn rank_histogram(&self) -> Vec<RankBin> {
        let mut counts = vec![0; self.bins.len()];
        for rank in self.first_rank.iter().flatten() {
            counts[self.bins.partition_point(|(end, _)| end < rank)] += 1;
        }
        let mut from = 1;
        let mut before = 0.0;
        self.bins
            .iter()
            .zip(counts)
            .map(|((to, within), queries)| {
                let bin = RankBin { from, to: *to, queries, chance: within - before };
                (from, before) = (to + 1, *within);
                bin
            })
            .collect()
    }
}

/// 1, 2, 3, 5, 10, 20, 30, 50, 100, ... below `last`, and `last`.
fn curve_ks(last: usize) -> Vec<usize> {
    let mut ks: Vec<usize> = std::iter::successors(Some(1usize), |power| power.checked_mul(10))
        .flat_map(|power| [1, 2, 3, 5].map(|digit| power.saturating_mul(digit)))
        .take_while(|k| *k < last)
        .collect();
    ks.push(last);
    ks
}

/// 1, 3, 7, 15, ... below `last`, and `last`.
fn bin_ends(last: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = std::iter::successors(Some(1usize), |end| Some(2 * end + 1))
        .take_while(|end| *end < last)
        .collect();
    ends.push(last);
    ends
}

#[derive(Clone, Copy, PartialEq)]
enum Resolve {
    Best,
    Worst,
}

/// Fills `ranks` with the ranks and grades of the relevant items when every group of equal scores puts its relevant items
/// first, highest grade first, or last, lowest grade first.
fn untied(places: &[Place], resolve: Resolve, ranks: &mut Vec<(usize, u32)>) {
    ranks.clear();
    for group in places.chunk_by(|a, b| a.optimistic == b.optimistic) {
        let mut grades: Vec<u32> = group.iter().map(|place| place.grade).collect();
        grades.sort_unstable();
        let first = match resolve {
            Resolve::Best => {
                grades.reverse();
                group[0].optimistic
            }
            Resolve::Worst => group[0].pessimistic + 1 - group.len(),
        };
        ranks.extend((first..).zip(grades));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_bins_end_with_the_pool() {
        assert_eq!(curve_ks(1), [1]);
        assert_eq!(curve_ks(50), [1, 2, 3, 5, 10, 20, 30, 50]);
        assert_eq!(curve_ks(101).last(), Some(&101));
        assert_eq!(bin_ends(1), [1]);
        assert_eq!(bin_ends(7), [1, 3, 7]);
        assert_eq!(bin_ends(9), [1, 3, 7, 9]);
    }
}
