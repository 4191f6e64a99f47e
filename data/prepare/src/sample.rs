//! The synthetic catalogue of the quick start.
//!
//! Every product and its picture are a function of (seed, product number); workers draw products
//! in turn and one writer stores them in order, so the files are the same for any number of
//! threads. The folder appears at its place only when it is complete.

mod bpe;
mod canvas;
mod captions;
mod draw;
mod file;
mod folder;
mod lexicon;
mod product;
mod queries;
mod rng;
mod row;
mod scene;
mod surface;
mod tokenizer;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::{PrepareError, Split};
use configs::prepare::Splits;
use file::CatalogueFile;
use folder::Start;
use product::Catalogue;
use row::CatalogueRow;

/// Raised whenever the same specification would give other files than before.
const GENERATOR_VERSION: u32 = 3;
/// Products drawn at a time by one worker.
const CHUNK: u64 = 16;
/// The file of products.
const CATALOGUE: &str = "catalogue.parquet";
/// What customers look for, and the judgements of it.
const QUERIES: &str = "queries.tsv";
const QRELS: &str = "qrels.trec";

/// What determines a sample: equal specifications give byte-identical files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSpec {
    /// Number of products over all splits; at least 100. A larger catalogue begins with the
    /// smaller one and keeps every product in its split.
    pub products: u64,
    /// Chooses the catalogue.
    pub seed: u64,
}

impl Default for SampleSpec {
    fn default() -> Self {
        SampleSpec { products: 6000, seed: 0 }
    }
}

/// What a finished sample holds; stored in it as `sample.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSummary {
    /// Version of the generator that drew it.
    pub generator: u32,
    /// What it was drawn from.
    pub spec: SampleSpec,
    /// Number of token ids of `tokenizer.json`; the last two are the start and end tokens.
    pub vocab_size: usize,
    /// Size of the catalogue in bytes.
    pub bytes: u64,
    /// SHA-256 of the catalogue, in lower-case hexadecimal.
    pub sha256: String,
    /// Whether this call wrote it (false: it was there already, complete and the same).
    #[serde(skip)]
    pub written: bool,
}

/// Writes the sample to `out`: `catalogue.parquet`, `queries.tsv`, `qrels.trec`, `tokenizer.json`,
/// `README.md` and `sample.json`. `progress` is told (products done, products in all) now and then,
/// on the calling thread.
///
/// Does nothing when `out` holds the same sample already. An interrupted call leaves no `out`
/// behind; what it had written beside it is removed by the next call.
///
/// # Errors
/// When `out` holds anything else, another process is writing it, the specification makes no
/// sample, or the disk fails.
pub fn write_sample(
    out: &Path,
    spec: &SampleSpec,
    progress: impl FnMut(u64, u64),
) -> Result<SampleSummary, PrepareError> {
    let num_threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    write_with_threads(out, spec, num_threads, progress)
}

fn write_with_threads(
    out: &Path,
    spec: &SampleSpec,
    num_threads: usize,
    mut progress: impl FnMut(u64, u64),
) -> Result<SampleSummary, PrepareError> {
    if spec.products < 100 {
        return Err(PrepareError::Spec {
            field: "products",
            found: spec.products.to_string(),
            expected: "at least 100, so that every split has some",
        });
    }
    let partial = match folder::start(out, spec)? {
        Start::Complete(summary) => return Ok(summary),
        Start::Fresh(partial) => partial,
    };
    let mut store = Store::create(partial.path(), spec)?;
    draw_all(spec, num_threads, |row| store.push(row), &mut progress)?;
    queries::write(partial.path(), &Catalogue::new(spec.seed), spec.seed, spec.products)?;
    let summary = store.finish(partial.path(), spec)?;
    partial.publish(out, &summary)?;
    Ok(summary)
}

/// Draws every product on worker threads and hands the rows to `take` in order.
fn draw_all(
    spec: &SampleSpec,
    num_threads: usize,
    mut take: impl FnMut(CatalogueRow) -> Result<(), PrepareError>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), PrepareError> {
    let catalogue = &Catalogue::new(spec.seed);
    thread::scope(|scope| {
        // Worker w draws chunks w, w + n, w + 2n ...; at most two wait in its channel, which
        // bounds memory, and taking them in turn restores the order.
        let workers: Vec<Receiver<Result<Vec<CatalogueRow>, PrepareError>>> = (0..num_threads)
            .map(|worker| {
                let (to_writer, rows) = sync_channel(2);
                scope.spawn(move || {
                    let first = worker as u64 * CHUNK;
                    for start in (first..spec.products).step_by(num_threads * CHUNK as usize) {
                        let chunk = (start..spec.products.min(start + CHUNK))
                            .map(|number| row::draw(catalogue, spec.seed, number))
                            .collect();
                        if to_writer.send(chunk).is_err() {
                            return; // the writer has failed and gone
                        }
                    }
                });
                rows
            })
            .collect();
        let mut done = 0;
        for rows in workers.iter().cycle() {
            // A closed channel means that the turn has come to a chunk past the end.
            let Ok(chunk) = rows.recv() else { break };
            for row in chunk? {
                take(row)?;
                done += 1;
            }
            progress(done, spec.products);
        }
        Ok(())
    })
}

/// The catalogue being written, and the words of its texts.
struct Store {
    catalogue: CatalogueFile,
    words: tokenizer::WordCounter,
}

impl Store {
    fn create(folder: &Path, spec: &SampleSpec) -> Result<Store, PrepareError> {
        let metadata = vec![
            ("vlclip.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("vlclip.sample.generator".to_owned(), GENERATOR_VERSION.to_string()),
            ("vlclip.sample.products".to_owned(), spec.products.to_string()),
            ("vlclip.sample.seed".to_owned(), spec.seed.to_string()),
        ];
        let catalogue = CatalogueFile::create(&folder.join(CATALOGUE), metadata)?;
        Ok(Store { catalogue, words: tokenizer::WordCounter::new()? })
    }

    fn push(&mut self, row: CatalogueRow) -> Result<(), PrepareError> {
        // What is trained on by default.
        if Split::of(&row.product_id, &Splits::default()) == Split::Train {
            self.words.add(&row.title)?;
            for text in &row.variants {
                self.words.add(text)?;
            }
        }
        self.catalogue.push(row)
    }

    fn finish(self, folder: &Path, spec: &SampleSpec) -> Result<SampleSummary, PrepareError> {
        self.catalogue.finish()?;
        let path = folder.join(CATALOGUE);
        let bytes = std::fs::metadata(&path).map_err(PrepareError::io("look at", &path))?.len();
        let sha256 = crate::pipeline::sha256_of(&[path])?;
        let tokenizer = self.words.learn()?;
        tokenizer::save(&tokenizer, &folder.join("tokenizer.json"))?;
        Ok(SampleSummary {
            generator: GENERATOR_VERSION,
            spec: spec.clone(),
            vocab_size: tokenizer.get_vocab_size(true),
            bytes,
            sha256,
            written: true,
        })
    }
}

#[cfg(test)]
mod tests;
