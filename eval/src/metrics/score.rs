//! The metrics of one query from the ranks of its relevant items: one pass over them for all
//! cut-offs.

use super::{Measure, Metric};

/// Discounts of ranks up to here are looked up; beyond, computed.
const DISCOUNTS: usize = 1024;

/// Computes a list of metrics, query after query.
pub(crate) struct Scorer {
    picks: Vec<Pick>,
    /// Cut-offs of all metrics, ascending.
    cuts: Vec<usize>,
    discounts: Vec<f64>,
}

/// A metric and the index of its cut-off.
#[derive(Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) metric: Metric,
    cut: Option<usize>,
}

/// One query, cut after the first k items.
#[derive(Clone, Copy, Default)]
struct Cut {
    k: usize,
    /// Relevant items among them.
    found: usize,
    /// Their discounted gain.
    gain: f64,
    /// That of the best order.
    ideal: f64,
    /// Sum of the precision at each of them.
    precisions: f64,
}

/// One query, scored; made once and filled again for each.
#[derive(Default)]
pub(crate) struct Scored {
    cuts: Vec<Cut>,
    num_relevant: usize,
    first: Option<usize>,
    /// Sum of the precision at every relevant item.
    precisions: f64,
    /// Relevant items among the first R.
    found_at_r: usize,
}

impl Scorer {
    pub(crate) fn new(metrics: &[Metric]) -> Self {
        let mut cuts: Vec<usize> = metrics.iter().filter_map(|metric| metric.k).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let index = |k: usize| cuts.binary_search(&k).ok();
        let picks =
            metrics.iter().map(|metric| Pick { metric: *metric, cut: metric.k.and_then(index) });
        Self { picks: picks.collect(), discounts: (0..DISCOUNTS).map(discount).collect(), cuts }
    }

    /// The metrics, in the order given.
    pub(crate) fn picks(&self) -> &[Pick] {
        &self.picks
    }

    /// Scores a query whose relevant items stand at `ranks` (rank and grade, by rank). `grades` are
    /// those of all its relevant items, descending.
    pub(crate) fn score(&self, ranks: &[(usize, u32)], grades: &[u32], scored: &mut Scored) {
        scored.cuts.clear();
        scored.num_relevant = grades.len();
        scored.first = ranks.first().map(|(rank, _)| *rank);
        let (mut found, mut gain, mut precisions) = (0, 0.0, 0.0);
        let (mut rated, mut ideal) = (0, 0.0);
        for k in self.cuts.iter().copied() {
            while let Some((rank, grade)) = ranks.get(found).filter(|(rank, _)| *rank <= k) {
                found += 1;
                gain += f64::from(*grade) * self.discount(*rank);
                precisions += found as f64 / *rank as f64;
            }
            while let Some(grade) = grades.get(rated).filter(|_| rated < k) {
                rated += 1;
                ideal += f64::from(*grade) * self.discount(rated);
            }
            scored.cuts.push(Cut { k, found, gain, ideal, precisions });
        }
        for (at, (rank, _)) in ranks.iter().enumerate().skip(found) {
            precisions += (at + 1) as f64 / *rank as f64;
        }
        scored.precisions = precisions;
        scored.found_at_r = ranks.partition_point(|(rank, _)| *rank <= grades.len());
    }

    fn discount(&self, rank: usize) -> f64 {
        self.discounts.get(rank).copied().unwrap_or_else(|| discount(rank))
    }
}

