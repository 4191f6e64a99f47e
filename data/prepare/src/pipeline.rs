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
mod cpu_pool;
mod crop;
mod entry;
mod gather;
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
use std::sync::atomic::AtomicBool;

use configs::prepare::PrepareConfig;
use sha2::{Digest, Sha256};

use crate::catalogue::Catalogue;
use crate::digest::hex;
use crate::grounding::Detector;
use crate::refine::{Agent, CaptionLimit, Spent};
use crate::{Fetcher, PrepareError};
use gather::Gathering;
use identity::Identity;
use shards::Writing;
use stages::Stages;
use work::Work;

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
    output::check_store(&cfg.output)?;
    let work = Work::open(&cfg.output, &identity)?;
    let agent = Agent::open(&cfg.refine, &work.path(work::ANSWERS), limit, &inputs.variable)?;
    let fetcher = Fetcher::new(&cfg.catalogue.fetch, Some(&work.path("fetched")))?;
    let stages = Stages::new(cfg, fetcher, inputs.detector, agent, progress.clone())?;
    let stages = Arc::new(stages);
    let gathering = Gathering { cfg, catalogue, stages: stages.clone(), progress, stop };
    let gathered = gathering.run(&work)?;
    stages.agent.finish()?;

    let identity_sha256 = hex(&Sha256::digest(work::to_json(&identity)?));
    let mut metadata = vec![
        ("vlclip.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("vlclip.prepare.identity_sha256".to_owned(), identity_sha256.clone()),
    ];
    metadata.extend(prompts.map(|sha256| ("vlclip.prepare.prompts_sha256".to_owned(), sha256)));
    let staging = output::staging(&cfg.output, &work)?;
    let plan = gathered.listing.plan(cfg);
    let journal = work.path(work::JOURNAL);
    let options = shards::options(cfg, metadata);
    let (journal, folder, work_in) = (&journal, &staging, &work);
    let writing = Writing { journal, work: work_in, folder, options: &options, progress, stop };
    let sheet = staging.join("contact-sheet.png");
    let (splits, drawn) = std::thread::scope(|scope| {
        let drawn = scope.spawn(|| sheet::write(&gathered.chosen, journal, &sheet));
        (writing.run(&plan), drawn.join())
    });
    let splits = splits?;
    drawn
        .map_err(|_| PrepareError::Internal("drawing the contact sheet panicked".to_owned()))??;
    let mut counts = gathered.counts;
    (counts.groups, counts.grouped) = (plan.groups, plan.grouped);
    gathered.rejects.finish()?;
    let index = Index::new(identity, identity_sha256, counts, splits);
    output::publish(&cfg.output, &staging, &index, &inputs.config_yaml)?;
    let (spent, damaged_answers) = (stages.agent.spent(), stages.agent.damaged_answers());
    drop(stages); // it has the answers open
    work.clear()?;
    Ok(Outcome { index, written: true, spent, damaged_answers })
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
