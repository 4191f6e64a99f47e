//! Retrieval over held-out products: embeds them with the model and hands the matrices to `eval`.

use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::step::{pixels, token_ids, with_precision};
use anyhow::{Context, Result, ensure};
use configs::{Columns, Precision, RunConfig, Workers};
use data::{Captions, Scan, ScanOptions};
use eval::{Embeddings, Qrels, Ranking, Report, SearchOptions, Subject};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

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

/// One picture and one caption of every product, embedded.
#[derive(Debug)]
struct Items {
    /// Pictures by product id.
    image: Embeddings,
    /// First captions by product id.
    text: Embeddings,
    /// Rows that could not be used, a few lines per cause.
    warnings: Vec<String>,
}

/// Text->image and image->text retrieval over all distinct products of `set`.
///
/// # Errors
/// When the shards cannot be read, hold no product, or a cut-off exceeds the number of products.
pub fn evaluate(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EvalSet,
    subject: Subject,
    progress: impl FnMut(usize),
) -> Result<Evaluation> {
    let items = embed(model, model_dir, set, progress)?;
    let qrels = Qrels::new(items.image.ids().iter().map(|id| (id.as_str(), id.as_str(), 1)))?;
    let max_k = set.k.iter().copied().max().unwrap_or(1);
    let pool = items.image.len();
    let depth = set.run_depth.map(|depth| depth.max(max_k).min(pool));
    let options = SearchOptions::new(depth.unwrap_or_else(|| eval::run_depth(pool, pool, max_k)));
    let mut tasks = BTreeMap::new();
    let mut rankings = BTreeMap::new();
    for (name, queries, pool) in
        [("text_to_image", &items.text, &items.image), ("image_to_text", &items.image, &items.text)]
    {
        let ranking = eval::search(queries, pool, &qrels, &options)?;
        tasks.insert(name.to_owned(), eval::evaluate(&ranking, &set.k)?);
        rankings.insert(name.to_owned(), ranking);
    }
    Ok(Evaluation { report: Report::new(subject, tasks)?, rankings, warnings: items.warnings })
}

/// Embeds the first row of every product: its picture and its first caption.
///
/// # Errors
/// When the shards cannot be read or hold no usable row.
fn embed(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EvalSet,
    mut progress: impl FnMut(usize),
) -> Result<Items> {
    let options = ScanOptions {
        batch: set.batch,
        captions: Captions::First,
        distinct_products: true,
        workers: set.workers,
        max_bad_fraction: set.max_bad_fraction,
        ..ScanOptions::default()
    };
    let tokenizer = model_dir.tokenizer.clone();
    let mut scan = Scan::open(&set.items, &set.columns, tokenizer, &model_dir.picture, &options)?;
    let device = model.device();
    let (mut ids, mut image, mut text) = (Vec::new(), Vec::new(), Vec::new());
    for batch in scan.by_ref() {
        let batch = batch?;
        let pixels_bhwc = pixels(&batch.pixels, batch.len(), batch.size, device);
        let ids_bt = token_ids(&batch.token_ids, batch.length, device);
        let (image_bd, text_bd) = tch::no_grad(|| {
            with_precision(set.precision, device, || {
                (model.encode_image(&pixels_bhwc, None), model.encode_text(&ids_bt))
            })
        })?;
        append(&mut image, &image_bd)?;
        append(&mut text, &text_bd)?;
        ids.extend(batch.products);
        progress(ids.len());
    }
    let warnings = scan.drain_warnings();
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
    Ok(Items { image: named(image)?, text: named(text)?, warnings })
}

fn append(values: &mut Vec<f32>, rows_bd: &Tensor) -> Result<()> {
    values.extend(Vec::<f32>::try_from(rows_bd.to_kind(Kind::Float).flatten(0, -1))?);
    Ok(())
}
