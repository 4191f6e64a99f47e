//! How many products the agent may fail for.

use super::RefineError;
use std::sync::{Mutex, PoisonError};

/// A share is judged as if at least so many products were done, so that an early failure does not
/// stop a long run.
const AT_LEAST: u64 = 100;
/// Failures that the error names.
const MAX_EXAMPLES: usize = 5;

/// Counts products, and those that failed.
#[derive(Debug)]
pub(super) struct Failures {
    max_fraction: f64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    done: u64,
    failed: u64,
    examples: Vec<String>,
}

impl Failures {
    pub(super) fn new(max_fraction: f64) -> Self {
        Self { max_fraction, counts: Mutex::default() }
    }

    pub(super) fn success(&self) {
        self.lock().done += 1;
    }

    /// Counts a failure; an error where it is one too many.
    pub(super) fn failure(&self, product_id: &str, why: &str) -> Result<(), RefineError> {
        let mut counts = self.lock();
        counts.done += 1;
        counts.failed += 1;
        if counts.examples.len() < MAX_EXAMPLES {
            counts.examples.push(format!("product `{product_id}`: {why}"));
        }
        self.judge(&counts, AT_LEAST)
    }

    /// The judgement at the end, when all products are done.
    pub(super) fn at_end(&self) -> Result<(), RefineError> {
        self.judge(&self.lock(), 1)
    }

    /// Products done and failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.done, counts.failed)
    }

    fn judge(&self, counts: &Counts, at_least: u64) -> Result<(), RefineError> {
        let done = counts.done.max(at_least) as f64;
        if counts.failed as f64 <= self.max_fraction * done {
            return Ok(());
        }
        Err(RefineError::Failures {
            failed: counts.failed,
            done: counts.done,
            max_fraction: self.max_fraction,
            examples: counts.examples.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_judged_on_the_way_and_at_the_end() {
        let failures = Failures::new(0.02);
        failures.failure("a", "empty").unwrap();
        failures.failure("b", "empty").unwrap();
        assert_eq!(
            failures.failure("c", "refused").unwrap_err().to_string(),
            "the agent failed for 3 of 3 products, more than refine.max_failed_fraction (0.02) \
             allows; the first ones:\n  product `a`: empty\n  product `b`: empty\n  product `c`: \
             refused"
        );
        assert!(failures.at_end().is_err());
        (0..147).for_each(|_| failures.success());
        failures.at_end().unwrap();
        assert_eq!(failures.counts(), (150, 3));
        Failures::new(1.0).failure("a", "").unwrap();
        Failures::new(0.0).failure("a", "").unwrap_err();
    }
}
