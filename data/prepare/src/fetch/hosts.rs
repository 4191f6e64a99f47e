//! How many requests a host gets at a time, and when it has asked for a pause.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// All hosts met so far.
pub(super) struct Hosts {
    per_host: usize,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

/// One of them.
pub(super) struct Host {
    turns: Arc<Semaphore>,
    rests_until: Mutex<Option<Instant>>,
}

impl Hosts {
    pub(super) fn new(per_host: usize) -> Self {
        Self { per_host, known: Mutex::default() }
    }

    /// The host called `name`, port included.
    pub(super) fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get(name) {
            return host.clone();
        }
        let turns = Arc::new(Semaphore::new(self.per_host));
        let host = Arc::new(Host { turns, rests_until: Mutex::default() });
        known.insert(name.to_owned(), host.clone());
        host
    }
}

impl Host {
    /// Waits for a turn; the next may come once what is returned is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = self.turns.clone().acquire_owned().await.ok();
        while let Some(until) = self.rests_until().filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until).await;
        }
        turn
    }

    /// Gives the host no request for a while: it has asked for that.
    pub(super) fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut rests = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests.is_none_or(|before| before < until) {
            *rests = Some(until);
        }
    }

    fn rests_until(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
