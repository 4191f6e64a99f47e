//! Which source each slot of a global batch is filled from: pure functions of the weights and the
//! seed, as [`crate::order`] is of the row groups.
//!
//! One source is read epoch by epoch: an epoch ends with its last full batch. Several sources with
//! weights are read without an end: each has canonical streams of its own, and slot `n` of stream
//! `s` goes to one of the sources such that after any number of slots each has had its weight's
//! share of them, to within the number of sources. A source begins anew when its rows are used up,
//! whatever the others do. What is called an epoch of a mixture is as many batches as all rows of
//! all sources would fill.

use crate::DataError;
use crate::order::Order;
use crate::rng::{Purpose, Rng};

/// Weights are counted in this many parts of one.
const ONE: u64 = 1 << 32;

/// The order of all sources together.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    sources: Vec<Order>,
    /// Of the slots that the sources before it leave over, the share of each: `ONE` is all.
    shares: Vec<u64>,
    /// Rows of a global batch per stream.
    per_stream: u64,
    batches_per_epoch: u64,
    seed: u64,
}

/// Where a slot takes its row from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The source.
    pub source: usize,
    /// How often the source was read through before.
    pub pass: u64,
    /// The position in the source's stream.
    pub position: u64,
}

impl Mixture {
    /// `sources` in parts as their weights say, in global batches of `batch_size`. All have the
    /// same number of streams.
    ///
    /// # Errors
    /// Fewer rows than a batch.
    pub fn new(
        sources: Vec<Order>,
        weights: &[f64],
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let num_rows: u64 = sources.iter().map(Order::num_rows).sum();
        if num_rows < batch_size as u64 {
            return Err(DataError::FewRows { rows: num_rows, batch_size });
        }
        let num_streams = sources.first().map_or(1, Order::num_streams) as u64;
        let per_stream = batch_size as u64 / num_streams;
        let stream_rows = match &sources[..] {
            [only] => only.stream_rows(),
            _ => num_rows / num_streams,
        };
        let mut left: f64 = weights.iter().sum();
        let shares = weights
            .iter()
            .enumerate()
            .map(|(i, weight)| {
                let share = if i + 1 == weights.len() { 1.0 } else { weight / left };
                left -= weight;
                (share.clamp(0.0, 1.0) * ONE as f64).round() as u64
            })
            .collect();
        let batches_per_epoch = stream_rows / per_stream;
        Ok(Self { sources, shares, per_stream, batches_per_epoch, seed })
    }

    /// Full batches in an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        self.batches_per_epoch
    }

    /// The order of each source's rows.
    pub fn sources(&self) -> &[Order] {
        &self.sources
    }

    /// Rows that a global batch takes from every stream.
    pub fn per_stream(&self) -> u64 {
        self.per_stream
    }

    /// Where slot `j` of a stream takes its row from, in batch `batch` of epoch `epoch`.
    pub fn place(&self, stream: usize, epoch: u64, batch: u64, j: u64) -> Place {
        if let [_] = self.sources[..] {
            return Place { source: 0, pass: epoch, position: batch * self.per_stream + j };
        }
        let (source, taken) =
            self.draw(stream, (epoch * self.batches_per_epoch + batch) * self.per_stream + j);
        let rows = self.sources[source].stream_rows();
        Place { source, pass: taken / rows, position: taken % rows }
    }

    /// The source of slot `n` of a stream, and how many slots of the stream it had before.
    ///
    /// The first source takes a slot whenever `n` times its share passes a whole number; the
    /// others share what is left in the same way.
    fn draw(&self, stream: usize, mut n: u64) -> (usize, u64) {
        for (source, &share) in self.shares.iter().enumerate() {
            // Streams begin at different places of the pattern.
            let key = [self.seed, stream as u64, source as u64];
            let start = Rng::new(Purpose::Mixture, &key).below(ONE);
            let taken = |n: u64| {
                let parts = u128::from(n) * u128::from(share) + u128::from(start);
                u64::try_from(parts / u128::from(ONE)).unwrap_or(u64::MAX)
            };
            if taken(n + 1) > taken(n) {
                return (source, taken(n));
            }
            n -= taken(n);
        }
        (self.shares.len() - 1, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(rows: &[u64], weights: &[f64], batch: usize, streams: usize) -> Mixture {
        let orders = rows.iter().map(|&n| Order::new(vec![n], streams, 8, 7).unwrap()).collect();
        Mixture::new(orders, weights, batch, 7).unwrap()
    }

    #[test]
    fn every_source_has_its_share_at_any_time_and_no_position_twice() {
        let weights = [5.0, 1.0, 3.0, 0.5];
        let mixture = mixture(&[1000, 40, 300, 900], &weights, 8, 4);
        for stream in 0..4 {
            let mut had = [0u64; 4];
            for n in 0..5000 {
                let (source, taken) = mixture.draw(stream, n);
                assert_eq!(taken, had[source], "positions follow one another");
                had[source] += 1;
                for (source, weight) in weights.iter().enumerate() {
                    let due = (n + 1) as f64 * weight / 9.5;
                    assert!((had[source] as f64 - due).abs() <= 3.0, "{source} at {n}: {had:?}");
                }
            }
        }
    }

    #[test]
    fn places_go_on_over_epochs_and_each_source_begins_anew_by_itself() {
        let mixture = mixture(&[64, 32], &[1.0, 1.0], 8, 4);
        assert_eq!((mixture.batches_per_epoch(), mixture.per_stream()), (12, 2));
        let mut next = [(0, 0); 2];
        for slot in 0..400u64 {
            let (epoch, batch) = (slot / 24, slot / 2 % 12);
            let place = mixture.place(1, epoch, batch, slot % 2);
            assert_eq!((place.pass, place.position), next[place.source]);
            let rows = [16, 8][place.source];
            let (pass, position) = next[place.source];
            next[place.source] =
                if position + 1 == rows { (pass + 1, 0) } else { (pass, position + 1) };
        }
    }

    #[test]
    fn one_source_ends_its_epoch_with_its_last_full_batch() {
        let mixture = mixture(&[103], &[1.0], 8, 4);
        assert_eq!(mixture.batches_per_epoch(), 12);
        let place = Place { source: 0, pass: 3, position: 23 };
        assert_eq!(mixture.place(2, 3, 11, 1), place);
    }

    #[test]
    fn streams_do_not_take_their_turns_together() {
        let mixture = mixture(&[640, 640], &[1.0, 1.0], 64, 64);
        let first: usize = (0..64).filter(|&s| mixture.draw(s, 0).0 == 0).count();
        assert!((16..48).contains(&first), "{first} of 64 streams begin with source 0");
    }
}
