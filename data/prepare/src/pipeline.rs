//! From a catalogue to training shards.
//!
//! ```text
//! catalogue ──blocks──► fetch ► ground ► crop ► refine ──in order──► journal ──► groups, splits ──► shards
//!  a thread              a few blocks at a time                     on disk      at the end
//! ```
//! Blocks are cut at fixed places of the catalogue and written to the journal in its order, so that
//! what an interrupted run has done is a number of whole blocks, and the run that goes on gives the
//! bytes that an uninterrupted one gives.

mod assemble;
mod crop;
mod entry;
mod identity;
mod index;
mod journal;
mod output;
mod progress;
mod rejects;
mod shards;
mod sheet;
mod stages;
mod summary;
mod work;

pub use index::{Index, Tally};
pub use progress::Progress;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use configs::prepare::{GroundingKind, PrepareConfig};
use futures_util::StreamExt;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::catalogue::{Catalogue, Position, Product};
use crate::grounding::Detector;
use crate::refine::{Agent, CaptionLimit, Spent};
use crate::{Fetcher, PrepareError, Reject};
use assemble::Listing;
use entry::RejectMeta;
use identity::Identity;
use journal::{Found, Journal};
use sheet::Chosen;
use stages::{Done, Stages};
use work::Work;

/// Products of a block; with a detector as many as four of its batches.
const BLOCK: usize = 64;
const DETECTED_BATCHES: usize = 4;
/// A share of rejected products is judged as if at least so many were done.
const AT_LEAST: u64 = 100;
/// Rejected products that an error names.
const MAX_EXAMPLES: usize = 5;

/// What a run is given beside its configuration.
pub struct Inputs {
    /// Finds products in pictures; needed by `grounding.kind: grounding_dino`.
    pub detector: Option<Box<dyn Detector>>,
    /// Of the detector's configuration and weights.
    pub detector_sha256: Option<String>,
    /// What captions of the agent are held to; needed by `refine.kind: llm`.
    pub caption_limit: Option<CaptionLimit>,
    /// Of the tokenizer that captions are measured with.
    pub tokenizer_sha256: Option<String>,
    /// Reads the environment: `|name| std::env::var(name).ok()`.
    pub variable: fn(&str) -> Option<String>,
    /// The configuration as it was resolved, kept beside the shards.
    pub config_yaml: String,
}

impl Inputs {
    /// Those of a run with neither detector nor agent.
    pub fn offline(config_yaml: String) -> Self {
        Self {
            detector: None,
            detector_sha256: None,
            caption_limit: None,
            tokenizer_sha256: None,
            variable: |_| None,
            config_yaml,
        }
    }
}

/// How a run ended.
pub struct Outcome {
    /// What the shards hold.
    pub index: Index,
    /// Whether this call wrote them (false: they were there already, complete and the same).
    pub written: bool,
    /// What this call spent.
    pub spent: Spent,
    /// Answers of the agent that are damaged on disk, so that they were asked for again.
    pub damaged_answers: u64,
}

