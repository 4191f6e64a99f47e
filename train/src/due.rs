//! When something that happens every so often is due.

use configs::Cadence;
use std::time::Duration;

/// One thing's cadence and when it last happened.
#[derive(Debug)]
pub struct Due {
    every: Cadence,
    last: Duration,
}

impl Due {
    /// Counts from the start of the run's clock.
    pub fn new(every: Cadence) -> Self {
        Self { every, last: Duration::ZERO }
    }

    /// Whether it is due after `done` of `steps` optimiser steps, at `now` on the run's clock. Always
    /// after the last.
    pub fn after(&mut self, done: u64, steps: u64, now: Duration) -> bool {
        let due = done == steps
            || match self.every {
                Cadence::Steps(every) => done.is_multiple_of(every.max(1)),
                Cadence::Minutes(every) => {
                    now.saturating_sub(self.last).as_secs_f64() >= every * 60.0
                }
            };
        if due {
            self.last = now;
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
        let fired: Vec<u64> =
            (1..=10).filter(|&done| due.after(done, 10, Duration::ZERO)).collect();
        assert_eq!(fired, [4, 8, 10]);
        let owed: Vec<u64> = (0..=10).filter(|&done| due.owed(done, 10)).collect();
        assert_eq!(owed, [0, 4, 8, 10]);
    }

    #[test]
    fn minutes_count_from_the_last_time() {
        let mut due = Due::new(Cadence::Minutes(30.0));
        let after = |due: &mut Due, seconds| due.after(1, 10, Duration::from_secs(seconds));
        assert!(!after(&mut due, 1799));
        assert!(after(&mut due, 1801));
        assert!(!after(&mut due, 3600));
        assert!(after(&mut due, 3601));
    }

    #[test]
    fn durations_read_well() {
        let text = |s| human(Duration::from_secs(s));
        assert_eq!([text(9), text(200), text(3725)], ["9s", "3m20s", "1h02m"]);
    }
}
