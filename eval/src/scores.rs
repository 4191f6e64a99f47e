//! How the scores of relevant items and of others are distributed: what a threshold could tell
//! apart. Relevant pairs are all there, others are sampled.

use crate::random::Random;
use crate::{Embeddings, EvalError, Ranking, SelfMatch};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Bins per unit of score: the same for all reports, so that they compare.
const BINS_PER_UNIT: f64 = 100.0;
/// Other pairs that are sampled; where there are fewer in all, every one counts.
const SAMPLED: usize = 100_000;
/// What draws are for: the key of a stream that nothing else uses.
const NEGATIVES: u64 = u64::from_be_bytes(*b"negative");

/// Distribution of the scores of relevant items (positives) and of others (negatives).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// Edges of the bins, ascending, multiples of 0.01: one more than there are bins. A score on an
    /// edge is in the bin above it.
    pub bins: Vec<f64>,
    /// Relevant pairs of query and item by bin: all of them.
    pub positives: Vec<usize>,
    /// Other pairs of a scored query and a candidate by bin: a sample.
    pub negatives: Vec<usize>,
    /// Mean score of the relevant pairs.
    pub positive_mean: f64,
    /// Mean score of the sampled other pairs.
    pub negative_mean: f64,
    /// How many other pairs were sampled.
    pub sampled_negatives: usize,
}

/// The scores behind `ranking`, which `queries` and `items` were searched for. `is_candidate` says
/// whether an item (its row) may be retrieved for a query (its row): `|_, _| true` where the pool is
/// the same for all; a query's own item is left out as in the ranking. Where the scored queries have
/// more than 100,000 pairs with items, that many are drawn with `seed`. `None` where there are no
/// relevant pairs or no others.
///
/// # Errors
/// Embeddings of different widths, or other queries or items than the ranking's.
pub fn scores(
    queries: &Embeddings,
    items: &Embeddings,
    ranking: &Ranking,
    is_candidate: impl Fn(usize, usize) -> bool,
    seed: u64,
) -> Result<Option<ScoreReport>, EvalError> {
    if queries.width() != items.width() {
        return Err(EvalError::WidthMismatch { queries: queries.width(), items: items.width() });
    }
    for (what, ids, ranked) in [
        ("queries", queries.ids(), ranking.query_ids()),
        ("items", items.ids(), ranking.item_ids()),
    ] {
        if ids != ranked {
            return Err(EvalError::OtherRanking { what });
        }
    }
    let scored: Vec<(usize, HashSet<usize>)> = ranking
        .queries()
        .iter()
        .enumerate()
        .filter_map(|(row, query)| {
            let relevant = query.relevant.as_ref()?;
            Some((row, relevant.iter().map(|place| place.item as usize).collect()))
        })
        .collect();
    let positives: Vec<f64> = scored
        .iter()
        .flat_map(|(row, _)| ranking.queries()[*row].relevant.iter().flatten())
        .map(|place| f64::from(place.score))
        .collect();

    let keeps_itself = ranking.self_match == SelfMatch::Keep;
    let negative = |(row, relevant): &(usize, HashSet<usize>), item: usize| {
        let counts = !relevant.contains(&item)
            && is_candidate(*row, item)
            && (keeps_itself || queries.ids()[*row] != items.ids()[item]);
        counts.then(|| score(queries.row(*row), items.row(item)))
    };
    let negatives: Vec<f64> = if scored.len().saturating_mul(items.len()) <= SAMPLED {
        let pairs = scored.iter().flat_map(|query| (0..items.len()).map(move |item| (query, item)));
        pairs.filter_map(|(query, item)| negative(query, item)).collect()
    } else {
        let mut random = Random::keyed(seed, NEGATIVES);
        let draws = std::iter::repeat_with(|| {
            let query = &scored[random.below(scored.len())];
            negative(query, random.below(items.len()))
        });
        // Where candidates are few most draws miss; they are cheap, but not endless.
        draws.take(SAMPLED * 100).flatten().take(SAMPLED).collect()
    };
    Ok(ScoreReport::of(&positives, &negatives))
}

impl ScoreReport {
    fn of(positives: &[f64], negatives: &[f64]) -> Option<Self> {
        if positives.is_empty() || negatives.is_empty() {
            return None;
        }
        let bin = |score: f64| (score * BINS_PER_UNIT).floor() as i64;
        let all = || positives.iter().chain(negatives).map(|score| bin(*score));
        let (low, high) = (all().min()?, all().max()?);
        let count = |scores: &[f64]| {
            let mut counts = vec![0; (high - low) as usize + 1];
            for score in scores {
                counts[(bin(*score) - low) as usize] += 1;
            }
            counts
        };
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        Some(Self {
            bins: (low..=high + 1).map(|edge| edge as f64 / BINS_PER_UNIT).collect(),
            positives: count(positives),
            negatives: count(negatives),
            positive_mean: mean(positives),
            negative_mean: mean(negatives),
            sampled_negatives: negatives.len(),
        })
    }
}

