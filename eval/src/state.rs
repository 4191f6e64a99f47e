//! One query of a search: its judgements as item indices, then what it keeps of the scores that
//! stream past it. Owns the self-match rule; `search` owns the loop and `select` the selection.

use crate::kernel::Kernel;
use crate::ranking::{Hit, Place, RankedQuery};
use crate::select::{Best, Targets};
use crate::{Embeddings, EvalError, Qrels, SelfMatch};
use std::collections::{HashMap, HashSet};

/// One query while the pool streams past it.
pub(crate) struct State {
    /// Index of the query's own item, where it is excluded.
    excluded: Option<u32>,
    grades: HashMap<u32, u32>,
    irrelevant: Vec<(u32, i32)>,
    judged: bool,
    best: Best,
    targets: Targets,
}

/// Resolves the judgements of every query to item indices.
pub(crate) fn judge(
    queries: &Embeddings,
    items: &Embeddings,
    qrels: &Qrels,
    self_match: SelfMatch,
    depth: usize,
) -> Result<Vec<State>, EvalError> {
    let places: HashMap<&str, u32> = items.ids().iter().map(String::as_str).zip(0..).collect();
    let mut unknown: Option<(String, String, usize)> = None;
    let mut num_judged = 0;
    let mut states = Vec::with_capacity(queries.len());
    for id in queries.ids() {
        let excluded = match self_match {
            SelfMatch::Keep => None,
            SelfMatch::Exclude => places.get(id.as_str()).copied(),
        };
        let mut state = State {
            excluded,
            grades: HashMap::new(),
            irrelevant: Vec::new(),
            judged: false,
            best: Best::new(depth),
            targets: Targets::new(&[]),
        };
        if let Some(judgements) = qrels.of(id) {
            state.judged = true;
            num_judged += 1;
            for (item, grade) in judgements {
                match (places.get(item).copied(), u32::try_from(grade)) {
                    (None, _) => match &mut unknown {
                        Some((_, _, more)) => *more += 1,
                        None => unknown = Some((item.to_owned(), id.clone(), 0)),
                    },
                    (place, _) if place == excluded => {}
                    (Some(place), Ok(grade @ 1..)) => {
                        state.grades.insert(place, grade);
                    }
                    (Some(place), _) => state.irrelevant.push((place, grade)),
                }
            }
            state.irrelevant.sort_unstable();
        }
        states.push(state);
    }
    if let Some((item, query, more)) = unknown {
        return Err(EvalError::UnknownItem { item, query, items: items.len(), more });
    }
    if num_judged < qrels.len() {
        let known: HashSet<&str> = queries.ids().iter().map(String::as_str).collect();
        if let Some(query) = qrels.queries().find(|query| !known.contains(query)) {
            return Err(EvalError::UnknownQuery {
                query: query.to_owned(),
                queries: queries.len(),
                more: qrels.len() - num_judged - 1,
            });
        }
    }
    Ok(states)
}

/// Scores each query's relevant items first: with the kernel, so that these are the very numbers
/// that the block products will give.
pub(crate) fn score_targets(
    kernel: Kernel,
    queries: &Embeddings,
    items: &Embeddings,
    first_query: usize,
    states: &mut [State],
) {
    let mut scores = Vec::new();
    for (state, query) in states.iter_mut().zip(first_query..) {
        let relevant: Vec<u32> = state.grades.keys().copied().collect();
        if relevant.is_empty() {
            continue;
        }
        let query = kernel.queries(std::iter::once(queries.row(query)), items.width());
        let rows = relevant.iter().map(|item| items.row(*item as usize));
        let packed = kernel.items(rows, items.width());
        let tiles = 0..relevant.len().div_ceil(kernel.item_tile());
        kernel.score(&query, &packed, tiles, &mut scores);
        let hits: Vec<Hit> = relevant
            .iter()
            .zip(&scores)
            .map(|(item, score)| Hit { item: *item, score: *score })
            .collect();
        state.targets = Targets::new(&hits);
    }
}

impl State {
    /// Takes the scores of the items from `first` on.
    pub(crate) fn observe(&mut self, first: usize, scores: &mut [f32]) {
        if let Some(at) = self.excluded.and_then(|item| (item as usize).checked_sub(first))
            && let Some(score) = scores.get_mut(at)
        {
            *score = f32::NEG_INFINITY;
        }
        // `Embeddings` holds at most u32::MAX rows.
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        self.best.observe(first, scores);
        self.targets.observe(first, scores);
    }

    pub(crate) fn finish(self, items: usize) -> RankedQuery {
        let mut relevant: Vec<Place> = self
            .targets
            .finish()
            .into_iter()
            .map(|standing| Place {
                item: standing.item,
                grade: self.grades[&standing.item],
                score: standing.score,
                rank: standing.above as usize + standing.earlier as usize + 1,
                optimistic: standing.above as usize + 1,
                pessimistic: standing.above as usize + standing.level as usize,
            })
            .collect();
        relevant.sort_unstable_by_key(|place| place.rank);
        RankedQuery {
            pool: items - usize::from(self.excluded.is_some()),
            top: self.best.finish(),
            relevant: self.judged.then_some(relevant),
            irrelevant: self.irrelevant,
        }
    }
}
