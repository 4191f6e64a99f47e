//! When something that happens every so often is due.

use configs::Cadence;
use std::time::{Duration, Instant};

/// One thing's cadence and when it last happened.
#[derive(Debug)]
pub struct Due {
    every: Cadence,
    last: Instant,
}

impl Due {
    /// Counts from now.
    pub fn new(every: Cadence) -> Self {
        Self { every, last: Instant::now() }
    }

    /// Whether it is due after `done` of `steps` optimiser steps. Always after the last.
    pub fn after(&mut self, done: u64, steps: u64) -> bool {
        let due = done == steps
            || match self.every {
                Cadence::Steps(every) => done.is_multiple_of(every.max(1)),
                Cadence::Minutes(every) => self.last.elapsed().as_secs_f64() >= every * 60.0,
            };
        if due {
            self.last = Instant::now();
        }
        due
    }

    /// Whether a run that stands at `done` of `steps` must have done it there: before the first
    /// step, after the last, and at every multiple. One that was asked to stop may have left it out.
    pub fn owed(&self, done: u64, steps: u64) -> bool {
        let multiple = match self.every {
            Cadence::Steps(every) => done.is_multiple_of(every.max(1)),
            Cadence::Minutes(_) => false,
        };
        done == 0 || done == steps || multiple
    }

    /// Makes the last occurrence lie `ago` in the past.
    #[cfg(test)]
    fn backdate(&mut self, ago: Duration) {
        self.last = Instant::now().checked_sub(ago).unwrap_or(self.last);
    }
}

/// `1h02m`, `3m20s`, `12s`.
pub fn human(duration: Duration) -> String {
    let s = duration.as_secs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_on_multiples_and_at_the_end() {
        let mut due = Due::new(Cadence::Steps(4));
        let fired: Vec<u64> = (1..=10).filter(|&done| due.after(done, 10)).collect();
        assert_eq!(fired, [4, 8, 10]);
        let owed: Vec<u64> = (0..=10).filter(|&done| due.owed(done, 10)).collect();
        assert_eq!(owed, [0, 4, 8, 10]);
    }

    #[test]
    fn minutes_count_from_the_last_time() {
        let mut due = Due::new(Cadence::Minutes(30.0));
        assert!(!due.after(1, 10));
        due.backdate(Duration::from_secs(1801));
        assert!(due.after(2, 10));
        assert!(!due.after(3, 10));
    }

    #[test]
    fn durations_read_well() {
        let text = |s| human(Duration::from_secs(s));
        assert_eq!([text(9), text(200), text(3725)], ["9s", "3m20s", "1h02m"]);
    }
}