fn score(query: &[f32], item: &[f32]) -> f64 {
    query.iter().zip(item).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random as Draws, embeddings, random_rows};
    use crate::{Qrels, SearchOptions, search};

    /// One query along the first axis; three items at cosines 1, 0.6 and -0.6.
    #[test]
    fn by_hand() {
        let query = embeddings("q", &[vec![1.0, 0.0]]);
        let items = embeddings("d", &[vec![1.0, 0.0], vec![0.6, 0.8], vec![-0.6, 0.8]]);
        let qrels = Qrels::new([("q0", "d1", 1), ("q0", "d0", 0)]).expect("distinct");
        let ranking = search(&query, &items, &qrels, &SearchOptions::new(3)).expect("valid");
        let found = scores(&query, &items, &ranking, |_, _| true, 0).expect("valid").expect("some");
        assert_eq!(found.bins.len(), found.positives.len() + 1);
        assert_eq!(found.bins.len(), found.negatives.len() + 1);
        assert_eq!((found.positives.iter().sum(), found.sampled_negatives), (1usize, 2));
        assert!((found.positive_mean - 0.6).abs() < 1e-6);
        assert!((found.negative_mean - 0.2).abs() < 1e-6);
        let at = |counts: &[usize], bin: usize| (found.bins[bin], counts[bin]);
        let last = found.negatives.len() - 1;
        assert_eq!(at(&found.negatives, last), (1.0, 1));
        assert_eq!(found.negatives.iter().sum::<usize>(), 2);
        let bin = found.positives.iter().position(|count| *count == 1).expect("one");
        assert!((found.bins[bin] - 0.6).abs() < 0.011, "{}", found.bins[bin]);

        let near = scores(&query, &items, &ranking, |_, item| item < 2, 0).expect("valid");
        assert_eq!(near.expect("some").sampled_negatives, 1);
        let alone = scores(&query, &items, &ranking, |_, item| item == 1, 0).expect("valid");
        assert_eq!(alone, None);
    }

    #[test]
    fn many_pairs_are_sampled_without_the_relevant_and_the_own() {
        let mut random = Draws::new(9);
        let items = embeddings("d", &random_rows(&mut random, 400, 6));
        let qrels =
            Qrels::new((0..400).map(|at| (format!("d{at}"), format!("d{}", (at + 1) % 400), 1)));
        let qrels = qrels.expect("distinct");
        let options = SearchOptions { self_match: SelfMatch::Exclude, ..SearchOptions::new(5) };
        let ranking = search(&items, &items, &qrels, &options).expect("valid");
        let found = |seed| {
            scores(&items, &items, &ranking, |_, _| true, seed).expect("valid").expect("some")
        };
        assert_eq!(found(1), found(1));
        assert_ne!(found(1), found(2));
        let found = found(1);
        assert_eq!(found.sampled_negatives, SAMPLED);
        assert_eq!(found.negatives.iter().sum::<usize>(), SAMPLED);
        assert_eq!(found.positives.iter().sum::<usize>(), 400);
        // A query's own item would have a score of 1.
        let first_of_one = found.bins.iter().position(|edge| *edge >= 0.9999);
        assert!(first_of_one.is_none_or(|bin| found.negatives[bin..].iter().sum::<usize>() == 0));
        // The sample's mean is that of all 400 x 398 pairs.
        let mut sum = 0.0;
        for (query, row) in items.rows().enumerate() {
            for (item, other) in items.rows().enumerate() {
                if item != query && item != (query + 1) % 400 {
                    sum += score(row, other);
                }
            }
        }
        let mean = sum / (400.0 * 398.0);
        assert!((found.negative_mean - mean).abs() < 0.01, "{} {mean}", found.negative_mean);
    }

    #[test]
    fn refuses_other_embeddings() {
        let (rows, others) =
            (embeddings("d", &[vec![1.0, 0.0]]), embeddings("x", &[vec![1.0, 0.0]]));
        let qrels = Qrels::new([("d0", "d0", 1)]).expect("distinct");
        let ranking = search(&rows, &rows, &qrels, &SearchOptions::new(1)).expect("valid");
        let message = |queries, items| {
            scores(queries, items, &ranking, |_, _| true, 0).expect_err("refused").to_string()
        };
        assert_eq!(
            message(&others, &rows),
            "the queries are not those of the ranking, or in another order: give those that were \
             searched"
        );
        assert!(message(&rows, &others).starts_with("the items are not those of the ranking"));
    }
}
