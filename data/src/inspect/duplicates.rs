//! Rows that share a value: how many, which values, and how often two of them meet in a batch.

use super::{Seen, Tally};
use crate::rng::hash;
use serde::Serialize;
use std::collections::HashMap;

/// Values that are named.
const NAMED: usize = 5;

/// Rows with equal product ids, or with equal captions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Duplicates {
    /// Over how many rows.
    pub seen: Seen,
    /// Rows without a value.
    pub missing: u64,
    /// Different values.
    pub distinct: u64,
    /// Rows that have a value which another row has, too.
    pub sharing_rows: u64,
    /// The values that most rows share.
    pub largest: Vec<Tally>,
    /// The probability that two rows of one window, which lie together in one row group, come
    /// with equal values.
    pub equal_in_window: f64,
    /// The same for any other two rows.
    pub equal_elsewhere: f64,
}

impl Duplicates {
    /// The expected number of rows of a global batch of `batch` rows whose value another row of
    /// the batch has, too; at most `batch`. `together`: the probability that two rows of a batch
    /// come from one window of one row group ([`super::RowGroups::together_in_batch`]). Exact
    /// where no value occurs more than twice in a batch, else an upper bound.
    pub fn expected_in_batch(&self, batch: usize, together: f64) -> f64 {
        let equal = together * self.equal_in_window + (1.0 - together) * self.equal_elsewhere;
        let batch = batch as f64;
        (batch * (batch - 1.0) * equal).clamp(0.0, batch)
    }
}

/// What is known of one value.
#[derive(Clone, Debug, Default)]
struct Value {
    /// Rows that have it.
    rows: u64,
    /// The sum over these rows of the probability that the row comes with it, and of its square.
    sum: f64,
    squares: f64,
    /// The value itself, once two rows have it.
    text: Option<Box<str>>,
}

impl Value {
    fn add(&mut self, probability: f64) {
        self.rows += 1;
        self.sum += probability;
        self.squares += probability * probability;
    }

    /// Expected ordered pairs of its rows that both come with it.
    fn pairs(&self) -> f64 {
        self.sum * self.sum - self.squares
    }
}

/// Rows counted so far.
#[derive(Debug, Default)]
pub(super) struct Counter {
    values: HashMap<u64, Value>,
    /// The values of every row.
    of_rows: Vec<Box<[u64]>>,
    missing: u64,
    window: HashMap<u64, Value>,
    window_rows: u64,
    /// Ordered pairs of rows of one window, and the expected number of equal ones.
    pairs_in_window: f64,
    equal_in_window: f64,
}

impl Counter {
    /// A row that comes with one of these values, each as likely.
    pub fn add(&mut self, values: &[&str]) {
        let mut hashes: Vec<u64> = values.iter().map(|value| hash(value)).collect();
        let each = 1.0 / values.len() as f64;
        for (i, &key) in hashes.iter().enumerate() {
            if hashes[..i].contains(&key) {
                continue;
            }
            let times = hashes.iter().filter(|other| **other == key).count() as f64;
            let value = self.values.entry(key).or_default();
            value.add(times * each);
            if value.rows == 2 {
                value.text = Some(values[i].into());
            }
            self.window.entry(key).or_default().add(times * each);
        }
        hashes.sort_unstable();
        hashes.dedup();
        self.missing += u64::from(hashes.is_empty());
        self.window_rows += 1;
        self.of_rows.push(hashes.into());
    }

    /// The rows since the last call were consecutive, and those to come are others.
    pub fn end_window(&mut self) {
        let rows = std::mem::take(&mut self.window_rows) as f64;
        self.pairs_in_window += rows * (rows - 1.0);
        self.equal_in_window += self.window.drain().map(|(_, value)| value.pairs()).sum::<f64>();
    }

    /// The figures, of `of` rows in all.
    pub fn finish(mut self, of: u64) -> Duplicates {
        self.end_window();
        let rows = self.of_rows.len() as u64;
        let shared = |key: &u64| self.values.get(key).is_some_and(|value| value.rows > 1);
        let sharing = self.of_rows.iter().filter(|keys| keys.iter().any(shared)).count();
        let equal: f64 = self.values.values().map(Value::pairs).sum();
        let ratio =
            |equal: f64, pairs: f64| if pairs > 0.0 { (equal / pairs).max(0.0) } else { 0.0 };
        let elsewhere = rows as f64 * (rows as f64 - 1.0) - self.pairs_in_window;
        let distinct = self.values.len() as u64;
        let mut largest: Vec<Tally> = self
            .values
            .into_values()
            .filter_map(|value| Some(Tally { rows: value.rows, value: value.text?.into() }))
            .collect();
        largest.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.value.cmp(&b.value)));
        largest.truncate(NAMED);
        Duplicates {
            seen: Seen::new(rows, of),
            missing: self.missing,
            distinct,
            sharing_rows: sharing as u64,
            largest,
            equal_in_window: ratio(self.equal_in_window, self.pairs_in_window),
            equal_elsewhere: ratio(equal - self.equal_in_window, elsewhere),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_share_and_pairs_that_meet() {
        let mut counter = Counter::default();
        // Two windows of four rows.
        for window in [["a", "a", "b", "c"], ["a", "d", "e", "b"]] {
            window.iter().for_each(|value| counter.add(&[value]));
            counter.end_window();
        }
        counter.add(&[]);
        let found = counter.finish(100);
        assert_eq!(found.seen, Seen { rows: 9, of: 100, exact: false });
        assert_eq!((found.missing, found.distinct, found.sharing_rows), (1, 5, 5));
        let largest: Vec<_> = found.largest.iter().map(|s| (s.value.as_str(), s.rows)).collect();
        assert_eq!(largest, [("a", 3), ("b", 2)]);
        // Ordered pairs: 24 in windows, of which 2 are equal; 72 - 24 elsewhere: a 4, b 2.
        assert!((found.equal_in_window - 2.0 / 24.0).abs() < 1e-12);
        assert!((found.equal_elsewhere - 6.0 / 48.0).abs() < 1e-12);
    }

    #[test]
    fn one_of_several_captions_is_drawn() {
        let mut counter = Counter::default();
        counter.add(&["mug", "cup"]);
        counter.add(&["mug", "mug", "mug", "bowl"]);
        counter.end_window();
        let found = counter.finish(2);
        assert_eq!((found.distinct, found.sharing_rows), (3, 2));
        // 1/2 x 3/4.
        assert!((found.equal_in_window - 0.375).abs() < 1e-12);
        assert_eq!(found.equal_elsewhere, 0.0);
    }

    #[test]
    fn expected_in_a_batch() {
        let seen = Seen::new(10, 10);
        let of = |equal_in_window, equal_elsewhere| Duplicates {
            seen,
            missing: 0,
            distinct: 1,
            sharing_rows: 0,
            largest: vec![],
            equal_in_window,
            equal_elsewhere,
        };
        // 4 streams that give 2 rows each: 4 pairs of 28 within, 24 across.
        let together = 4.0 / 28.0;
        assert!((of(0.5, 0.0).expected_in_batch(8, together) - 4.0).abs() < 1e-12);
        assert!((of(0.0, 0.01).expected_in_batch(8, together) - 0.48).abs() < 1e-12);
        assert_eq!(of(1.0, 1.0).expected_in_batch(8, 0.5), 8.0);
        assert_eq!(of(0.5, 0.5).expected_in_batch(1, 0.0), 0.0);
    }
}
