//! The shards that are trained and evaluated on, and the order of the rows.

use super::{Findings, size};
use crate::evaluate::{self, EvalSet, Listing};
use crate::model_dir::ModelDir;
use crate::{preflight, start};
use anyhow::{Result, ensure};
use configs::RunConfig;
use data::{Cursor, Loader, Scan, ScanOptions, Shard, TrainSet};

/// Opens the shards as a run on `world` processes does, and looks at a sample of their rows. What
/// needs the model's tokenizer is left out without a `model`.
pub(super) fn check(cfg: &RunConfig, world: usize, model: Option<&ModelDir>, all: &mut Findings) {
    if let Some(set) = all.expect("data.train", TrainSet::open(&cfg.data, None)) {
        let sources: Vec<&str> = set.source_names().filter(|name| !name.is_empty()).collect();
        let of = match &sources[..] {
            [] => String::new(),
            names => format!(" of {} sources ({})", names.len(), names.join(", ")),
        };
        let (shards, rows, bytes) = (set.num_shards(), set.num_rows(), size(set.num_bytes()));
        all.ok("data.train", format!("{shards} shards{of}, {rows} rows, {bytes}"));
        if let Some(model) = model {
            let found = order(cfg, world, model, &set, all);
            all.expect("order", found);
        }
    }
    let Some(set) = EvalSet::of(cfg) else { return };
    let products = model.and_then(|model| all.expect("eval.items", items(&set, model)));
    if let Some((rows, products)) = &products {
        all.ok("eval.items", format!("{rows} rows, {} products", products.len()));
    }
    let products = products.map(|(_, products)| products);
    for task in &set.tasks {
        let found = evaluate::check_task(task, &set, products.as_ref());
        if let Some(Some(found)) = all.expect("eval.tasks", found) {
            all.ok("eval.tasks", found);
        }
    }
}

/// Starts a loader for the first process, and drops it.
fn order(
    cfg: &RunConfig,
    world: usize,
    model: &ModelDir,
    set: &TrainSet,
    all: &mut Findings,
) -> Result<()> {
    let (tokenizer, picture) = (model.tokenizer.clone(), &model.picture);
    let (size, start) = (cfg.batch.size, Cursor::default());
    let shard = Shard { rank: 0, world, local_world: world };
    let mut loader =
        Loader::over(set, &cfg.data, tokenizer, picture, size, cfg.seed, shard, start)?;
    loader.drain_warnings().into_iter().for_each(|line| all.warn("data.train", line));
    let epoch = loader.batches_per_epoch();
    drop(loader);
    let steps = start::num_steps(cfg, epoch)?;
    all.ok("order", format!("{epoch} batches an epoch, {steps} steps"));
    for line in preflight::data_warnings(cfg, set, model, steps, epoch) {
        all.warn("data.train", line);
    }
    Ok(())
}

/// Opens the products that are evaluated on, and reads their ids and labels; with the number of rows.
fn items(set: &EvalSet, model: &ModelDir) -> Result<(u64, Listing)> {
    let options = ScanOptions {
        workers: set.workers,
        max_bad_fraction: set.max_bad_fraction,
        labels: evaluate::label_columns(set),
        ..ScanOptions::default()
    };
    let tokenizer = model.tokenizer.clone();
    let rows =
        Scan::open(&set.items, &set.columns, tokenizer, &model.picture, &options)?.num_rows();
    let products = Listing::read(set, model)?;
    let (most, k) = (products.len(), set.k.iter().copied().max().unwrap_or(1));
    ensure!(
        most >= k,
        "eval.k: expected cut-offs of at most the number of products, which is at most {most}, \
         found {k}"
    );
    Ok((rows, products))
}
