//! Embeds products batch by batch: what `vlclip embed` writes and `vlclip search` asks with. Holds
//! one batch at a time.

use crate::encoder::Encoder;
use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::step::{pixels, token_ids, with_precision};
use anyhow::{Context, Result, bail, ensure};
use configs::{Columns, Precision, Sides, Workers};
use data::{Captions, EvalBatch, Picture, Scan, ScanOptions};
use tch::{Kind, Tensor};

/// What to embed: the first usable row of each product.
#[derive(Clone, Debug)]
pub struct EmbedSet {
    /// Parquet files, folders or globs.
    pub items: Vec<String>,
    /// Column names by role.
    pub columns: Columns,
    /// Picture, caption, or both.
    pub side: Sides,
    /// A column of strings, integers or booleans to give with each row.
    pub group: Option<String>,
    /// Of every so many products one is embedded: a sample, evenly spread.
    pub every: u64,
    /// Products embedded at once.
    pub batch: usize,
    /// Arithmetic of the towers.
    pub precision: Precision,
    /// Threads that decode and tokenise.
    pub workers: Workers,
    /// The share of rows that may be unusable, in [0, 1].
    pub max_bad_fraction: f64,
}

/// Embedded products, in the order of the set.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedBatch {
    /// Product ids; where there is none, the row's shard and number.
    pub ids: Vec<String>,
    /// The group of each, all `None` where no column was asked for.
    pub groups: Vec<Option<String>>,
    /// [products, D], each row of unit norm.
    pub vectors: Vec<f32>,
}

/// Embeds the products of `set` and hands them on batch by batch. Returns a few lines per cause on
/// rows that could not be used.
///
/// # Errors
/// When the shards cannot be read or hold no usable row, and what `each` returns.
pub fn embed(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EmbedSet,
    mut each: impl FnMut(EmbeddedBatch) -> Result<()>,
) -> Result<Vec<String>> {
    let options = ScanOptions {
        batch: set.batch,
        captions: if set.side.text > 0.0 { Captions::First } else { Captions::None },
        pictures: set.side.image > 0.0,
        distinct_products: true,
        labels: set.group.iter().cloned().collect(),
        workers: set.workers,
        max_bad_fraction: set.max_bad_fraction,
        ..ScanOptions::default()
    };
    let tokenizer = model_dir.tokenizer.clone();
    let mut scan = Scan::open(&set.items, &set.columns, tokenizer, &model_dir.picture, &options)?;
    let mut num_seen = 0;
    for batch in scan.by_ref() {
        let batch = batch?;
        let rows: Vec<usize> = (num_seen..)
            .take(batch.len())
            .enumerate()
            .filter(|(_, number)| number % set.every.max(1) == 0)
            .map(|(row, _)| row)
            .collect();
        num_seen += batch.len() as u64;
        if rows.is_empty() {
            continue;
        }
        let vectors = encode(model, set, &batch, &rows)?;
        let group = |row: usize| batch.labels.first().and_then(|labels| labels[row].clone());
        each(EmbeddedBatch {
            ids: rows.iter().map(|&row| batch.products[row].clone()).collect(),
            groups: rows.iter().map(|&row| group(row)).collect(),
            vectors,
        })?;
    }
    let warnings = scan.drain_warnings();
    ensure!(
        num_seen > 0,
        "no usable row in `{}`: {}",
        set.items.join("`, `"),
        warnings.first().map_or("the shards have no rows", String::as_str)
    );
    Ok(warnings)
}

/// The embeddings of some rows of a batch, [rows, D], in f32.
fn encode(model: &Clip, set: &EmbedSet, batch: &EvalBatch, rows: &[usize]) -> Result<Vec<f32>> {
    let device = model.device();
    let Sides { image, text } = set.side;
    // One caption of each row, so that captions are numbered as rows are.
    let ours = |x: Tensor| match rows.len() == batch.len() {
        true => x,
        false => {
            let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
            x.index_select(0, &Tensor::from_slice(&rows).to_device(device))
        }
    };
    let images_bhwc =
        (image > 0.0).then(|| ours(pixels(&batch.pixels, batch.len(), batch.size, device)));
    let ids_bt = (text > 0.0).then(|| ours(token_ids(&batch.token_ids, batch.length, device)));
    let unit_bd = tch::no_grad(|| {
        with_precision(set.precision, device, || {
            let image_bd = images_bhwc.map(|x| model.encode_image(&x, None).to_kind(Kind::Float));
            let text_bd = ids_bt.map(|x| model.encode_text(&x).to_kind(Kind::Float));
            match (image_bd, text_bd) {
                (Some(image_bd), Some(text_bd)) => {
                    let sum_bd = image_bd * image + text_bd * text;
                    let norm_b1 = sum_bd.square().sum_dim_intlist([-1i64].as_slice(), true, None);
                    Some(sum_bd / norm_b1.sqrt())
                }
                (Some(one), None) | (None, Some(one)) => Some(one),
                (None, None) => None,
            }
        })
    })?;
    let unit_bd = unit_bd.context("neither pictures nor captions have a weight")?;
    Ok(Vec::try_from(unit_bd.flatten(0, -1))?)
}

/// Embeds texts as captions are, [texts, D], in f32, `batch` at once.
///
/// # Errors
/// Names a text that says nothing or that the tokenizer cannot express.
pub fn embed_texts(
    model: &Clip,
    model_dir: &ModelDir,
    texts: &[String],
    batch: usize,
    precision: Precision,
) -> Result<Vec<f32>> {
    if let Some(empty) = texts.iter().position(|text| text.trim().is_empty()) {
        bail!("query {} is empty: expected a text such as \"red leather bag\"", empty + 1);
    }
    let encoder = Encoder { model, dir: model_dir, precision, batch: batch.max(1) };
    encoder.texts(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Embeds a picture as evaluation sees it, D values in f32.
///
/// # Errors
/// When the preprocessor or libtorch refuses it.
pub fn embed_picture(
    model: &Clip,
    model_dir: &ModelDir,
    picture: &Picture,
    precision: Precision,
) -> Result<Vec<f32>> {
    let encoder = Encoder { model, dir: model_dir, precision, batch: 1 };
    encoder.picture(picture)
}
