//! How long the rest will take, by what has been done.

use std::time::{Duration, Instant};

/// Work of equal parts.
pub(super) struct Pace {
    left: usize,
    done: u32,
    start: Instant,
    last: Instant,
}

impl Pace {
    /// `left` parts are ahead.
    pub(super) fn new(left: usize) -> Self {
        let now = Instant::now();
        Self { left, done: 0, start: now, last: now }
    }

    /// A part is done: what it took, and what the others will take if they are like those so far.
    pub(super) fn done(&mut self) -> String {
        let now = Instant::now();
        let took = now - self.last;
        self.last = now;
        self.left = self.left.saturating_sub(1);
        self.done += 1;
        let rest = (now - self.start) / self.done * u32::try_from(self.left).unwrap_or(u32::MAX);
        match self.left {
            0 => format!("done in {}", in_words(took)),
            left => format!("done in {}; {left} left, about {}", in_words(took), in_words(rest)),
        }
    }
}

/// `45 s`, `12 min`, `3 h 20 min`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5399 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (seconds, words) in [(0, "0 s"), (99, "99 s"), (100, "2 min"), (12_000, "3 h 20 min")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
        let mut pace = Pace::new(2);
        assert!(pace.done().contains("; 1 left, about "));
        assert_eq!(pace.done(), "done in 0 s");
    }
}
