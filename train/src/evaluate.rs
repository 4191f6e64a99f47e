//! Retrieval over held-out products: embeds them with the model and hands the matrices to `eval`.

use crate::dist::Group;
use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::step::{pixels, token_ids, with_precision};
use anyhow::{Context, Result, ensure};
use configs::{Columns, Precision, RunConfig, Workers};
use data::{Captions, Scan, ScanOptions, Shard};
use eval::{Embeddings, EvaluateOptions, Qrels, Ranking, Report, SearchOptions, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Kind;

/// What to evaluate on.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// Parquet files, folders or globs.
    pub items: Vec<String>,
    /// Column names by role.
    pub columns: Columns,
    /// Cut-offs of the metrics.
    pub k: Vec<usize>,
    /// Pairs embedded at once.
    pub batch: usize,
    /// Arithmetic of the towers.
    pub precision: Precision,
    /// Threads that decode and tokenise.
    pub workers: Workers,
    /// The share of rows that may be unusable, in [0, 1].
    pub max_bad_fraction: f64,
    /// Items listed per query in `run.trec`; left out: all of them in a pool of moderate size.
    /// Every metric but MRR follows from a list that reaches the greatest k.
    pub run_depth: Option<usize>,
}

/// Items listed per query in the reports of a run, which may be many.
const TRAINING_RUN_DEPTH: usize = 100;

impl EvalSet {
    /// What a run's `eval` section asks for.
    pub fn of(cfg: &RunConfig) -> Option<Self> {
        cfg.eval.as_ref().map(|eval| Self {
            items: eval.items.clone(),
            columns: Columns { weight: None, ..cfg.data.columns.clone() },
            workers: cfg.data.workers,
            max_bad_fraction: cfg.data.max_bad_fraction,
            k: eval.k.clone(),
            batch: eval.batch,
            precision: cfg.precision,
            run_depth: Some(TRAINING_RUN_DEPTH),
        })
    }
}

/// A report and the rankings that it was computed from.
#[derive(Debug)]
pub struct Evaluation {
    /// The report.
    pub report: Report,
    /// The ranking of each task.
    pub rankings: BTreeMap<String, Ranking>,
    /// Rows that could not be used, a few lines per cause.
    pub warnings: Vec<String>,
}

/// What one rank embedded of the set: whole batches of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    /// Number in the set and products of each batch.
    batches: Vec<(u64, Vec<String>)>,
    /// Rows that could not be used, a few lines per cause.
    warnings: Vec<String>,
    /// Pictures [rows, D], then captions [rows, D].
    #[serde(skip)]
    vectors: [Vec<f32>; 2],
}

