//! What the unit tests of several files share: embeddings by hand.

use crate::Embeddings;

pub(crate) use crate::random::Random;

/// Rows named `<prefix>0`, `<prefix>1`, ..., brought to unit norm.
pub(crate) fn embeddings(prefix: &str, rows: &[Vec<f32>]) -> Embeddings {
    let ids = (0..rows.len()).map(|index| format!("{prefix}{index}")).collect();
    let width = rows[0].len();
    Embeddings::normalised(ids, width, rows.concat()).expect("valid rows")
}

/// `count` rows of random directions.
pub(crate) fn random_rows(random: &mut Random, count: usize, width: usize) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..width).map(|_| random.uniform() - 0.5).collect()).collect()
}

/// `count` rows of which many are equal: drawn from `distinct` random directions.
pub(crate) fn repeated_rows(
    random: &mut Random,
    count: usize,
    distinct: usize,
    width: usize,
) -> Vec<Vec<f32>> {
    let kinds = random_rows(random, distinct, width);
    (0..count).map(|_| kinds[random.below(distinct)].clone()).collect()
}