/// Prepares shards as `cfg` says; what an interrupted call has done is not done again. `stop` ends it
/// early, with its work kept.
///
/// # Errors
/// Input, output, detector, agent or disk that cannot be used; more rejects or failures than allowed;
/// [`PrepareError::Interrupted`] after `stop`.
pub fn prepare(
    cfg: &PrepareConfig,
    inputs: Inputs,
    progress: &Arc<Progress>,
    stop: &AtomicBool,
) -> Result<Outcome, PrepareError> {
    let catalogue = Catalogue::open(&cfg.catalogue, &cfg.grounding)?;
    output::check(&cfg.output)?;
    let no_limit = || CaptionLimit { max_tokens: usize::MAX, count: Arc::new(|_| 0) };
    let limit = inputs.caption_limit.unwrap_or_else(no_limit);
    let prompts = Agent::prompts_of(&cfg.refine)?;
    let identity = Identity::new(
        cfg,
        catalogue.stamps(),
        prompts.clone(),
        inputs.tokenizer_sha256,
        inputs.detector_sha256,
    )?;
    if let Some(index) = output::existing(&cfg.output, &identity)? {
        let (spent, damaged_answers) = (Spent::default(), 0);
        return Ok(Outcome { index, written: false, spent, damaged_answers });
    }
    let work = Work::open(&cfg.output, &identity)?;
    let agent = Agent::open(&cfg.refine, &work.path(work::ANSWERS), limit, &inputs.variable)?;
    let fetcher = Fetcher::new(&cfg.catalogue.fetch, Some(&work.path("fetched")))?;
    let stages = Arc::new(Stages::new(cfg, fetcher, inputs.detector, agent, progress.clone()));
    let rows = Run { cfg, catalogue, stages: stages.clone(), progress, stop };
    let gathered = rows.gather(&work)?;
    stages.agent.finish()?;

    let identity_sha256 = hex(&Sha256::digest(work::to_json(&identity)?));
    let mut metadata = vec![
        ("vlclip.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("vlclip.prepare.identity_sha256".to_owned(), identity_sha256.clone()),
    ];
    metadata.extend(prompts.map(|sha256| ("vlclip.prepare.prompts_sha256".to_owned(), sha256)));
    let staging = output::staging(&cfg.output, &work)?;
    let plan = gathered.listing.plan(cfg);
    let journal = work.path(JOURNAL);
    let options = shards::options(cfg, metadata);
    let splits = shards::write(&plan, &journal, &work, &staging, &options, progress)?;
    let mut counts = gathered.counts;
    (counts.groups, counts.grouped) = (plan.groups, plan.grouped);
    gathered.rejects.finish()?;
    sheet::write(&gathered.chosen, &journal, &staging.join("contact-sheet.png"))?;
    let index = Index::new(identity, identity_sha256, counts, splits);
    output::publish(&cfg.output, &staging, &index, &inputs.config_yaml)?;
    let (spent, damaged_answers) = (stages.agent.spent(), stages.agent.damaged_answers());
    drop(stages); // it has the answers open
    work.clear()?;
    Ok(Outcome { index, written: true, spent, damaged_answers })
}

const JOURNAL: &str = "rows.journal";

/// What a catalogue came to.
struct Gathered {
    listing: Listing,
    counts: Tally,
    rejects: rejects::Rejects,
    chosen: Chosen,
    examples: Vec<String>,
}

impl Gathered {
    fn reject(&mut self, meta: RejectMeta) -> Result<(), PrepareError> {
        self.counts.reject(&meta);
        if self.examples.len() < MAX_EXAMPLES {
            let line = meta.line.map_or(format!("row {}", meta.row), |line| format!("line {line}"));
            self.examples.push(format!("`{}` {line}: {}: {}", meta.file, meta.cause, meta.detail));
        }
        self.rejects.push(meta)
    }

    /// An error where too many were rejected, of at least `at_least`.
    fn judge(&self, at_least: u64, most: f64) -> Result<(), PrepareError> {
        let (rejected, products) = (self.counts.num_rejected(), self.counts.products);
        if rejected as f64 <= most * products.max(at_least) as f64 {
            return Ok(());
        }
        let examples = self.examples.join("\n  ");
        Err(PrepareError::Rejects { rejected, products, most, examples })
    }
}

/// A block of the catalogue, and where it goes on.
type Block = (Vec<Result<Product, Reject>>, Position, f64);

/// The first half of a run: every product into the journal.
struct Run<'a> {
    cfg: &'a PrepareConfig,
    catalogue: Catalogue,
    stages: Arc<Stages>,
    progress: &'a Arc<Progress>,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    fn gather(self, work: &Work) -> Result<Gathered, PrepareError> {
        let staging = output::staging(&self.cfg.output, work)?;
        let mut gathered = Gathered {
            listing: Listing::default(),
            counts: Tally::default(),
            rejects: rejects::Rejects::create(&staging.join("rejects.parquet"))?,
            chosen: Chosen::default(),
            examples: Vec::new(),
        };
        let mut known = Vec::new();
        let journal_path = work.path(JOURNAL);
        let Found { mut journal, next } = Journal::open(
            &journal_path,
            |meta, place| {
                gathered.counts.row(&meta);
                gathered.chosen.add(&meta, place);
                gathered.listing.add(&meta, place);
            },
            |meta| known.push(meta),
        )?;
        known.into_iter().try_for_each(|meta| gathered.reject(meta))?;
        self.stages.sampler.seed(&gathered.chosen);
        self.progress.done.store(gathered.counts.products, Ordering::Relaxed);
        self.progress.rejected.store(gathered.counts.num_rejected(), Ordering::Relaxed);

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| PrepareError::Internal(format!("cannot start threads: {error}")))?;
        let outcome = runtime.block_on(self.pump(next, &mut journal, &mut gathered));
        let synced = journal.sync();
        // Answers that are under way were paid.
        let drained = async {
            let _ = tokio::time::timeout(DRAIN, self.stages.agent.drain()).await;
        };
        runtime.block_on(drained);
        runtime.shutdown_timeout(Duration::from_secs(5));
        outcome?;
        synced?;
        gathered.judge(1, self.cfg.output.max_reject_fraction)?;
        if gathered.listing.len() == 0 {
            return Err(PrepareError::NoProducts { products: gathered.counts.products });
        }
        Ok(gathered)
    }

    /// Moves blocks from the catalogue through the stages into the journal.
    async fn pump(
        &self,
        from: Position,
        journal: &mut Journal,
        gathered: &mut Gathered,
    ) -> Result<(), PrepareError> {
        let block_rows = match self.cfg.grounding.kind {
            GroundingKind::GroundingDino => self.cfg.grounding.batch * DETECTED_BATCHES,
            GroundingKind::None | GroundingKind::Given => BLOCK,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let blocks = read_ahead(self.catalogue.clone(), from, block_rows);
        let blocks = stream::unfold(blocks, |mut blocks| async {
            let block = blocks.recv().await?;
            Some((block, blocks))
        });
        let done = blocks.map(|block: Result<Block, PrepareError>| {
            let stages = self.stages.clone();
            async move {
                let (block, next, read) = block?;
                let task = tokio::spawn(stages.run(block));
                let entries =
                    task.await.map_err(|error| PrepareError::Internal(error.to_string()))?;
                Ok::<_, PrepareError>((entries?, next, read))
            }
        });
        let mut done = std::pin::pin!(done.buffered(cores + 1));
        loop {
            let next = tokio::select! {
                next = done.next() => next,
                () = stopped(self.stop) => return Err(self.interrupted(gathered)),
            };
            let Some(block) = next else { return Ok(()) };
            let (entries, next, read) = block?;
            for entry in entries {
                match entry {
                    Done::Row { meta, crop, raw } => {
                        let place = journal.row(&meta, &crop, &raw)?;
                        gathered.counts.row(&meta);
                        gathered.chosen.add(&meta, place);
                        gathered.listing.add(&meta, place);
                    }
                    Done::Reject(meta) => {
                        journal.reject(&meta)?;
                        gathered.reject(meta)?;
                    }
                }
            }
            journal.end_block(next)?;
            self.progress.set_read(read);
            self.progress.done.store(gathered.counts.products, Ordering::Relaxed);
            self.progress.rejected.store(gathered.counts.num_rejected(), Ordering::Relaxed);
            gathered.judge(AT_LEAST, self.cfg.output.max_reject_fraction)?;
        }
    }

    fn interrupted(&self, gathered: &Gathered) -> PrepareError {
        PrepareError::Interrupted { done: gathered.counts.products }
    }
}

