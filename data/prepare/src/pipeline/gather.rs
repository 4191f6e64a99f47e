//! The first half of a run: every product of the catalogue through the stages into the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use configs::prepare::{GroundingKind, PrepareConfig};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::assemble::Listing;
use super::entry::RejectMeta;
use super::index::Tally;
use super::journal::{Found, Journal};
use super::output;
use super::progress::Progress;
use super::rejects::Rejects;
use super::sheet::Chosen;
use super::stages::{Done, Stages};
use super::work::{JOURNAL, Work};
use crate::catalogue::{Catalogue, Position, Product};
use crate::{PrepareError, Reject};

/// Products of a block; with a detector as many as four of its batches.
const BLOCK: usize = 64;
const DETECTED_BATCHES: usize = 4;
/// Blocks under way: while one waits for those before it, or for the journal, others are worked on.
const BLOCKS_PER_CORE: usize = 2;
/// A share of rejected products is judged as if at least so many were done.
const AT_LEAST: u64 = 100;
/// Rejected products that an error names.
const MAX_EXAMPLES: usize = 5;

/// What a catalogue came to.
pub(super) struct Gathered {
    pub listing: Listing,
    pub counts: Tally,
    pub rejects: Rejects,
    pub chosen: Chosen,
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

/// What gathering needs.
pub(super) struct Gathering<'a> {
    pub cfg: &'a PrepareConfig,
    pub catalogue: Catalogue,
    pub stages: Arc<Stages>,
    pub progress: &'a Arc<Progress>,
    pub stop: &'a AtomicBool,
}

impl Gathering<'_> {
    /// Goes on where the journal of `work` ends.
    ///
    /// # Errors
    /// As [`super::prepare`].
    pub fn run(self, work: &Work) -> Result<Gathered, PrepareError> {
        let staging = output::staging(&self.cfg.output, work)?;
        let mut gathered = Gathered {
            listing: Listing::default(),
            counts: Tally::default(),
            rejects: Rejects::create(&staging.join("rejects.parquet"))?,
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
        // What follows a whole journal reads it from memory; one that ends early is all that stays.
        let kept = if outcome.is_err() { journal.close() } else { Ok(()) };
        // Answers that are under way were paid.
        let drained = async {
            let _ = tokio::time::timeout(DRAIN, self.stages.agent.drain()).await;
        };
        runtime.block_on(drained);
        runtime.shutdown_timeout(Duration::from_secs(5));
        outcome?;
        kept?;
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
                let mut task = Task(tokio::spawn(stages.run(block)));
                let entries = (&mut task.0)
                    .await
                    .map_err(|error| PrepareError::Internal(error.to_string()))?;
                Ok::<_, PrepareError>((entries?, next, read))
            }
        });
        let mut done = std::pin::pin!(done.buffered(BLOCKS_PER_CORE * cores));
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

/// A task that ends when nobody waits for it any more, so that no further call is paid for.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
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
    let (send, receive) = mpsc::channel(2);
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
