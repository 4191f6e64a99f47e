//! The metrics of one query, from the ranks of its relevant items. Owns their definitions, which
//! are trec_eval's, and their names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Relevant items among the first k, divided by k.
    Precision,
    /// Relevant items among the first k, divided by all relevant items.
    Recall,
    /// 1 when a relevant item is among the first k, else 0.
    Hits,
    /// Discounted cumulative gain of the first k over that of the best order.
    Ndcg,
    /// Sum of the precision at each relevant item among the first k, divided by all relevant items.
    Map,
    /// 1 over the rank of the first relevant item.
    Mrr,
}

impl Measure {
    /// All measures, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Precision, Self::Recall, Self::Hits, Self::Ndcg, Self::Map, Self::Mrr];

    /// Its name in metric names: `precision`, `recall`, `hits`, `ndcg`, `map` or `mrr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Hits => "hits",
            Self::Ndcg => "ndcg",
            Self::Map => "map",
            Self::Mrr => "mrr",
        }
    }

    /// Its definition with denominator, cut-off and gain, and its name in trec_eval.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Precision => {
                "relevant items among the first k, divided by k (trec_eval P_k; at most R/k)"
            }
            Self::Recall => {
                "relevant items among the first k, divided by R, the number of relevant items in \
                 the pool (trec_eval recall_k; not what CLIP papers call Recall@k: that is hits@k)"
            }
            Self::Hits => {
                "1 if a relevant item is among the first k, else 0 (trec_eval success_k; HITS@k; \
                 CLIP papers call it Recall@k)"
            }
            Self::Ndcg => {
                "sum of grade / log2(rank + 1) over the first k, divided by the same sum for the \
                 best possible order (trec_eval ndcg_cut_k; linear gain)"
            }
            Self::Map => {
                "sum of the precision at the rank of each relevant item among the first k, divided \
                 by R (trec_eval map_cut_k; not by min(k, R) and not by the items found)"
            }
            Self::Mrr => {
                "1 / rank of the first relevant item in the full pool (trec_eval recip_rank; no \
                 cut-off)"
            }
        }
    }

    fn has_cut_off(self) -> bool {
        self != Self::Mrr
    }
}

/// A measure at a cut-off, such as `hits@5` or `mrr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    /// What is measured.
    pub measure: Measure,
    /// Over how many items of the ranking; `None` for all.
    pub k: Option<usize>,
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.k {
            Some(k) => write!(out, "{}@{k}", self.measure.name()),
            None => out.write_str(self.measure.name()),
        }
    }
}

/// The metrics that an evaluation with cut-offs `ks` reports, in the order of reports.
pub fn metrics(ks: &[usize]) -> Vec<Metric> {
    Measure::ALL
        .into_iter()
        .flat_map(|measure| match measure.has_cut_off() {
            true => ks.iter().map(|k| Metric { measure, k: Some(*k) }).collect(),
            false => vec![Metric { measure, k: None }],
        })
        .collect()
}

/// Discount of the item at `rank`, from 1.
pub(crate) fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

/// Best discounted gain of the first k items, when `grades` holds all grades in descending order.
pub(crate) fn ideal_gain(grades: &[u32], k: usize) -> f64 {
    grades.iter().zip(1..=k).map(|(grade, rank)| f64::from(*grade) * discount(rank)).sum()
}

/// The value of `metric` for a query whose relevant items stand at `ranks` (rank and grade, by
/// rank). `grades` are those of all its relevant items, descending. Without any, 0.
pub(crate) fn value(metric: Metric, ranks: &[(usize, u32)], grades: &[u32]) -> f64 {
    let (Some((first, _)), num_relevant) = (ranks.first(), grades.len() as f64) else {
        return 0.0;
    };
    let k = metric.k.unwrap_or(usize::MAX);
    let found = &ranks[..ranks.partition_point(|(rank, _)| *rank <= k)];
    match metric.measure {
        Measure::Precision => found.len() as f64 / k as f64,
        Measure::Recall => found.len() as f64 / num_relevant,
        Measure::Hits => f64::from(u8::from(!found.is_empty())),
        Measure::Ndcg => {
            let gain: f64 =
                found.iter().map(|(rank, grade)| f64::from(*grade) * discount(*rank)).sum();
            gain / ideal_gain(grades, k)
        }
        Measure::Map => {
            let precisions: f64 =
                found.iter().zip(1u32..).map(|((rank, _), n)| f64::from(n) / *rank as f64).sum();
            precisions / num_relevant
        }
        Measure::Mrr => 1.0 / *first as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, ranks: &[(usize, u32)], grades: &[u32]) -> f64 {
        let metric = metrics(&[1, 3, 5]).into_iter().find(|metric| metric.to_string() == name);
        value(metric.expect("known metric"), ranks, grades)
    }

    #[test]
    fn names_are_in_report_order() {
        let names: Vec<String> = metrics(&[1, 10]).iter().map(Metric::to_string).collect();
        assert_eq!(
            names.join(" "),
            "precision@1 precision@10 recall@1 recall@10 hits@1 hits@10 ndcg@1 ndcg@10 map@1 \
             map@10 mrr"
        );
    }

    /// The worked check of reference/vl-clip.md: run `a(rel) z b(rel)`, R = 3, k = 5.
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
        near("ndcg@5", 0.7039);
        near("mrr", 1.0);
        near("precision@1", 1.0);
        near("recall@1", 0.3333);
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
        for rank in 1..8 {
            let (ranks, grades) = ([(rank, 1)], [1]);
            let of = |name| named(name, &ranks, &grades);
            assert_eq!(of("hits@5"), of("recall@5"));
            assert!((of("hits@5") - 5.0 * of("precision@5")).abs() < 1e-12);
            assert_eq!(of("mrr"), 1.0 / rank as f64);
        }
    }

    #[test]
    fn no_relevant_item_scores_zero() {
        for metric in metrics(&[1, 3]) {
            assert_eq!(value(metric, &[], &[]), 0.0);
        }
    }
}
