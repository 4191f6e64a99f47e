//! Attempts, and the pauses between them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use url::Url;

use crate::Fault;

/// The longest pause that a server's `Retry-After` is followed for.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Why an attempt failed.
pub(super) struct Failure {
    pub fault: Fault,
    /// Whether another attempt may succeed, and the pause that the server asks for.
    pub again: Option<Duration>,
}

impl Failure {
    /// A failure that no attempt can mend.
    pub(super) fn for_good(fault: Fault) -> Self {
        Self { fault, again: None }
    }

    /// A failure of the moment.
    pub(super) fn for_now(fault: Fault) -> Self {
        Self { fault, again: Some(Duration::ZERO) }
    }
}

/// Tries until it succeeds, fails for good, or has been tried `retries` times more.
pub(super) async fn until<T, F: Future<Output = Result<T, Failure>>>(
    retries: u32,
    backoff: Duration,
    url: &Url,
    attempt: impl Fn() -> F,
) -> Result<T, Fault> {
    let mut number = 0;
    loop {
        let failure = match attempt().await {
            Ok(got) => return Ok(got),
            Err(failure) => failure,
        };
        let Failure { mut fault, again } = failure;
        match again {
            Some(asked) if number < retries && asked <= LONGEST_PAUSE => {
                tokio::time::sleep(asked.max(pause(backoff, number, url))).await;
                number += 1;
            }
            _ => {
                if number > 0 {
                    fault.detail = format!("{} (after {} attempts)", fault.detail, number + 1);
                }
                return Err(fault);
            }
        }
    }
}

/// `backoff`, doubled with every attempt, less up to a half of it by URL: those who failed at the
/// same moment do not all come back at the same moment.
fn pause(backoff: Duration, number: u32, url: &Url) -> Duration {
    let mut hasher = DefaultHasher::new();
    (url.as_str(), number).hash(&mut hasher);
    let share = 1.0 - (hasher.finish() >> 40) as f64 / (1u64 << 25) as f64;
    let doubled = backoff.as_secs_f64() * 2f64.powi(number.min(16) as i32);
    Duration::from_secs_f64((doubled * share).min(LONGEST_PAUSE.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ_by_url() {
        let [a, b] = ["http://host/a", "http://host/b"].map(|url| Url::parse(url).unwrap());
        let second = Duration::from_secs(1);
        for number in 0..6 {
            let whole = 2f64.powi(number as i32);
            let range = whole / 2.0..=whole;
            assert!(range.contains(&pause(second, number, &a).as_secs_f64()));
            assert_ne!(pause(second, number, &a), pause(second, number, &b));
            assert_eq!(pause(second, number, &a), pause(second, number, &a));
        }
        assert_eq!(pause(second, 60, &a), LONGEST_PAUSE);
    }
}
