//! The shape of the embedding space: how close matching rows are (alignment), how evenly the rows
//! spread over the sphere (uniformity; both Wang and Isola 2020, arXiv 2005.10242), and how far two
//! kinds of rows stand apart (modality gap; Liang et al. 2022, arXiv 2203.02053).

use crate::random::Random;
use crate::{Embeddings, EvalError, Qrels};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Pairs of rows that one figure is over at most; where there are more, so many are sampled.
const MAX_PAIRS: usize = 500_000;

/// What draws are for: keys of streams that nothing else uses.
const UNIFORMITY: u64 = u64::from_be_bytes(*b"uniforms");
const ALIGNMENT: u64 = u64::from_be_bytes(*b"aligning");

/// What the embeddings look like as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// What the model multiplies cosines by (exp of its parameter), where it has such a factor.
    pub logit_scale: Option<f64>,
    /// Components per embedding.
    pub width: usize,
    /// Mean squared distance of matching pairs of unit vectors, in [0, 4]; lower is closer. `None`
    /// without such pairs.
    pub alignment: Option<f64>,
    /// Log of the mean of exp(-2 d^2) over pairs of one side's unit vectors, by side, in [-8, 0];
    /// lower is more even. A side of fewer than two rows has none.
    pub uniformity: BTreeMap<String, f64>,
    /// Distance between the sides' mean vectors, in [0, 2]; `None` with one side.
    pub modality_gap: Option<f64>,
    /// How many pairs each figure is over: `alignment`, and `uniformity/<side>`.
    pub pairs: BTreeMap<String, PairCount>,
}

/// How many pairs of rows a figure is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCount {
    /// Pairs that were measured.
    pub measured: usize,
    /// Pairs that there are; where fewer are measured they are drawn at random.
    pub of: usize,
}

/// Rows of one kind, such as pictures or texts.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What they are: `image`, `text`.
    pub name: &'a str,
    /// The rows.
    pub rows: &'a Embeddings,
}

/// Measures one or two sides. `matching` says which rows belong together: from the first side's ids
/// to the second's, or within the only one, where a row does not match itself. Beyond 500,000 pairs
/// a figure is over as many drawn with `seed`.
///
/// # Errors
/// Sides of different widths; ids in `matching` that a side does not have.
pub fn space(
    first: Side<'_>,
    second: Option<Side<'_>>,
    matching: &Qrels,
    logit_scale: Option<f64>,
    seed: u64,
) -> Result<Space, EvalError> {
    let other = second.unwrap_or(first);
    if first.rows.width() != other.rows.width() {
        return Err(EvalError::WidthMismatch {
            queries: first.rows.width(),
            items: other.rows.width(),
        });
    }
    let mut found = Space { logit_scale, width: first.rows.width(), ..Space::default() };
    for side in [Some(first), second].into_iter().flatten() {
        let Some((value, pairs)) = uniformity(side, seed) else { continue };
        found.uniformity.insert(side.name.into(), value);
        found.pairs.insert(format!("uniformity/{}", side.name), pairs);
    }
    let matches = matches(first.rows, other.rows, matching, second.is_none())?;
    if !matches.is_empty() {
        let (value, pairs) = alignment(first.rows, other.rows, &matches, seed);
        found.alignment = Some(value);
        found.pairs.insert("alignment".into(), pairs);
    }
    found.modality_gap =
        second.map(|second| distance_2(&mean(first.rows), &mean(second.rows)).sqrt());
    Ok(found)
}

/// Log of the mean Gaussian potential of a side, and over how many pairs.
fn uniformity(side: Side<'_>, seed: u64) -> Option<(f64, PairCount)> {
    let count = side.rows.len();
    let of = count.checked_mul(count.saturating_sub(1))? / 2;
    if of == 0 {
        return None;
    }
    let potential =
        |a: usize, b: usize| (-2.0 * distance_2_f32(side.rows.row(a), side.rows.row(b))).exp();
    let measured = of.min(MAX_PAIRS);
    let sum: f64 = if of <= MAX_PAIRS {
        (0..count).flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| potential(a, b)).sum()
    } else {
        let mut random = Random::keyed(seed, UNIFORMITY);
        let pair = |_| {
            let a = random.below(count);
            // A row other than `a`, each equally likely.
            let b = random.below(count - 1);
            potential(a, b + usize::from(b >= a))
        };
        (0..measured).map(pair).sum()
    };
    Some(((sum / measured as f64).ln(), PairCount { measured, of }))
}

/// Matching rows, each as (row of `left`, row of `right`).
fn matches(
    left: &Embeddings,
    right: &Embeddings,
    matching: &Qrels,
    within: bool,
) -> Result<Vec<(usize, usize)>, EvalError> {
    let places = |rows: &Embeddings| -> HashMap<String, usize> {
        rows.ids().iter().cloned().zip(0..).collect()
    };
    let (lefts, rights) = (places(left), places(right));
    matching.expect_known(
        (left.len(), |id| lefts.contains_key(id)),
        (right.len(), |id| rights.contains_key(id)),
    )?;
    let mut pairs = Vec::new();
    for query in matching.queries() {
        let a = lefts[query];
        for (item, grade) in matching.of(query).into_iter().flatten() {
            let b = rights[item];
            if grade > 0 && !(within && a == b) {
                pairs.push((a, b));
            }
        }
    }
    Ok(pairs)
}

