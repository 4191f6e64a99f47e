//! What the judgements say of each query, as item indices. Owns the rules for an item that is no
//! candidate of its query: the query itself, and items of another label.

use super::{Pools, SelfMatch};
use crate::{Embeddings, EvalError, Qrels};
use std::collections::{HashMap, HashSet};

/// One query's candidates and judgements.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// Index of the query's own item, where it is excluded from the candidates.
    pub excluded: Option<u32>,
    /// Its label; 0 without labels.
    pub label: u32,
    /// Number of candidates.
    pub pool: usize,
    /// Whether it has judgements at all.
    pub judged: bool,
    /// Relevant candidates and their grades, by item.
    pub relevant: Vec<(u32, u32)>,
    /// Candidates judged and found not relevant, by item.
    pub irrelevant: Vec<(u32, i32)>,
    /// Judged items of another label.
    pub outside: usize,
}

/// Resolves the judgements of every query; `places` is the index of each item id.
pub(crate) fn judge(
    queries: &Embeddings,
    places: &HashMap<&str, u32>,
    qrels: &Qrels,
    self_match: SelfMatch,
    labels: Option<&Pools>,
) -> Result<Vec<Judged>, EvalError> {
    let known: HashSet<&str> = queries.ids().iter().map(String::as_str).collect();
    qrels.expect_known(
        (queries.len(), |id| known.contains(id)),
        (places.len(), |id| places.contains_key(id)),
    )?;
    let mut all = Vec::with_capacity(queries.len());
    for (index, id) in queries.ids().iter().enumerate() {
        let label = labels.map_or(0, |labels| labels.queries[index]);
        let is_inside = |item: u32| labels.is_none_or(|of| of.items[item as usize] == label);
        let excluded = match self_match {
            SelfMatch::Keep => None,
            SelfMatch::Exclude => places.get(id.as_str()).copied().filter(|item| is_inside(*item)),
        };
        let inside = labels.map_or(places.len(), |labels| labels.counts[label as usize]);
        let mut query = Judged {
            excluded,
            label,
            pool: inside - usize::from(excluded.is_some()),
            judged: false,
            relevant: Vec::new(),
            irrelevant: Vec::new(),
            outside: 0,
        };
        if let Some(judgements) = qrels.of(id) {
            query.judged = true;
            for (item, grade) in judgements {
                let place = places[item];
                if self_match == SelfMatch::Exclude && item == id {
                    continue;
                }
                match u32::try_from(grade) {
                    _ if !is_inside(place) => query.outside += 1,
                    Ok(grade @ 1..) => query.relevant.push((place, grade)),
                    _ => query.irrelevant.push((place, grade)),
                }
            }
            query.relevant.sort_unstable();
            query.irrelevant.sort_unstable();
        }
        all.push(query);
    }
    Ok(all)
}
