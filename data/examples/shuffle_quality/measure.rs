//! Figures of one order of the rows.

/// How far an order is from a uniform permutation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// Pairs of rows of a batch from one row group, relative to what is expected of a uniform
    /// permutation.
    pub same_group: f64,
    /// The median distance, in batches, of two rows that lie next to one another in the files.
    pub distance: f64,
    /// Classes that a batch has rows of.
    pub classes: f64,
    /// Chi-square of a batch's classes over its degrees of freedom: about 1 for a uniform
    /// permutation, greater where classes clump, less where they are spread evenly.
    pub batch: f64,
    /// The same of 16 successive batches.
    pub sixteen: f64,
}

impl Quality {
    /// Adds another one, for a mean.
    pub fn add(&mut self, other: &Self) {
        self.same_group += other.same_group;
        self.distance += other.distance;
        self.classes += other.classes;
        self.batch += other.batch;
        self.sixteen += other.sixteen;
    }

    /// A sum of `count`, divided by it.
    pub fn over(self, count: f64) -> Self {
        Self {
            same_group: self.same_group / count,
            distance: self.distance / count,
            classes: self.classes / count,
            batch: self.batch / count,
            sixteen: self.sixteen / count,
        }
    }
}

/// Measures a sequence of some of `rows` rows, which lie in row groups and classes of equal sizes.
pub fn measure(
    sequence: &[usize],
    rows: usize,
    group: usize,
    class: usize,
    batch: usize,
) -> Quality {
    let batches = sequence.len() / batch;
    let (mut same_group, mut classes) = (0.0, 0.0);
    for of_batch in sequence.chunks_exact(batch) {
        same_group += pairs(&counts(of_batch, rows, group));
        classes += counts(of_batch, rows, class).iter().filter(|count| **count > 0).count() as f64;
    }
    let all = batch as f64 * (batch as f64 - 1.0) / 2.0;
    let expected = all * (group as f64 - 1.0) / (rows as f64 - 1.0);
    Quality {
        same_group: if group > 1 { same_group / batches as f64 / expected } else { 1.0 },
        distance: distance(sequence, rows, batch),
        classes: classes / batches as f64,
        batch: chi_square(sequence, rows, class, batch),
        sixteen: chi_square(sequence, rows, class, 16 * batch),
    }
}

/// Rows by group or class.
fn counts(rows: &[usize], of: usize, each: usize) -> Vec<u64> {
    let mut counts = vec![0; of.div_ceil(each)];
    for row in rows {
        counts[row / each] += 1;
    }
    counts
}

fn pairs(counts: &[u64]) -> f64 {
    counts.iter().map(|&count| (count * count.saturating_sub(1) / 2) as f64).sum()
}

/// Median distance, in batches, of rows that are neighbours in the files.
fn distance(sequence: &[usize], rows: usize, batch: usize) -> f64 {
    let mut at = vec![None; rows];
    for (position, &row) in sequence.iter().enumerate() {
        at[row] = Some(position);
    }
    let mut distances: Vec<usize> =
        at.windows(2).filter_map(|pair| Some(pair[0]?.abs_diff(pair[1]?))).collect();
    distances.sort_unstable();
    distances[distances.len() / 2] as f64 / batch as f64
}

/// The mean chi-square over degrees of freedom of the classes of `len` successive rows.
fn chi_square(sequence: &[usize], rows: usize, class: usize, len: usize) -> f64 {
    let expected = (len * class) as f64 / rows as f64;
    let freedom = (rows / class - 1) as f64;
    let of = |part: &[usize]| {
        let counts = counts(part, rows, class);
        let squares = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected);
        squares.sum::<f64>() / freedom
    };
    let parts = sequence.chunks_exact(len);
    let count = parts.len() as f64;
    parts.map(of).sum::<f64>() / count
}
