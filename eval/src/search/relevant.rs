//! The first phase of a search: the scores of the relevant items, above which the second counts.

use super::batch::{next, on_threads};
use super::items::{Rows, checked_blocks};
use super::{Items, RelevantScores, Search};
use crate::EvalError;
use std::sync::Mutex;

/// Relevant items scored by a thread at a time.
const PAIRS: usize = 256;

impl Search<'_> {
    /// The first phase: scores the relevant items that are among `items`, with the kernel, so that
    /// these are the very numbers that the second phase meets.
    ///
    /// # Errors
    /// What `items` returns, and blocks as in [`Search::scan`].
    pub fn score_relevant(
        &self,
        items: &(impl Items + ?Sized),
    ) -> Result<RelevantScores, EvalError> {
        self.check_width(items)?;
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (query, judged) in self.judged.iter().enumerate() {
            let places = self.starts[query]..self.starts[query + 1];
            pairs.extend(
                judged.relevant.iter().zip(places).map(|((item, _), at)| (*item, query, at)),
            );
        }
        pairs.sort_unstable();
        let mut scores = vec![f32::NAN; pairs.len()];
        for rows in checked_blocks(items, &self.item_ids) {
            let rows = rows?;
            let from = pairs.partition_point(|(item, ..)| (*item as usize) < rows.first);
            let to = pairs.partition_point(|(item, ..)| (*item as usize) < rows.first + rows.len);
            let mut here = pairs[from..to].to_vec();
            here.sort_unstable_by_key(|(_, query, at)| (*query, *at));
            let mut found = vec![0.0; here.len()];
            let work = Mutex::new(here.chunks(PAIRS).zip(found.chunks_mut(PAIRS)));
            on_threads(self.threads, || {
                while let Some((pairs, found)) = next(&work) {
                    self.score_pairs(&rows, pairs, found);
                }
            });
            for ((_, _, at), found) in here.iter().zip(found) {
                scores[*at] = found;
            }
        }
        Ok(RelevantScores { scores })
    }

    /// Scores pairs of item and query; those of a query stand together.
    fn score_pairs(&self, rows: &Rows, pairs: &[(u32, usize, usize)], mut found: &mut [f32]) {
        let mut scores = Vec::new();
        for pairs in pairs.chunk_by(|a, b| a.1 == b.1) {
            let query = self.kernel.queries(&[self.queries.row(pairs[0].1)], self.width());
            let items: Vec<&[f32]> = pairs.iter().map(|(item, ..)| rows.row(*item)).collect();
            let packed = self.kernel.items(&items, self.width());
            let tiles = 0..items.len().div_ceil(self.kernel.item_tile());
            self.kernel.score(&query, &packed, tiles, &mut scores);
            let (of_query, rest) = found.split_at_mut(pairs.len());
            of_query.copy_from_slice(&scores[..pairs.len()]);
            found = rest;
        }
    }

    /// The scores of all relevant items.
    pub(super) fn complete<'s>(&self, scores: &'s RelevantScores) -> Result<&'s [f32], EvalError> {
        let (expected, found) = (self.starts[self.judged.len()], scores.scores.len());
        if expected != found {
            return Err(EvalError::PartsDiffer { what: "relevant items", expected, found });
        }
        let relevant = self.judged.iter().flat_map(|query| &query.relevant);
        match relevant.zip(&scores.scores).find(|(_, score)| score.is_nan()) {
            None => Ok(&scores.scores),
            Some(((item, _), _)) => Err(self.uncovered(*item as usize, false)),
        }
    }
}
