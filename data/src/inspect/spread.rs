//! Figures of a distribution, and over how much of the data they were taken.

use serde::Serialize;

/// Over how many rows a figure was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Rows looked at.
    pub rows: u64,
    /// Rows of all shards.
    pub of: u64,
    /// Whether that is all of them, so that the figure is no estimate.
    pub exact: bool,
}

impl Seen {
    /// `rows` out of `of`.
    pub fn new(rows: u64, of: u64) -> Self {
        Self { rows, of, exact: rows == of }
    }
}

/// A distribution in four numbers; each is a value that occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: u64,
    /// The lower of the middle two where there is no middle one.
    pub median: u64,
    /// 95 of 100 are not greater.
    pub p95: u64,
    /// The greatest.
    pub max: u64,
}

impl Spread {
    /// Of these values; none where there are none.
    pub fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let last = values.len().checked_sub(1)?;
        Some(Self {
            min: values[0],
            median: values[last / 2],
            p95: values[(values.len() * 95).div_ceil(100) - 1],
            max: values[last],
        })
    }
}

/// The rows that have one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The value.
    pub value: String,
    /// Its rows.
    pub rows: u64,
}

/// How many values lie in `from..=to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// The least value of the bin.
    pub from: u64,
    /// The greatest.
    pub to: u64,
    /// How many there are.
    pub count: u64,
}

/// At most `most` bins of equal width, from the least value to the greatest.
pub(super) fn histogram(values: &[u64], most: u64) -> Vec<Bin> {
    let (Some(&min), Some(&max)) = (values.iter().min(), values.iter().max()) else {
        return Vec::new();
    };
    let width = (max - min + 1).div_ceil(most);
    let mut bins: Vec<Bin> = (0..(max - min + 1).div_ceil(width))
        .map(|bin| min + bin * width)
        .map(|from| Bin { from, to: from + width - 1, count: 0 })
        .collect();
    for value in values {
        bins[((value - min) / width) as usize].count += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_in_four_numbers() {
        assert_eq!(Spread::of(vec![]), None);
        let of = |values| Spread::of(values).unwrap();
        assert_eq!(of(vec![7]), Spread { min: 7, median: 7, p95: 7, max: 7 });
        assert_eq!(of((1..=100).rev().collect()), Spread { min: 1, median: 50, p95: 95, max: 100 });
        assert_eq!(of(vec![3, 1, 2]), Spread { min: 1, median: 2, p95: 3, max: 3 });
    }

    #[test]
    fn bins_hold_every_value() {
        let bins = histogram(&[3, 4, 4, 9, 24], 4);
        let counts: Vec<_> = bins.iter().map(|b| (b.from, b.to, b.count)).collect();
        assert_eq!(counts, [(3, 8, 3), (9, 14, 1), (15, 20, 0), (21, 26, 1)]);
        assert_eq!(histogram(&[5, 5], 10), [Bin { from: 5, to: 5, count: 2 }]);
        assert!(histogram(&[], 10).is_empty());
    }
}