/// Mean squared distance of the pairs, of which one in every stretch is drawn where there are many.
fn alignment(
    left: &Embeddings,
    right: &Embeddings,
    pairs: &[(usize, usize)],
    seed: u64,
) -> (f64, PairCount) {
    let (of, measured) = (pairs.len(), pairs.len().min(MAX_PAIRS));
    let mut random = Random::keyed(seed, ALIGNMENT);
    let sum: f64 = (0..measured)
        .map(|stretch| {
            let (from, to) = (stretch * of / measured, (stretch + 1) * of / measured);
            let (a, b) = pairs[from + random.below(to - from)];
            distance_2_f32(left.row(a), right.row(b))
        })
        .sum();
    (sum / measured as f64, PairCount { measured, of })
}

fn mean(rows: &Embeddings) -> Vec<f64> {
    let mut mean = vec![0.0; rows.width()];
    for row in rows.rows() {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let count = rows.len().max(1) as f64;
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}

fn distance_2(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn distance_2_f32(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embeddings, random_rows};

    fn side<'a>(name: &'a str, rows: &'a Embeddings) -> Side<'a> {
        Side { name, rows }
    }

    /// Two texts at right angles, their pictures opposite to them.
    #[test]
    fn by_hand() {
        let texts = embeddings("p", &[vec![1.0, 0.0], vec![0.0, 1.0]]);
        let images = embeddings("p", &[vec![-1.0, 0.0], vec![0.0, -1.0]]);
        let matching = Qrels::new([("p0", "p0", 1), ("p1", "p1", 1), ("p0", "p1", 0)]);
        let matching = matching.expect("distinct");
        let found = space(side("text", &texts), Some(side("image", &images)), &matching, None, 0);
        let found = found.expect("valid");
        assert_eq!(found.alignment, Some(4.0));
        // One pair, of squared distance 2.
        assert_eq!(
            found.uniformity,
            BTreeMap::from([("image".into(), -4.0), ("text".into(), -4.0)])
        );
        // From (1/2, 1/2) to (-1/2, -1/2).
        assert!((found.modality_gap.expect("two sides") - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.pairs["alignment"], PairCount { measured: 2, of: 2 });
        assert_eq!(found.pairs["uniformity/text"], PairCount { measured: 1, of: 1 });

        let itself = Qrels::new([("p0", "p0", 1)]).expect("distinct");
        let alone = space(side("text", &texts), None, &itself, Some(100.0), 0).expect("valid");
        assert_eq!((alone.alignment, alone.modality_gap), (None, None));
        assert_eq!((alone.logit_scale, alone.width), (Some(100.0), 2));
    }

    #[test]
    fn a_collapsed_space_is_neither_even_nor_apart() {
        let rows = embeddings("p", &vec![vec![0.6, 0.8]; 50]);
        let matching = Qrels::new([("p1", "p2", 1)]).expect("distinct");
        let found = space(side("a", &rows), Some(side("b", &rows)), &matching, None, 0);
        let found = found.expect("valid");
        assert_eq!(found.alignment, Some(0.0));
        assert_eq!(found.uniformity["a"], 0.0);
        assert_eq!(found.modality_gap, Some(0.0));
    }

    #[test]
    fn samples_are_close_and_repeat() {
        let mut random = crate::testing::Random::new(5);
        let rows = embeddings("p", &random_rows(&mut random, 1500, 4));
        let of = 1500 * 1499 / 2;
        let none = Qrels::default();
        let found = |seed| space(side("a", &rows), None, &none, None, seed).expect("valid");
        assert_eq!(found(1), found(1));
        assert_ne!(found(1), found(2));
        assert_eq!(found(1).pairs["uniformity/a"], PairCount { measured: MAX_PAIRS, of });
        let exact: f64 = (0..1500)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| (-2.0 * distance_2_f32(rows.row(a), rows.row(b))).exp())
            .sum();
        let exact = (exact / of as f64).ln();
        assert!((found(1).uniformity["a"] - exact).abs() < 0.01, "{exact}");
    }

    #[test]
    fn refuses_what_does_not_belong_together() {
        let (flat, deep) = (embeddings("p", &[vec![1.0, 0.0]]), embeddings("p", &[vec![1.0]]));
        let none = Qrels::default();
        let message = |second, matching: &Qrels| {
            space(side("a", &flat), Some(side("b", second)), matching, None, 0)
                .expect_err("refused")
                .to_string()
        };
        assert!(message(&deep, &none).contains("width"), "{}", message(&deep, &none));
        let unknown = Qrels::new([("p0", "x", 1)]).expect("distinct");
        assert!(message(&flat, &unknown).contains("`x`"), "{}", message(&flat, &unknown));
        let unknown = Qrels::new([("x", "p0", 1)]).expect("distinct");
        assert!(message(&flat, &unknown).contains("`x`"), "{}", message(&flat, &unknown));
    }
}
