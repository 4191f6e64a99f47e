//! What the unit tests of several files share: a small random generator and embeddings by hand.

use crate::Embeddings;

/// SplitMix64: deterministic, seeded, good enough to draw test cases.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// A number in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }
}

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