/// How long answers of the agent that are under way are waited for at the end of a run.
const DRAIN: Duration = Duration::from_secs(30);

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads blocks of `rows` rows on a thread of its own.
fn read_ahead(
    catalogue: Catalogue,
    from: Position,
    rows: usize,
) -> mpsc::Receiver<Result<Block, PrepareError>> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut products = catalogue.products(from);
        loop {
            let mut block = Vec::with_capacity(rows);
            let mut next = from;
            for product in products.by_ref().take(rows) {
                match product {
                    Ok(product) => {
                        next = match &product {
                            Ok(product) => product.row.next(),
                            Err(reject) => reject.row.next(),
                        };
                        block.push(product);
                    }
                    Err(error) => {
                        let _ = send.blocking_send(Err(error));
                        return;
                    }
                }
            }
            let read = products.fraction();
            if block.is_empty() || send.blocking_send(Ok((block, next, read))).is_err() {
                return; // the end, or nobody waits any more
            }
        }
    });
    receive
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of files, one after the other, in hexadecimal.
///
/// # Errors
/// One of them cannot be read.
pub fn sha256_of(files: &[PathBuf]) -> Result<String, PrepareError> {
    let mut hash = Sha256::new();
    for path in files {
        let mut file = std::fs::File::open(path).map_err(PrepareError::io("open", path))?;
        let mut part = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut part).map_err(PrepareError::io("read", path))?;
            if read == 0 {
                break;
            }
            hash.update(&part[..read]);
        }
    }
    Ok(hex(&hash.finalize()))
}
