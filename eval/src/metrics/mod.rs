//! What is measured: the metrics' names and definitions, which are trec_eval's. `score` computes
//! them for a query and `chance` what a random order would get.

pub(crate) mod chance;
pub(crate) mod score;

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Relevant items among the first k, divided by k.
    Precision,
    /// Relevant items among the first k, divided by all relevant items.
    Recall,
    /// 1 when a relevant item is among the first k, else 0.
    Hits,
    /// 1 over the rank of the first relevant item, 0 when it is not among the first k.
    Mrr,
    /// Discounted cumulative gain of the first k over that of the best order.
    Ndcg,
    /// Sum of the precision at each relevant item among the first k, divided by all relevant items.
    Map,
    /// Precision at R, the number of relevant items.
    RPrecision,
}

impl Measure {
    /// All measures, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Precision,
        Self::Recall,
        Self::Hits,
        Self::Mrr,
        Self::Ndcg,
        Self::Map,
        Self::RPrecision,
    ];

    /// Its name in metric names: `precision`, `recall`, `hits`, `mrr`, `ndcg`, `map` or
    /// `r_precision`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Hits => "hits",
            Self::Ndcg => "ndcg",
            Self::Map => "map",
            Self::Mrr => "mrr",
            Self::RPrecision => "r_precision",
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
                 by R (trec_eval map_cut_k; not by min(k, R) and not by the items found); without \
                 @k over the full pool (trec_eval map)"
            }
            Self::Mrr => {
                "1 / rank of the first relevant item, 0 when that rank is above k; without @k over \
                 the full pool (trec_eval recip_rank)"
            }
            Self::RPrecision => {
                "relevant items among the first R, divided by R; its cut-off is R, so it has no @k \
                 (trec_eval Rprec)"
            }
        }
    }

    /// Whether there is a variant per cut-off k.
    fn has_cut_off(self) -> bool {
        self != Self::RPrecision
    }

    /// Whether there is a variant over the full pool.
    fn has_uncut(self) -> bool {
        matches!(self, Self::Mrr | Self::Map | Self::RPrecision)
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
    let mut metrics = Vec::new();
    for measure in Measure::ALL {
        if measure.has_cut_off() {
            metrics.extend(ks.iter().map(|k| Metric { measure, k: Some(*k) }));
        }
        if measure.has_uncut() {
            metrics.push(Metric { measure, k: None });
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_report_order() {
        let names: Vec<String> = metrics(&[1, 10]).iter().map(Metric::to_string).collect();
        assert_eq!(
            names.join(" "),
            "precision@1 precision@10 recall@1 recall@10 hits@1 hits@10 mrr@1 mrr@10 mrr ndcg@1 \
             ndcg@10 map@1 map@10 map r_precision"
        );
    }
}
