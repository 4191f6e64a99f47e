//! What one share of the pool contributes to a search, and how the shares are put together. Owns
//! their form as bytes, in which ranks exchange them: 32-bit little-endian words.

use super::scan::Group;
use super::select::{Standing, order};
use crate::{EvalError, Hit};

/// The scores of the relevant items that a share of the pool holds: the first phase of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct RelevantScores {
    /// By query, then item; NaN for the items of other shares.
    pub(crate) scores: Vec<f32>,
}

impl RelevantScores {
    /// Adds those that another share holds.
    ///
    /// # Errors
    /// When it belongs to another search.
    pub fn merge(&mut self, other: &Self) -> Result<(), EvalError> {
        let (expected, found) = (self.scores.len(), other.scores.len());
        if expected != found {
            return Err(EvalError::PartsDiffer { what: "relevant items", expected, found });
        }
        for (score, other) in self.scores.iter_mut().zip(&other.scores) {
            if score.is_nan() {
                *score = *other;
            }
        }
        Ok(())
    }

    /// For another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.scores.iter().flat_map(|score| score.to_bits().to_le_bytes()).collect()
    }

    /// What [`RelevantScores::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are no whole number of scores.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvalError> {
        let mut words = Words::new(bytes)?;
        Ok(Self { scores: words.take(words.left())?.map(f32::from_bits).collect() })
    }
}

/// Each query's best items and counts over a share of the pool: the second phase of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    depth: usize,
    /// First index and length of each series of items.
    pub(crate) covered: Vec<(u32, u32)>,
    /// By query, best first.
    pub(crate) tops: Vec<Vec<Hit>>,
    /// By query, then relevant item.
    pub(crate) standings: Vec<Standing>,
}

impl Partial {
    pub(crate) fn new(depth: usize, covered: Vec<(u32, u32)>, groups: Vec<Group>) -> Self {
        let mut states: Vec<_> = groups.into_iter().flat_map(|group| group.states).collect();
        states.sort_unstable_by_key(|state| state.query);
        let mut partial =
            Self { depth, covered, tops: Vec::with_capacity(states.len()), standings: Vec::new() };
        for state in states {
            let (top, standings) = state.finish();
            partial.tops.push(top);
            partial.standings.extend(standings);
        }
        partial
    }

    /// Adds another share. The order in which shares are added changes nothing.
    ///
    /// # Errors
    /// When it belongs to another search. Whether the shares overlap, or leave items out, is
    /// checked in [`Search::finish`](super::Search::finish).
    pub fn merge(&mut self, other: Self) -> Result<(), EvalError> {
        for (what, expected, found) in [
            ("items to keep per query", self.depth, other.depth),
            ("queries", self.tops.len(), other.tops.len()),
            ("relevant items", self.standings.len(), other.standings.len()),
        ] {
            if expected != found {
                return Err(EvalError::PartsDiffer { what, expected, found });
            }
        }
        self.covered.extend(other.covered);
        for (top, other) in self.tops.iter_mut().zip(other.tops) {
            top.extend(other);
            // Two sorted halves: this sort only merges them.
            top.sort_by(order);
            top.truncate(self.depth);
        }
        for (standing, other) in self.standings.iter_mut().zip(other.standings) {
            // No sum exceeds the pool, unless shares overlap; then `finish` refuses them.
            standing.above = standing.above.saturating_add(other.above);
            standing.level = standing.level.saturating_add(other.level);
            standing.earlier = standing.earlier.saturating_add(other.earlier);
        }
        Ok(())
    }

    /// For another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        let num_hits: usize = self.tops.iter().map(Vec::len).sum();
        let words = 4 + 2 * self.covered.len() + self.tops.len() + 2 * num_hits;
        let mut bytes = Vec::with_capacity(4 * (words + 4 * self.standings.len()));
        let mut put = |word: u32| bytes.extend_from_slice(&word.to_le_bytes());
        // All counts are of queries, items or pairs of a search in memory and below 2^32.
        for count in [self.depth, self.covered.len(), self.tops.len(), self.standings.len()] {
            put(count as u32);
        }
        for (first, len) in &self.covered {
            put(*first);
            put(*len);
        }
        for top in &self.tops {
            put(top.len() as u32);
            for hit in top {
                put(hit.item);
                put(hit.score.to_bits());
            }
        }
        for standing in &self.standings {
            put(standing.score.to_bits());
            put(standing.above);
            put(standing.level);
            put(standing.earlier);
        }
        bytes
    }

    /// What [`Partial::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are cut short or too many.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvalError> {
        let mut words = Words::new(bytes)?;
        let [depth, num_covered, num_queries, num_relevant] = words.array()?.map(|n| n as usize);
        let mut covered = Vec::new();
        for _ in 0..num_covered {
            let [first, len] = words.array()?;
            covered.push((first, len));
        }
        let mut tops = Vec::new();
        for _ in 0..num_queries {
            let [len] = words.array()?;
            let mut top = Vec::new();
            for _ in 0..len {
                let [item, score] = words.array()?;
                top.push(Hit { item, score: f32::from_bits(score) });
            }
            tops.push(top);
        }
        let mut standings = Vec::new();
        for _ in 0..num_relevant {
            let [score, above, level, earlier] = words.array()?;
            standings.push(Standing { score: f32::from_bits(score), above, level, earlier });
        }
        match words.left() {
            0 => Ok(Self { depth, covered, tops, standings }),
            _ => Err(words.wrong("there are bytes after its end")),
        }
    }
}

/// Reads 32-bit words.
struct Words<'a> {
    bytes: usize,
    words: &'a [[u8; 4]],
}

impl<'a> Words<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, EvalError> {
        let (words, rest) = bytes.as_chunks();
        let found = Self { bytes: bytes.len(), words };
        match rest {
            [] => Ok(found),
            _ => Err(found.wrong("they are no whole number of 32-bit words")),
        }
    }

    fn wrong(&self, problem: &'static str) -> EvalError {
        EvalError::PartBytes { bytes: self.bytes, problem }
    }

    fn left(&self) -> usize {
        self.words.len()
    }

    fn take(&mut self, count: usize) -> Result<impl Iterator<Item = u32> + use<'a>, EvalError> {
        let Some((taken, rest)) = self.words.split_at_checked(count) else {
            return Err(self.wrong("they end too early"));
        };
        self.words = rest;
        Ok(taken.iter().map(|word| u32::from_le_bytes(*word)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u32; N], EvalError> {
        let mut words = [0; N];
        for (word, read) in words.iter_mut().zip(self.take(N)?) {
            *word = read;
        }
        Ok(words)
    }
}
