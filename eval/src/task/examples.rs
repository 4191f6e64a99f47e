//! The queries to look at: those that did worst and best, what they got and what was right.

use super::tally::Tally;
use super::{Example, ExampleItem, Examples};
use crate::Ranking;
use std::cmp::Ordering;

/// The metric that examples are chosen by: it sees every relevant item.
const METRIC: &str = "map";
/// Items shown of what was retrieved.
const RETRIEVED: usize = 5;
/// Relevant items shown.
const RELEVANT: usize = 3;

/// Up to `count` of the worst queries and as many of the best.
pub(super) fn examples(ranking: &Ranking, tally: &Tally, count: usize) -> Examples {
    let Some(metric) = tally.names.iter().position(|name| name == METRIC) else {
        return Examples::default();
    };
    let values = &tally.values[metric];
    let mut order: Vec<usize> =
        (0..values.len()).filter(|at| tally.first_rank[*at].is_some()).collect();
    // The best first, of equals the one whose first relevant item stands higher.
    let by_merit = |a: &usize, b: &usize| -> Ordering {
        values[*b]
            .total_cmp(&values[*a])
            .then(tally.first_rank[*a].cmp(&tally.first_rank[*b]))
            .then(a.cmp(b))
    };
    order.sort_unstable_by(by_merit);
    let num_worst = count.min(order.len());
    let num_best = count.min(order.len() - num_worst);
    let example = |at: &usize| example(ranking, tally.rows[*at], values[*at]);
    Examples {
        metric: METRIC.into(),
        worst: order.iter().rev().take(num_worst).map(example).collect(),
        best: order.iter().take(num_best).map(example).collect(),
    }
}

fn example(ranking: &Ranking, row: usize, value: f64) -> Example {
    let query = &ranking.queries[row];
    let places = query.relevant.as_deref().unwrap_or_default();
    let id = |item: u32| ranking.item_ids[item as usize].clone();
    let retrieved = query.top.iter().take(RETRIEVED).enumerate().map(|(above, hit)| ExampleItem {
        item: id(hit.item),
        rank: above + 1,
        score: hit.score,
        relevant: places.iter().any(|place| place.item == hit.item),
    });
    let relevant = places.iter().take(RELEVANT).map(|place| ExampleItem {
        item: id(place.item),
        rank: place.rank,
        score: place.score,
        relevant: true,
    });
    Example {
        query: ranking.query_ids[row].clone(),
        value,
        first_rank: places.first().map(|place| place.rank),
        retrieved: retrieved.collect(),
        relevant: relevant.collect(),
    }
}
