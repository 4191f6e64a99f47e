//! How far a run is: written by the stages, read by whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::refine::Spent;

/// Warnings that are kept until they are shown; more are only counted.
const MAX_WARNINGS: usize = 20;

/// Counts of this process, and what it has to say.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pictures fetched.
    pub fetched: AtomicU64,
    /// Crops cut.
    pub grounded: AtomicU64,
    /// Captions written.
    pub refined: AtomicU64,
    /// Products kept for good, those of earlier processes included.
    pub done: AtomicU64,
    /// Of these, rejected ones.
    pub rejected: AtomicU64,
    /// Rows written into shards.
    pub written: AtomicU64,
    /// Rows that shards will have; 0 until that is known.
    pub to_write: AtomicU64,
    /// The share of the catalogue that was read, in millionths.
    read_millionths: AtomicU64,
    warnings: Mutex<(Vec<String>, u64)>,
    spent: Mutex<Option<Spent>>,
}

impl Progress {
    /// The share of the catalogue that was read, in [0, 1].
    pub fn read(&self) -> f64 {
        self.read_millionths.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn set_read(&self, fraction: f64) {
        self.read_millionths.store((fraction * 1e6) as u64, Ordering::Relaxed);
    }

    /// What the agent has spent so far, where there is one that spends.
    pub fn spent(&self) -> Option<Spent> {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_spent(&self, spent: Spent) {
        let spent = (spent != Spent::default()).then_some(spent);
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) = spent;
    }

    pub(super) fn warn(&self, line: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.0.len() < MAX_WARNINGS {
            warnings.0.push(line);
        } else {
            warnings.1 += 1;
        }
    }

    /// Warnings since the last call, and how many more there were.
    pub fn take_warnings(&self) -> (Vec<String>, u64) {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
