//! A question's way to its answer: known already, or within the limits, paid, and kept.

use super::backoff::pause;
use super::cache::{Cache, Key};
use super::chat::{Answer, Question};
use super::endpoint::{Failed, Passing, Server};
use super::error::Trouble;
use super::ledger::Ledger;
use super::pace::Pace;
use super::{RefineError, Spent};
use configs::prepare::{Endpoint, Refine, Sampling};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Asks questions. Equal questions are asked once, whenever and by however many tasks.
#[derive(Debug)]
pub(super) struct Caller {
    shared: Arc<Shared>,
    sampling: Sampling,
    concurrency: u32,
    max_retries: u32,
    backoff: Duration,
    /// One lock for each question that a task is at.
    asking: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    /// Why every further call fails.
    halted: OnceLock<RefineError>,
}

fn run(error: RefineError) -> Failed {
    Failed::For(Trouble::Run(error))
}

/// The runtime is ending, or a task panicked.
fn gone(error: impl std::fmt::Display) -> Failed {
    run(RefineError::Client(error.to_string()))
}

/// What a call needs that goes on when nobody waits for it any more.
#[derive(Debug)]
struct Shared {
    server: Server,
    cache: Cache,
    ledger: Ledger,
    pace: Pace,
    places: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn open(
        refine: &Refine,
        endpoint: &Endpoint,
        cache_dir: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, RefineError> {
        let server = Server::new(endpoint, variable)?;
        let shared = Shared {
            server,
            cache: Cache::open(cache_dir)?,
            ledger: Ledger::new(refine.budget, refine.prices.clone()),
            pace: Pace::new(endpoint.requests_per_minute, endpoint.tokens_per_minute),
            places: Arc::new(Semaphore::new(endpoint.concurrency)),
        };
        Ok(Self {
            shared: Arc::new(shared),
            sampling: refine.sampling.clone(),
            concurrency: u32::try_from(endpoint.concurrency).unwrap_or(u32::MAX),
            max_retries: endpoint.max_retries,
            backoff: Duration::from_secs_f64(endpoint.backoff_s),
            asking: Mutex::default(),
            halted: OnceLock::new(),
        })
    }

    /// The answer to a question.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer, Trouble> {
        let body = question.body(&self.sampling);
        let asked = [self.shared.server.url(), "\n", &body].concat();
        let key: Key = Sha256::digest(asked).into();
        let mine = self.asking().entry(key).or_default().clone();
        let answer = {
            // Who asks the same meanwhile waits here, and then finds the answer in the cache.
            let _turn = mine.lock().await;
            match self.shared.cache.get(&key)? {
                Some(answer) => {
                    self.shared.ledger.known();
                    Ok(answer)
                }
                None => self.insist(question, &key, &body).await,
            }
        };
        let mut asking = self.asking();
        if Arc::strong_count(&mine) == 2 {
            asking.remove(&key);
        }
        answer
    }

    /// Calls until there is an answer, or no hope for one.
    async fn insist(
        &self,
        question: &Question<'_>,
        key: &Key,
        body: &str,
    ) -> Result<Answer, Trouble> {
        let mut tries = 0;
        loop {
            if let Some(error) = self.halted.get() {
                return Err(Trouble::Run(error.clone()));
            }
            tries += 1;
            let Passing { why, after, foreign } = match self.call(question, key, body).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::For(trouble)) => return Err(self.halt(trouble)),
                Err(Failed::Passing(passing)) => passing,
            };
            if tries > self.max_retries {
                if foreign && !self.shared.server.answered.load(Ordering::Relaxed) {
                    let url = self.shared.server.shown();
                    return Err(self.halt(RefineError::Unreachable { url, tries, why }.into()));
                }
                let times = if tries == 1 { "1 try" } else { &format!("{tries} tries") };
                return Err(Trouble::Product(format!("no answer in {times}; the last: {why}")));
            }
            let own = pause(self.backoff, tries, key);
            tokio::time::sleep(after.map_or(own, |after| after.max(own))).await;
        }
    }

    /// One call, when the limits let it pass. It runs to its end and its answer is kept even if
    /// nobody waits for it any more: it is paid.
    async fn call(&self, question: &Question<'_>, key: &Key, body: &str) -> Result<Answer, Failed> {
        let shared = self.shared.clone();
        let place = shared.places.clone().acquire_owned().await;
        let place = place.map_err(gone)?;
        let passed = shared.pace.pass(question.estimate(&self.sampling)).await;
        if let Some(error) = self.halted.get() {
            return Err(run(error.clone()));
        }
        shared.ledger.admit().map_err(run)?;
        let (key, body, model) = (*key, body.to_owned(), question.model.to_owned());
        let input_tokens = question.input_tokens();
        let call = tokio::spawn(async move {
            let _place = place;
            let answer = match shared.server.send(&model, body).await {
                Ok(text) => Answer::read(text.as_bytes(), &model, input_tokens)
                    .map(|answer| answer.map_text(|text| shared.server.redact(text)))
                    .map_err(|why| Failed::Passing(Passing { why, after: None, foreign: true })),
                Err(failed) => Err(failed),
            };
            let tokens = answer.as_ref().map_or(0, |a| a.input_tokens + a.output_tokens);
            shared.pace.settle(passed, tokens);
            let answer = answer?;
            shared.server.answered.store(true, Ordering::Relaxed);
            shared.ledger.paid(&model, answer.input_tokens, answer.output_tokens);
            let keep = tokio::task::spawn_blocking(move || {
                shared.cache.put(&key, &answer)?;
                Ok(answer)
            });
            keep.await.map_err(gone)?.map_err(run)
        });
        call.await.map_err(gone)?
    }

    /// Makes what stops the run stop all other calls, too.
    fn halt(&self, trouble: Trouble) -> Trouble {
        if let Trouble::Run(error) = &trouble {
            let _ = self.halted.set(error.clone());
        }
        trouble
    }

    /// Waits until no call is on its way.
    pub(super) async fn drain(&self) {
        drop(self.shared.places.acquire_many(self.concurrency).await);
    }

    pub(super) fn spent(&self) -> Spent {
        self.shared.ledger.spent()
    }

    pub(super) fn damaged(&self) -> u64 {
        self.shared.cache.damaged()
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<tokio::sync::Mutex<()>>>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
