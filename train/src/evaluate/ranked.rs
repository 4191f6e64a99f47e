//! A task's exact search, shared out: every rank scores all queries against the items that it
//! embedded, and the first rank merges what they found. The ranking does not depend on how many they
//! are.

use super::Gathered;
use super::part::Part;
use super::posed::{Pool, Posed};
use super::products::{Products, Starts};
use crate::dist::Group;
use crate::encoder::Encoder;
use crate::gpu_scores::GpuScores;
use anyhow::{Context, Result};
use configs::CaptionsUsed;
use eval::{
    Embeddings, ItemShare, Items, Partial, Pools, Qrels, Ranking, RelevantScores, Search,
    SearchOptions, SelfMatch,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// What the first rank knows of a search that the others take part in, but for the queries' rows.
#[derive(Serialize, Deserialize)]
struct Plan {
    query_ids: Vec<String>,
    item_ids: Vec<String>,
    judgements: Vec<(String, String, i32)>,
    self_match: SelfMatch,
    within: Option<[Vec<String>; 2]>,
    depth: usize,
    pool: Gathered,
    starts: Starts,
}

/// What the first rank has of a task.
pub struct Lead<'a> {
    /// The task.
    pub posed: &'a Posed,
    /// All products.
    pub products: &'a Products,
    /// Where batches begin.
    pub starts: &'a Starts,
    /// Items to keep per query.
    pub depth: usize,
}

impl Lead<'_> {
    /// The rows of the pool.
    pub fn items(&self) -> Result<Cow<'_, Embeddings>> {
        Ok(match &self.posed.pool {
            Pool::Given(items) => Cow::Borrowed(items),
            Pool::Gathered(Gathered::Products(sides)) => {
                Cow::Owned(self.products.embeddings(*sides)?)
            }
            Pool::Gathered(Gathered::Captions) => {
                Cow::Owned(self.products.captions(CaptionsUsed::All)?.0)
            }
        })
    }

    fn plan(&self) -> Result<Option<Plan>> {
        let Posed { queries, qrels, self_match, within, pool, .. } = self.posed;
        let Pool::Gathered(pool) = pool else { return Ok(None) };
        let judgements = qrels.queries().flat_map(|query| {
            let items = qrels.of(query).into_iter().flatten();
            items.map(move |(item, grade)| (query.to_owned(), item.to_owned(), grade))
        });
        Ok(Some(Plan {
            query_ids: queries.ids().to_vec(),
            item_ids: self.items()?.ids().to_vec(),
            judgements: judgements.collect(),
            self_match: *self_match,
            within: within.clone(),
            depth: self.depth,
            pool: *pool,
            starts: self.starts.clone(),
        }))
    }

    /// The whole search by one process.
    fn alone(&self, device: Device) -> Result<Ranking> {
        let Posed { queries, qrels, self_match, within, .. } = self.posed;
        let (pools, items) = (pools(within.as_ref()), self.items()?);
        let options = options(self.depth, *self_match, pools.as_ref());
        let search = Search::new(queries, items.ids().into(), qrels, &options)?;
        let scores = search.score_relevant(&*items)?;
        let found = scan(&search, &*items, &scores, device)?;
        Ok(search.finish(found)?)
    }
}

/// The second phase of a search, with the scores of a GPU where the model is on one.
fn scan(
    search: &Search,
    items: &impl Items,
    scores: &RelevantScores,
    device: Device,
) -> Result<Partial> {
    Ok(match device.is_cuda() {
        true => search.scan_on(&mut GpuScores::new(device), items, scores)?,
        false => search.scan(items, scores)?,
    })
}

fn pools(within: Option<&[Vec<String>; 2]>) -> Option<Pools> {
    within.map(|[queries, items]| Pools::new(queries, items))
}

fn options(depth: usize, self_match: SelfMatch, pools: Option<&Pools>) -> SearchOptions<'_> {
    SearchOptions { self_match, within: pools, ..SearchOptions::new(depth) }
}

/// Ranks the pool for every query. `lead` is what the first rank has; the ranking is its alone. A
/// collective: every rank must call it, with its own `part`, which `encoder` embedded.
///
/// # Errors
/// As [`eval::search`], or when another rank cannot go on.
pub fn ranked(
    group: &Group,
    lead: Option<&Lead>,
    part: &Part,
    encoder: &Encoder,
) -> Result<Option<Ranking>> {
    let (width, device) = (encoder.width()?, encoder.model.device());
    let alone = |lead: &Lead| lead.alone(device);
    if group.shard().world == 1 {
        return lead.map(alone).transpose();
    }
    let plan = group.led(|| lead.context("the first rank leads")?.plan())?;
    let Some(plan) = plan else { return lead.map(alone).transpose() };

    let rows = match lead {
        Some(lead) => {
            let rows: Vec<f32> = lead.posed.queries.rows().flatten().copied().collect();
            Tensor::from_slice(&rows)
        }
        None => {
            let count = i64::try_from(plan.query_ids.len() * width)?;
            Tensor::zeros([count], (Kind::Float, Device::Cpu))
        }
    };
    group.follow_leader([&rows])?;
    let queries = Embeddings::new(plan.query_ids, width, Vec::<f32>::try_from(&rows)?)?;
    drop(rows);
    let qrels = Qrels::new(plan.judgements)?;
    let pools = pools(plan.within.as_ref());
    let options = options(plan.depth, plan.self_match, pools.as_ref());
    let item_ids: Arc<[String]> = plan.item_ids.into();
    let search = Search::new(&queries, item_ids, &qrels, &options)?;
    let share = ItemShare::new(width, part.share(plan.pool, width, &plan.starts));

    let mine = search.score_relevant(&share)?;
    let found = group.gather_bytes(mine.to_bytes())?;
    let merged = group.led(|| {
        let mut all = mine.clone();
        for bytes in found.iter().skip(1) {
            all.merge(&RelevantScores::from_bytes(bytes)?)?;
        }
        Ok(all.to_bytes())
    })?;
    let scores = RelevantScores::from_bytes(&merged)?;

    let mine = scan(&search, &share, &scores, device)?;
    let found = group.gather_bytes(mine.to_bytes())?;
    if !group.leads() {
        return Ok(None);
    }
    let mut all = mine;
    for bytes in found.iter().skip(1) {
        all.merge(Partial::from_bytes(bytes)?)?;
    }
    Ok(Some(search.finish(all)?))
}
