//! Which row stands where in which global batch: pure functions of the row groups' sizes, the
//! seed and the epoch. Nothing is read here and nothing is remembered between calls.
//!
//! ```text
//! row groups of all shards   A B C D E            (shards by path, groups by position)
//! 1. permuted by epoch       D A E C B            one virtual sequence of R rows,
//! 2. rotated by epoch        ..A E C B D..        read from a random row on, as a ring
//! 3. cut into S streams      [ s0 | s1 | s2 | s3 ]  floor(R/S) rows each
//! 4. windows per stream      s0 = [w0 |  w1   |  w2   | w3]   each permuted in itself
//! 5. global batch b          N/S rows at stream positions [b*N/S, (b+1)*N/S), stream-major
//! ```
//!
//! An epoch has floor(floor(R/S)/(N/S)) batches (`mixture.rs` has several sources). The rest of
//! each stream and the R mod S rows
//! after the last stream are left out of that epoch; steps 1, 2 and 4 make them others in the
//! next. The first window of a stream is cut short by a random length, so that the streams of
//! a batch do not all start to read a new window at once. No window is shorter than half of
//! `window_rows`, for an unusable row is replaced from its own window: the first keeps at least
//! half, and a shorter rest at a stream's end joins the window before it, which then has fewer
//! than 1.5 x `window_rows` rows. A stream no longer than a window is one window.

use crate::DataError;
use crate::rng::{Purpose, Rng};
use configs::Streams;
use std::sync::Arc;

/// The order of all epochs.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    group_rows: Arc<[u64]>,
    num_rows: u64,
    num_streams: usize,
    stream_rows: u64,
    window_rows: u64,
}

/// A run of consecutive rows of one row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index into the row groups given to [`Order::new`].
    pub group: usize,
    /// First row, counted in the row group.
    pub first: u64,
    /// Number of rows.
    pub rows: u64,
}

/// Consecutive positions of a stream that are permuted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The stream.
    pub stream: usize,
    /// First position in the stream.
    pub first: u64,
    /// Number of rows.
    pub rows: u64,
}

impl Order {
    /// The order for row groups of `group_rows` rows each, cut into `num_streams` streams.
    ///
    /// # Errors
    /// Fewer rows than streams; no streams; a window of no rows.
    pub fn new(
        group_rows: Vec<u64>,
        num_streams: usize,
        window_rows: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let num_rows: u64 = group_rows.iter().sum();
        let (fields, rows) = (["data.shuffle.window_rows", "data.shuffle.streams"], num_rows);
        for (field, number) in fields.into_iter().zip([window_rows, num_streams]) {
            if number == 0 {
                let expected = "at least 1".into();
                return Err(DataError::Config { field, expected, found: "0".into() });
            }
        }
        if num_rows < num_streams as u64 {
            return Err(DataError::FewRows { rows, batch_size: num_streams });
        }
        let (stream_rows, window_rows) = (num_rows / num_streams as u64, window_rows as u64);
        Ok(Self {
            seed,
            group_rows: group_rows.into(),
            num_rows,
            num_streams,
            stream_rows,
            window_rows,
        })
    }

    /// Rows of all row groups.
    pub fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// Number of canonical streams.
    pub fn num_streams(&self) -> usize {
        self.num_streams
    }

    /// Rows of a full window.
    pub fn window_rows(&self) -> u64 {
        self.window_rows
    }

    /// Rows of each stream, at least 1.
    pub fn stream_rows(&self) -> u64 {
        self.stream_rows
    }

    /// The order of one epoch.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        let groups = Rng::new(Purpose::Groups, &[self.seed, epoch])
            .permutation(self.group_rows.len())
            .into_iter()
            .filter(|&group| self.group_rows[group] > 0)
            .collect::<Vec<_>>();
        let mut end = 0;
        let ends = groups
            .iter()
            .map(|&group| {
                end += self.group_rows[group];
                end
            })
            .collect();
        let rotation = Rng::new(Purpose::Rotation, &[self.seed, epoch]).below(self.num_rows);
        EpochOrder { order: self.clone(), epoch, groups, ends, rotation }
    }
}

