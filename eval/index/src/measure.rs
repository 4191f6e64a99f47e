//! Recall of the graphs against exact search, and how long a query takes.

use crate::IndexError;
use crate::build::Part;
use crate::info::Measured;
use crate::items::Items;
use eval::{Embeddings, Qrels, SearchOptions, SelfMatch, StoreReader};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The cut-off that recall is measured at.
const K: usize = 10;

/// Queries to measure with.
#[derive(Clone, Debug)]
pub struct Queries {
    /// What they are, in a word or two.
    pub name: String,
    /// Their vectors.
    pub vectors: Embeddings,
    /// The group that each is searched in, where the index is grouped.
    pub groups: Vec<Option<String>>,
    /// Whether the item of a query's own id is no candidate: the queries are items themselves.
    pub self_match: SelfMatch,
}

impl Queries {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }
}

/// The exact answer to a query: its graph, its own key if that is no candidate, and the keys of the
/// best items.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    part: Option<usize>,
    own: Option<u64>,
    best: Vec<(u64, f32)>,
}

/// About `count` items at equal distances, as queries for others like them.
pub fn sample(
    store: &Path,
    items: &Items,
    parts: &[Part],
    count: usize,
) -> Result<Queries, IndexError> {
    let stride = (items.ids.len() / count.max(1)).max(1) as u64;
    let (mut ids, mut groups, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut width = 1;
    for block in StoreReader::open(store)? {
        let block = block?;
        width = block.values.len() / block.ids.len().max(1);
        for (index, key) in (block.first_row..).enumerate().take(block.ids.len()) {
            let lonely =
                part_of(parts, &block.groups[index]).is_none_or(|p| parts[p].graph.len() < 2);
            if key % stride == 0 && !lonely {
                ids.push(block.ids[index].clone());
                groups.push(block.groups[index].clone());
                values.extend_from_slice(&block.values[index * width..(index + 1) * width]);
            }
        }
    }
    let vectors = Embeddings::new(ids, width, values)?;
    Ok(Queries { name: "items".into(), vectors, groups, self_match: SelfMatch::Exclude })
}

/// The graph that a query of this group is searched in.
fn part_of(parts: &[Part], group: &Option<String>) -> Option<usize> {
    match parts {
        [only] if only.group.is_none() => Some(0),
        _ => parts.binary_search_by(|part| part.group.cmp(group)).ok(),
    }
}

/// The exact answers, by [`eval::search`] over blocks of the file.
pub fn exact(store: &Path, parts: &[Part], queries: &Queries) -> Result<Vec<Answer>, IndexError> {
    let excluded = queries.self_match == SelfMatch::Exclude;
    let mut answers: Vec<Answer> = queries
        .groups
        .iter()
        .map(|group| Answer { part: part_of(parts, group), ..Answer::default() })
        .collect();
    // The queries of each graph.
    let mut of_part: BTreeMap<usize, (Vec<usize>, Embeddings)> = BTreeMap::new();
    let rows: Vec<&[f32]> = queries.vectors.rows().collect();
    for part in 0..parts.len() {
        let indices: Vec<usize> =
            (0..answers.len()).filter(|query| answers[*query].part == Some(part)).collect();
        if !indices.is_empty() {
            let ids = indices.iter().map(|i| queries.vectors.ids()[*i].clone()).collect();
            let values = indices.iter().flat_map(|i| rows[*i]).copied().collect();
            of_part.insert(part, (indices, Embeddings::new(ids, queries.vectors.width(), values)?));
        }
    }
    let options = SearchOptions { self_match: queries.self_match, ..SearchOptions::new(K) };
    for block in StoreReader::open(store)? {
        let block = block?;
        let width = block.values.len() / block.ids.len().max(1);
        for (part, (indices, vectors)) in &of_part {
            let rows: Vec<usize> = (0..block.ids.len())
                .filter(|row| part_of(parts, &block.groups[*row]) == Some(*part))
                .collect();
            if rows.is_empty() {
                continue;
            }
            let ids = rows.iter().map(|row| block.ids[*row].clone()).collect();
            let values =
                rows.iter().flat_map(|row| &block.values[row * width..(row + 1) * width]).copied();
            let items = Embeddings::new(ids, width, values.collect())?;
            let ranking = eval::search(vectors, &items, &Qrels::default(), &options)?;
            for (query, ranked) in indices.iter().zip(ranking.queries()) {
                let answer = &mut answers[*query];
                let key = |item: u32| block.first_row + rows[item as usize] as u64;
                answer.best.extend(ranked.top.iter().map(|hit| (key(hit.item), hit.score)));
                answer.best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                answer.best.truncate(K);
            }
        }
        if excluded {
            let keys: BTreeMap<&str, u64> =
                block.ids.iter().map(String::as_str).zip(block.first_row..).collect();
            for (answer, id) in answers.iter_mut().zip(queries.vectors.ids()) {
                answer.own = answer.own.or_else(|| keys.get(id.as_str()).copied());
            }
        }
    }
    Ok(answers)
}

/// What the graphs find of the exact answers, and how fast. Queries whose group has no graph do not
/// count.
pub fn approximate(
    parts: &[Part],
    queries: &Queries,
    exact: &[Answer],
) -> Result<Measured, IndexError> {
    let (mut recalls, mut micros, mut k) = (Vec::new(), Vec::new(), K);
    for (vector, answer) in queries.vectors.rows().zip(exact) {
        let Some(part) = answer.part else { continue };
        if answer.best.is_empty() {
            continue;
        }
        let wanted = answer.best.len() + usize::from(answer.own.is_some());
        let start = Instant::now();
        let found = parts[part].graph.search(vector, wanted, false)?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
        let found: Vec<u64> = found
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| Some(*key) != answer.own)
            .take(answer.best.len())
            .collect();
        let right = answer.best.iter().filter(|(key, _)| found.contains(key)).count();
        recalls.push(right as f64 / answer.best.len() as f64);
        k = k.min(answer.best.len());
    }
    micros.sort_by(f64::total_cmp);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let quantile = |share: f64| {
        let at = (micros.len() as f64 * share).ceil() as usize;
        micros.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
    };
    let mean_us = mean(&micros);
    Ok(Measured {
        queries: queries.name.clone(),
        num_queries: recalls.len(),
        k,
        recall: mean(&recalls),
        recall_min: recalls.iter().copied().fold(1.0, f64::min),
        p50_us: quantile(0.5),
        p95_us: quantile(0.95),
        mean_us,
        queries_per_s: if mean_us > 0.0 { 1e6 / mean_us } else { 0.0 },
    })
}
