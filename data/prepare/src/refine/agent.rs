//! The caption agent, as the pipeline sees it.

use super::caller::Caller;
use super::error::Trouble;
use super::failures::Failures;
use super::prompts::Prompts;
use super::rounds::Rounds;
use super::{CaptionLimit, Crop, Listing, RefineError, Refined, Spent, Stop, templates};
use crate::digest::hex;
use configs::prepare::{CaptionTemplate, Refine, RefineKind};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Writes captions as the `refine` section says. Many tasks may share one.
#[derive(Debug)]
pub struct Agent {
    way: Way,
    failures: Failures,
    prompts_sha256: Option<String>,
}

#[derive(Debug)]
enum Way {
    None,
    Template(Vec<CaptionTemplate>),
    Llm(Box<Rounds>),
}

impl Agent {
    /// The agent of a configuration. Only `kind: llm` uses the other arguments: `cache_dir` keeps
    /// the answers, `limit` holds the captions to the context length (`refine.max_tokens_caption`
    /// may lower it), `variable` reads the environment: `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// The section cannot run as it is; the variable with the API key is not set; a prompt file
    /// cannot be read; or the cache cannot be used, because another process has it, for instance.
    pub fn open(
        refine: &Refine,
        cache_dir: &Path,
        limit: CaptionLimit,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, RefineError> {
        let issues = refine.issues();
        if !issues.is_empty() {
            return Err(RefineError::Config(issues));
        }
        let way = match (refine.kind, &refine.endpoint) {
            (RefineKind::Llm, Some(endpoint)) => {
                let prompts = Prompts::read(refine)?;
                let caller = Caller::open(refine, endpoint, cache_dir, variable)?;
                let most = refine.max_tokens_caption.unwrap_or(limit.max_tokens);
                let limit = CaptionLimit { max_tokens: most.min(limit.max_tokens), ..limit };
                Way::Llm(Box::new(Rounds::new(refine, caller, prompts, limit)))
            }
            (RefineKind::Template, _) => Way::Template(refine.templates.clone()),
            _ => Way::None,
        };
        let failures = Failures::new(refine.max_failed_fraction);
        Ok(Self { way, failures, prompts_sha256: Self::prompts_of(refine)? })
    }

    /// The captions of a product. Where they cannot be made, the title stands for them, cut to
    /// the context length, and [`Refined::stop`] says so.
    ///
    /// A call that is under way when this future is dropped is still made and kept;
    /// [`Agent::drain`] waits for it. Needs a tokio runtime with time and network.
    ///
    /// # Errors
    /// What must stop the run: the budget is spent, the server refuses every call, too many
    /// products failed, the cache cannot be written.
    pub async fn refine(
        &self,
        listing: Listing<'_>,
        crop: Option<Crop<'_>>,
    ) -> Result<Refined, RefineError> {
        let (refined, limit) = match &self.way {
            Way::None => {
                let caption = listing.title.to_owned();
                (Ok(raw(caption, Stop::None, None)), None)
            }
            Way::Template(all) => {
                let filled = templates::captions(all, &listing).map_err(Trouble::Product);
                (filled, None)
            }
            Way::Llm(rounds) => (rounds.refine(listing, crop).await, Some(&rounds.limit)),
        };
        match refined {
            Ok(refined) => {
                match &refined.failure {
                    Some(why) => self.failures.failure(listing.product_id, why)?,
                    None => self.failures.success(),
                }
                Ok(refined)
            }
            Err(Trouble::Run(error)) => Err(error),
            Err(Trouble::Product(why)) => {
                self.failures.failure(listing.product_id, &why)?;
                let title = limit.map_or(listing.title, |limit| limit.cut(listing.title));
                Ok(raw(title.to_owned(), Stop::Failed, Some(why)))
            }
        }
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        match &self.way {
            Way::Llm(rounds) => rounds.caller.spent(),
            Way::None | Way::Template(_) => Spent::default(),
        }
    }

    /// Products done so far, and how many of them failed.
    pub fn done_and_failed(&self) -> (u64, u64) {
        self.failures.counts()
    }

    /// Lines of the cache that are damaged, so that their calls are made and paid again.
    pub fn damaged_answers(&self) -> u64 {
        match &self.way {
            Way::Llm(rounds) => rounds.caller.damaged(),
            Way::None | Way::Template(_) => 0,
        }
    }

    /// The SHA-256 of its prompts or templates, as [`Agent::prompts_of`].
    pub fn prompts_sha256(&self) -> Option<String> {
        self.prompts_sha256.clone()
    }

    /// The SHA-256 of the prompts or templates that `refine` asks for, in hexadecimal; `None` where
    /// there are none.
    ///
    /// # Errors
    /// A prompt file cannot be read, or lacks a placeholder.
    pub fn prompts_of(refine: &Refine) -> Result<Option<String>, RefineError> {
        Ok(match refine.kind {
            RefineKind::None => None,
            RefineKind::Template => {
                let mut hash = Sha256::new();
                for template in &refine.templates {
                    let text = template.to_string();
                    hash.update((text.len() as u64).to_le_bytes());
                    hash.update(text);
                }
                Some(hex(&hash.finalize()))
            }
            RefineKind::Llm => Some(Prompts::read(refine)?.sha256),
        })
    }

    /// Waits until no call is on its way: for the end of a run, however it ends.
    pub async fn drain(&self) {
        if let Way::Llm(rounds) = &self.way {
            rounds.caller.drain().await;
        }
    }

    /// The judgement on failures when all products are done: on the way a run of few products
    /// gets the benefit of the doubt.
    ///
    /// # Errors
    /// More failed than `refine.max_failed_fraction` allows.
    pub fn finish(&self) -> Result<(), RefineError> {
        self.failures.at_end()
    }
}

fn raw(caption: String, stop: Stop, failure: Option<String>) -> Refined {
    Refined { caption, further: Vec::new(), rounds: 0, stop, model: String::new(), failure }
}