/// How many streams global batches of `batch_size` are read from.
///
/// # Errors
/// Streams that do not divide the batch.
pub fn num_streams(streams: Streams, batch_size: usize) -> Result<usize, DataError> {
    let number = streams.number(batch_size);
    if batch_size > 0 && number > 0 && batch_size.is_multiple_of(number) {
        return Ok(number);
    }
    let (field, expected, found) = match batch_size {
        0 => ("batch size", "at least 1".into(), batch_size),
        _ => {
            ("data.shuffle.streams", format!("a divisor of the batch size ({batch_size})"), number)
        }
    };
    Err(DataError::Config { field, expected, found: found.to_string() })
}

/// The streams that `rank` of `world` reads, of `num_streams`.
///
/// # Errors
/// `world` does not divide the number of streams, or `rank` is not below `world`.
pub fn streams_of(
    num_streams: usize,
    rank: usize,
    world: usize,
) -> Result<std::ops::Range<usize>, DataError> {
    if world == 0 || !num_streams.is_multiple_of(world) {
        return Err(DataError::Config {
            field: "number of processes",
            expected: format!(
                "a divisor of the number of streams ({}); set data.shuffle.streams or the \
                 batch size to a multiple of the number of processes",
                num_streams
            ),
            found: world.to_string(),
        });
    }
    if rank >= world {
        return Err(DataError::Config {
            field: "rank",
            expected: format!("below the number of processes ({world})"),
            found: rank.to_string(),
        });
    }
    let each = num_streams / world;
    Ok(rank * each..(rank + 1) * each)
}

/// The order of one epoch.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    order: Order,
    epoch: u64,
    /// Row groups that hold rows, permuted.
    groups: Vec<usize>,
    /// `ends[i]`: virtual rows up to and with `groups[i]`.
    ends: Vec<u64>,
    /// The virtual row at which stream 0 starts.
    rotation: u64,
}

impl EpochOrder {
    /// The window that holds a position of a stream. `position` must lie in the stream.
    pub fn window(&self, stream: usize, position: u64) -> Window {
        let Order { stream_rows, window_rows, seed, .. } = self.order;
        if stream_rows <= window_rows {
            return Window { stream, first: 0, rows: stream_rows };
        }
        let key = [seed, self.epoch, stream as u64];
        let least = window_rows.div_ceil(2);
        let stagger = Rng::new(Purpose::Stagger, &key).below(window_rows / 2 + 1);
        let first_end = least + stagger;
        // `stream_rows` is greater than `window_rows` here, so the first window ends within.
        let rest = stream_rows - first_end;
        let after_first = rest / window_rows + u64::from(rest % window_rows >= least);
        let index = match position.checked_sub(first_end) {
            Some(beyond) => (1 + beyond / window_rows).min(after_first),
            None => 0,
        };
        let start = |index: u64| if index == 0 { 0 } else { first_end + (index - 1) * window_rows };
        let first = start(index);
        let end = if index == after_first { stream_rows } else { start(index + 1) };
        Window { stream, first, rows: end - first }
    }

    /// The window that follows in the stream; after the last, the first.
    pub fn window_after(&self, window: &Window) -> Window {
        let after = (window.first + window.rows) % self.order.stream_rows;
        self.window(window.stream, after)
    }

    /// Where each slot of a window takes its row from: slot `i` holds the window's row
    /// `permutation[i]`.
    pub fn permutation(&self, window: &Window) -> Vec<usize> {
        let key = [self.order.seed, self.epoch, window.stream as u64, window.first];
        Rng::new(Purpose::Window, &key).permutation(window.rows as usize)
    }

    /// The rows of a window, before its permutation, as runs to read one after the other.
    pub fn segments(&self, window: &Window) -> Vec<Segment> {
        let num_rows = self.order.num_rows;
        let start = window.stream as u64 * self.order.stream_rows + window.first + self.rotation;
        let mut at = start % num_rows;
        let mut left = window.rows;
        let mut segments = Vec::new();
        let mut index = self.ends.partition_point(|&end| end <= at);
        while left > 0 {
            let group = self.groups[index];
            let group_start = self.ends[index] - self.order.group_rows[group];
            let rows = left.min(self.ends[index] - at);
            segments.push(Segment { group, first: at - group_start, rows });
            left -= rows;
            at = (at + rows) % num_rows;
            index = (index + 1) % self.groups.len();
        }
        segments
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
