//! Evaluation: every row once, in shard and row order, as evaluation sees it.

use crate::bad::{BadRow, Cause, Ledger};
use crate::batch::pad;
use crate::columns::Roles;
use crate::order::Segment;
use crate::pipeline::{Emitter, Pipeline, Plan};
use crate::reader::Reader;
use crate::row::{RawImage, RawRow};
use crate::sample::{Unusable, decode_row, unusable_picture, usable_row};
use crate::shards::{Memo, Shards};
use crate::source::Access;
use crate::text::CaptionPlan;
use crate::{Counts, DataError, Encoded, EvalBatch, Preprocessor, SampleId, Shard, Tokenizer};
use configs::{Columns, Workers};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Which of a row's captions to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Captions {
    /// One: of the first alternative of `data.columns.captions` that the row can fill, with the
    /// first text that is not empty of each of its columns.
    #[default]
    First,
    /// Every text that training may draw, each once, in the order of the alternatives and the
    /// lists; of a template, every combination of its columns' texts.
    All,
    /// None: pictures only. Rows, and shards, without captions are then usable.
    None,
}

/// How a scan reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanOptions {
    /// Rows of a batch; the last one may have fewer.
    pub batch: usize,
    /// Threads that decode and tokenise.
    pub workers: Workers,
    /// Batches decoded ahead.
    pub prefetch: usize,
    /// Which captions to give.
    pub captions: Captions,
    /// Whether to give pictures. Without, they are not read; rows, and shards, without pictures are
    /// then usable.
    pub pictures: bool,
    /// This process's part: of every `world` batches in a row, the one at `rank`. The others are
    /// neither decoded nor given.
    pub shard: Shard,
    /// Give only the first row of each product that has a picture (where pictures are given) and,
    /// unless [`Captions::None`], a caption; later rows of the product are not decoded.
    pub distinct_products: bool,
    /// Only these rows, counted over all shards; the others are not even read. Empty: all.
    pub rows: BTreeSet<u64>,
    /// Columns of strings, integers or booleans to give with each row, as text; `COLUMN.KEY` is one
    /// value of a column that maps names to values.
    pub labels: Vec<String>,
    /// The share of the rows that may be unusable, in [0, 1]. While reading, the scan stops when it
    /// is exceeded among all rows; at the end also when it is exceeded among those looked at,
    /// which are fewer with [`ScanOptions::distinct_products`].
    pub max_bad_fraction: f64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            batch: 64,
            workers: Workers::Auto,
            prefetch: 4,
            captions: Captions::First,
            pictures: true,
            shard: Shard::WHOLE,
            distinct_products: false,
            rows: BTreeSet::new(),
            labels: vec![],
            max_bad_fraction: 0.01,
        }
    }
}

/// One pass over an evaluation set. Unusable rows are left out, counted and named.
pub struct Scan {
    pipeline: Pipeline<Gathered>,
    num_rows: u64,
    ledger: Ledger,
    counts: Counts,
    next_number: u64,
    world: u64,
    done: bool,
}

struct Gathered {
    batch: EvalBatch,
    bad: Vec<BadRow>,
    truncated: u64,
}

/// A usable row.
struct Item {
    pixels: Vec<u8>,
    texts: Vec<Encoded>,
    captions: Vec<String>,
    labels: Vec<Option<String>>,
    id: SampleId,
    number: u64,
}