/// Text->image and image->text retrieval over all distinct products of `set`, which the ranks embed
/// together. `None` on all ranks but the first.
///
/// # Errors
/// When the shards cannot be read, hold no product, or a cut-off exceeds the number of products.
pub fn evaluate(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EvalSet,
    subject: Subject,
    group: &Group,
    progress: impl FnMut(usize),
) -> Result<Option<Evaluation>> {
    let part = embed(model, model_dir, set, group.shard(), progress)?;
    let headers = group.gather_bytes(serde_json::to_vec(&part)?)?;
    let mut sides = Vec::new();
    for vectors in &part.vectors {
        let bytes = vectors.iter().flat_map(|x| x.to_le_bytes()).collect();
        sides.push(group.gather_bytes(bytes)?);
    }
    if !group.leads() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (rank, header) in headers.iter().enumerate() {
        let vectors = [&sides[0][rank], &sides[1][rank]].map(|bytes| {
            let (floats, _) = bytes.as_chunks::<4>();
            floats.iter().map(|x| f32::from_le_bytes(*x)).collect()
        });
        parts.push(Part { vectors, ..serde_json::from_slice(header)? });
    }
    let (ids, [image, text], warnings) =
        assemble(parts, usize::try_from(model.spec.projection_dim)?);
    ensure!(
        !ids.is_empty(),
        "no usable row in `{}`: {}",
        set.items.join("`, `"),
        warnings.first().map_or("the shards have no rows", String::as_str)
    );
    let width = usize::try_from(model.spec.projection_dim)?;
    let named = |values| {
        Embeddings::normalised(ids.clone(), width, values).context("the model's embeddings")
    };
    let (image, text) = (named(image)?, named(text)?);
    let qrels = Qrels::new(ids.iter().map(|id| (id.as_str(), id.as_str(), 1)))?;
    let max_k = set.k.iter().copied().max().unwrap_or(1);
    let pool = image.len();
    let depth = set.run_depth.map(|depth| depth.max(max_k).min(pool));
    let options = SearchOptions::new(depth.unwrap_or_else(|| eval::run_depth(pool, pool, max_k)));
    let measured = EvaluateOptions::new(&set.k);
    let mut tasks = BTreeMap::new();
    let mut rankings = BTreeMap::new();
    for (name, queries, pool) in
        [("text_to_image", &text, &image), ("image_to_text", &image, &text)]
    {
        let ranking = eval::search(queries, pool, &qrels, &options)?;
        tasks.insert(name.to_owned(), eval::evaluate(&ranking, &measured)?);
        rankings.insert(name.to_owned(), ranking);
    }
    Ok(Some(Evaluation {
        report: Report::new(subject, &measured.bootstrap, tasks)?,
        rankings,
        warnings,
    }))
}

/// Puts the batches of all ranks into the order of the set: product ids, vectors, warnings.
fn assemble(parts: Vec<Part>, width: usize) -> (Vec<String>, [Vec<f32>; 2], Vec<String>) {
    let mut batches = Vec::new();
    for part in &parts {
        let mut row = 0;
        for (number, ids) in &part.batches {
            batches.push((*number, ids, row, part));
            row += ids.len();
        }
    }
    batches.sort_by_key(|(number, ..)| *number);
    let mut ids = Vec::new();
    let mut sides = [Vec::new(), Vec::new()];
    for (_, of_batch, row, part) in batches {
        for (side, vectors) in sides.iter_mut().zip(&part.vectors) {
            side.extend_from_slice(&vectors[row * width..(row + of_batch.len()) * width]);
        }
        ids.extend(of_batch.iter().cloned());
    }
    (ids, sides, parts.into_iter().flat_map(|part| part.warnings).collect())
}

/// Embeds this rank's share of the products: the picture and first caption of each one's first row.
///
/// # Errors
/// When the shards cannot be read.
fn embed(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EvalSet,
    shard: Shard,
    mut progress: impl FnMut(usize),
) -> Result<Part> {
    let options = ScanOptions {
        batch: set.batch,
        shard,
        captions: Captions::First,
        distinct_products: true,
        workers: set.workers,
        max_bad_fraction: set.max_bad_fraction,
        ..ScanOptions::default()
    };
    let tokenizer = model_dir.tokenizer.clone();
    let mut scan = Scan::open(&set.items, &set.columns, tokenizer, &model_dir.picture, &options)?;
    let device = model.device();
    let mut part = Part::default();
    let mut done = 0;
    for batch in scan.by_ref() {
        let batch = batch?;
        let pixels_bhwc = pixels(&batch.pixels, batch.len(), batch.size, device);
        let ids_bt = token_ids(&batch.token_ids, batch.length, device);
        let sides_bd = tch::no_grad(|| {
            with_precision(set.precision, device, || {
                [model.encode_image(&pixels_bhwc, None), model.encode_text(&ids_bt)]
            })
        })?;
        for (vectors, side_bd) in part.vectors.iter_mut().zip(sides_bd) {
            let flat = side_bd.to_kind(Kind::Float).flatten(0, -1);
            vectors.extend(Vec::<f32>::try_from(flat)?);
        }
        done += batch.len();
        part.batches.push((batch.number, batch.products));
        progress(done);
    }
    part.warnings = scan.drain_warnings();
    Ok(part)
}