impl Scored {
    /// The value of a metric of the scorer; 0 for a query without relevant items.
    pub(crate) fn value(&self, pick: Pick) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let num_relevant = self.num_relevant as f64;
        let whole = Cut { k: usize::MAX, precisions: self.precisions, ..Cut::default() };
        let cut = pick.cut.map_or(whole, |index| self.cuts[index]);
        match pick.metric.measure {
            Measure::Precision => cut.found as f64 / cut.k as f64,
            Measure::Recall => cut.found as f64 / num_relevant,
            Measure::Hits => f64::from(u8::from(cut.found > 0)),
            Measure::Mrr if first <= cut.k => 1.0 / first as f64,
            Measure::Mrr => 0.0,
            Measure::Ndcg => cut.gain / cut.ideal,
            Measure::Map => cut.precisions / num_relevant,
            Measure::RPrecision => self.found_at_r as f64 / num_relevant,
        }
    }

    /// Discounted gain of the best order at the cut-off of a metric.
    pub(crate) fn ideal(&self, pick: Pick) -> f64 {
        pick.cut.map_or(0.0, |index| self.cuts[index].ideal)
    }
}

/// Discount of the item at `rank`, from 1.
pub(crate) fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

/// The value of one metric of one query.
#[cfg(test)]
pub(crate) fn value(metric: Metric, ranks: &[(usize, u32)], grades: &[u32]) -> f64 {
    let (scorer, mut scored) = (Scorer::new(&[metric]), Scored::default());
    scorer.score(ranks, grades, &mut scored);
    scored.value(scorer.picks()[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::metrics;

    fn named(name: &str, ranks: &[(usize, u32)], grades: &[u32]) -> f64 {
        let metric = metrics(&[1, 3, 5]).into_iter().find(|metric| metric.to_string() == name);
        value(metric.expect("known metric"), ranks, grades)
    }

    /// Run `a(rel) z b(rel)`, R = 3, k = 5.
    #[test]
    fn worked_by_hand() {
        let (ranks, grades) = ([(1, 1), (3, 1)], [1, 1, 1]);
        let near = |name: &str, expected: f64| {
            let found = named(name, &ranks, &grades);
            assert!((found - expected).abs() < 5e-5, "{name}: {found}, expected {expected}");
        };
        near("precision@5", 0.4);
        near("recall@5", 0.6667);
        near("hits@5", 1.0);
        near("map@5", 0.5556);
        near("map@1", 0.3333);
        near("map", 0.5556);
        near("ndcg@5", 0.7039);
        near("mrr", 1.0);
        near("precision@1", 1.0);
        near("recall@1", 0.3333);
        near("r_precision", 0.6667);
    }

    #[test]
    fn gain_is_linear_in_the_grade() {
        // Grades 1 and 3 at ranks 1 and 2, best order 3 then 1.
        let found = named("ndcg@3", &[(1, 1), (2, 3)], &[3, 1]);
        let log3 = 3f64.log2();
        assert!((found - (1.0 + 3.0 / log3) / (3.0 + 1.0 / log3)).abs() < 1e-12);
    }

    #[test]
    fn one_relevant_item_makes_them_coincide() {
        for rank in (1..8).chain([2000]) {
            let (ranks, grades) = ([(rank, 1)], [1]);
            let of = |name| named(name, &ranks, &grades);
            assert_eq!(of("hits@5"), of("recall@5"));
            assert!((of("hits@5") - 5.0 * of("precision@5")).abs() < 1e-12);
            assert_eq!(of("mrr"), 1.0 / rank as f64);
            assert_eq!(of("mrr"), of("map"));
            assert_eq!(of("mrr@5"), of("map@5"));
            assert_eq!(of("r_precision"), of("hits@1"));
        }
    }

    #[test]
    fn mrr_with_a_cut_off_forgets_what_stands_below() {
        assert_eq!(named("mrr@3", &[(4, 1), (5, 1)], &[1, 1]), 0.0);
        assert_eq!(named("mrr@5", &[(4, 1), (5, 1)], &[1, 1]), 0.25);
        assert_eq!(named("mrr", &[(4, 1), (5, 1)], &[1, 1]), 0.25);
    }

    #[test]
    fn no_relevant_item_scores_zero() {
        for metric in metrics(&[1, 3]) {
            assert_eq!(value(metric, &[], &[]), 0.0);
        }
    }
}