impl Scan {
    /// Opens shards for one pass.
    ///
    /// # Errors
    /// As [`crate::Loader::open`], where it applies.
    pub fn open(
        paths: &[String],
        columns: &Columns,
        tokenizer: Arc<Tokenizer>,
        picture: &Preprocessor,
        options: &ScanOptions,
    ) -> Result<Self, DataError> {
        if options.batch == 0 {
            return Err(DataError::Config {
                field: "batch",
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
        let cap = options.max_bad_fraction;
        let (access, memo) = (Access::default(), Memo::default());
        let mut roles = Roles { labels: options.labels.clone(), ..Roles::new(columns) };
        if !options.pictures {
            roles.image = None;
        }
        if options.captions == Captions::None {
            roles.captions = Arc::new(CaptionPlan::none());
        }
        let shards = Arc::new(Shards::open(paths, roles, access, &memo, cap)?);
        let num_rows = shards.num_rows;
        let mut ledger =
            Ledger::new(options.max_bad_fraction, num_rows / options.shard.world as u64)?;
        ledger.note(shards.left_out.iter().map(|error| format!("left out: {error}")));
        let (size, pad_id, picture) = (picture.size, tokenizer.pad_id(), picture.clone());
        let num_labels = options.labels.len();
        let (how, of_rows) = (options.clone(), options.clone());
        let pipeline = Pipeline::start(
            Plan {
                workers: options.workers,
                share: options.shard.local_world,
                ahead: options.prefetch,
            },
            move |out| read(&shards, &how, out),
            move |row: RawRow| {
                let number = row.number;
                let id = row.id.clone();
                Ok(evaluate(row, &tokenizer, &picture, &of_rows)
                    .map_err(|(cause, detail)| BadRow { cause, detail, id, row: number }))
            },
            move |rows| gather(rows, size, pad_id, num_labels),
        )?;
        Ok(Self {
            pipeline,
            num_rows,
            ledger,
            counts: Counts::default(),
            next_number: options.shard.rank as u64,
            world: options.shard.world as u64,
            done: false,
        })
    }

    /// Rows of all shards.
    pub fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// What was handed out so far.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Warnings about skipped rows since the last call, few per cause.
    pub fn drain_warnings(&mut self) -> Vec<String> {
        self.ledger.drain_warnings()
    }

    fn advance(&mut self) -> Option<Result<EvalBatch, DataError>> {
        loop {
            let Gathered { mut batch, bad, truncated } = match self.pipeline.next() {
                Some(Ok(gathered)) => gathered,
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let looked_at = self.counts.rows + self.counts.bad.values().sum::<u64>();
                    return self.ledger.check(looked_at).err().map(Err);
                }
            };
            batch.number = self.next_number;
            self.next_number += self.world;
            for row in &bad {
                if let Err(error) = self.ledger.add(row, &mut self.counts) {
                    return Some(Err(error));
                }
            }
            self.counts.rows += batch.len() as u64;
            self.counts.truncated += truncated;
            if !batch.is_empty() {
                return Some(Ok(batch));
            }
        }
    }
}

impl Iterator for Scan {
    type Item = Result<EvalBatch, DataError>;

    /// The next batch; after an error, nothing.
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads all rows in order and sends this process's groups of them.
fn read(
    shards: &Arc<Shards>,
    options: &ScanOptions,
    out: &mut Emitter<RawRow>,
) -> Result<(), DataError> {
    let ScanOptions { batch, distinct_products: distinct, shard, rows: ref only, .. } = *options;
    let mut number = 0;
    let mut send = |rows: Vec<RawRow>| {
        let ours = number % shard.world == shard.rank;
        number += 1;
        if !ours {
            return true;
        }
        let wanted = out.wait();
        if wanted {
            out.send(rows);
        }
        wanted
    };
    // One reader goes through everything: it may keep any row group open.
    let mut reader = Reader::new(shards.clone(), u64::MAX);
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(batch);
    for (group, of) in shards.groups.iter().enumerate() {
        let start = shards.files[of.shard].first_row + of.first_row;
        let mut first = 0;
        while first < of.rows {
            let mut segment = Segment { group, first, rows: (batch as u64).min(of.rows - first) };
            if !only.is_empty() {
                let Some(next) = only.range(start + first..start + of.rows).next() else { break };
                segment = Segment { group, first: next - start, rows: 1 };
            }
            reader.read(segment, |row| {
                if !distinct || is_new(&row, options, &mut seen) {
                    rows.push(row);
                }
            })?;
            first = segment.first + segment.rows;
            while rows.len() >= batch {
                let rest = rows.split_off(batch);
                if !send(std::mem::replace(&mut rows, rest)) {
                    return Ok(());
                }
            }
        }
    }
    if !rows.is_empty() {
        send(rows);
    }
    Ok(())
}

/// Whether this is the first row of its product that could be used. A row without a product id is
/// its own product; an unusable row goes on, to be counted, but does not stand for its product.
fn is_new(row: &RawRow, options: &ScanOptions, seen: &mut HashSet<Arc<str>>) -> bool {
    let Some(product) = &row.id.product else { return true };
    if seen.contains(product) {
        return false;
    }
    let captioned = options.captions == Captions::None || row.captions.any();
    let pictured = !options.pictures || row.image != RawImage::None;
    if captioned && pictured {
        seen.insert(product.clone());
    }
    true
}

fn evaluate(
    row: RawRow,
    tokenizer: &Tokenizer,
    picture: &Preprocessor,
    options: &ScanOptions,
) -> Result<Item, Unusable> {
    usable_row(&row)?;
    let captions = match options.captions {
        Captions::None => vec![],
        Captions::First => row.captions.first().into_iter().collect(),
        Captions::All => row.captions.all(),
    };
    if captions.is_empty() && options.captions != Captions::None {
        return Err((Cause::NoCaption, row.captions.missing()));
    }
    let texts = captions.iter().map(|text| tokenizer.encode(text)).collect::<Result<_, _>>();
    let texts = texts.map_err(|error| (Cause::NoCaption, error.to_string()))?;
    let pixels = match options.pictures {
        true => picture.evaluate(&decode_row(&row)?).map_err(unusable_picture)?,
        false => vec![],
    };
    Ok(Item { pixels, texts, captions, labels: row.labels, id: row.id, number: row.number })
}

fn gather(
    rows: Vec<Result<Item, BadRow>>,
    size: usize,
    pad_id: i64,
    num_labels: usize,
) -> Gathered {
    let mut bad = Vec::new();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(item) => items.push(item),
            Err(row) => bad.push(row),
        }
    }
    let texts = items.iter().flat_map(|item| &item.texts);
    let truncated = texts.clone().filter(|text| text.truncated).count() as u64;
    let (token_ids, length) = pad(texts.map(|text| text.ids.as_slice()), pad_id);
    let mut batch = EvalBatch {
        pixels: Vec::with_capacity(items.len() * size * size * 3),
        size,
        token_ids,
        length,
        caption_rows: Vec::new(),
        captions: Vec::new(),
        products: Vec::new(),
        labels: vec![Vec::with_capacity(items.len()); num_labels],
        samples: Vec::new(),
        rows: Vec::new(),
        number: 0,
    };
    for (index, item) in items.into_iter().enumerate() {
        batch.pixels.extend_from_slice(&item.pixels);
        batch.caption_rows.extend(item.captions.iter().map(|_| index));
        batch.captions.push(item.captions);
        for (column, label) in batch.labels.iter_mut().zip(item.labels) {
            column.push(label);
        }
        batch.products.push(match &item.id.product {
            Some(product) => product.to_string(),
            None => format!("{}:{}", item.id.shard.display(), item.id.row),
        });
        batch.samples.push(item.id);
        batch.rows.push(item.number);
    }
    Gathered { batch, bad, truncated }
}
