//! What the threads of a monitor share: where this process stands, and why the run ends if it does.

use super::wire::{Beat, Verdict};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the main thread may take to notice a verdict by itself.
const NOTICE: Duration = Duration::from_secs(5);

/// How long it may take from there to its end; it may be saving what was reached.
const ENDING: Duration = Duration::from_secs(120);

/// State of one process, shared by its threads.
#[derive(Debug)]
pub struct State {
    /// Exchanges of tensors begun so far.
    pub exchanges: AtomicU64,
    /// Optimiser steps done.
    pub step: AtomicU64,
    /// What the main thread does.
    pub doing: Mutex<&'static str>,
    /// Whether all work is done: what others do from here on is no failure.
    pub left: AtomicBool,
    rank: usize,
    local_rank: usize,
    ending: AtomicBool,
    verdict: Mutex<Option<Verdict>>,
    changed: Condvar,
}

impl State {
    /// Of a process at its start.
    pub fn new(rank: usize, local_rank: usize) -> Self {
        Self {
            rank,
            local_rank,
            exchanges: AtomicU64::new(0),
            step: AtomicU64::new(0),
            doing: Mutex::new("starting"),
            left: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            verdict: Mutex::new(None),
            changed: Condvar::new(),
        }
    }

    /// Where this process stands.
    pub fn beat(&self) -> Beat {
        Beat {
            exchanges: self.exchanges.load(SeqCst),
            step: self.step.load(SeqCst),
            doing: (*lock(&self.doing)).to_owned(),
        }
    }

    /// Whether this process says why the run ends. One process of each machine does, so that every
    /// machine's log has the reason: the first, or the second where the first died without a word.
    pub fn speaks(&self, verdict: &Verdict) -> bool {
        let first_of_machine = self.rank - self.local_rank;
        match verdict.rank == first_of_machine {
            true if verdict.told => false,
            blamed => self.local_rank == usize::from(blamed),
        }
    }

    /// The verdict, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        lock(&self.verdict).clone()
    }

    /// Notes why the run ends, the first time only; false if it was known or nothing is left to end.
    pub fn end(&self, verdict: Verdict) -> bool {
        if self.left.load(SeqCst) {
            return false;
        }
        let mut known = lock(&self.verdict);
        let first = known.is_none();
        if first {
            *known = Some(verdict);
        }
        drop(known);
        self.changed.notify_all();
        first
    }

    /// Waits for a verdict up to `patience`.
    pub fn wait(&self, patience: Duration) -> Option<Verdict> {
        let until = Instant::now() + patience;
        let mut known = lock(&self.verdict);
        while known.is_none() {
            let left = until.checked_duration_since(Instant::now())?;
            let (woken, _) =
                self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner);
            known = woken;
        }
        known.clone()
    }

    /// The main thread knows and ends by itself.
    pub fn ends_by_itself(&self) {
        self.ending.store(true, SeqCst);
    }

    /// Ends the process once there is a verdict and the main thread does not: it may hang in an
    /// exchange with a process that is no more. Returns when all work is done.
    pub fn execute(&self) {
        let verdict = loop {
            if self.left.load(SeqCst) {
                return;
            }
            if let Some(verdict) = self.wait(Duration::from_millis(200)) {
                break verdict;
            }
        };
        let noticed = |patience: Duration| {
            let until = Instant::now() + patience;
            while Instant::now() < until {
                if self.ending.load(SeqCst) {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            false
        };
        if noticed(NOTICE) {
            std::thread::sleep(ENDING);
        }
        if self.speaks(&verdict) {
            let _ = writeln!(std::io::stderr(), "error: {}", verdict.reason);
        }
        process::exit_now(1);
    }
}

/// Locks; a thread that panicked with the lock leaves plain values behind.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks of two machines with two processes each that say why the run ends.
    fn speakers(rank: usize, told: bool) -> Vec<usize> {
        let verdict = Verdict { rank, reason: "lost".into(), told };
        (0..4).filter(|&rank| State::new(rank, rank % 2).speaks(&verdict)).collect()
    }

    #[test]
    fn one_process_of_each_machine_speaks() {
        assert_eq!(speakers(3, true), [0, 2]);
        assert_eq!(speakers(1, false), [0, 2]);
        // Rank 2 says it itself, or is dead and its neighbour speaks for it.
        assert_eq!(speakers(2, true), [0]);
        assert_eq!(speakers(2, false), [0, 3]);
        assert_eq!(speakers(0, false), [1, 2]);
    }

    #[test]
    fn the_first_verdict_counts_and_none_after_all_work_is_done() {
        let verdict = |rank| Verdict { rank, reason: String::new(), told: false };
        let state = State::new(0, 0);
        assert!(state.end(verdict(3)) && !state.end(verdict(1)));
        assert_eq!(state.wait(Duration::ZERO), Some(verdict(3)));
        let done = State::new(0, 0);
        done.left.store(true, SeqCst);
        assert!(!done.end(verdict(1)) && done.verdict().is_none());
    }
}
