//! Limits on calls and tokens per minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// What limits are counted over.
const WINDOW: Duration = Duration::from_secs(60);

/// Lets calls through so that no window of 60 seconds has more than the limits allow. Tokens count
/// as estimated until the answer says how many they were. A call that is above the limit alone
/// passes when the window is empty.
#[derive(Debug)]
pub(super) struct Pace {
    requests: Option<u64>,
    tokens: Option<u64>,
    /// Whoever holds it is next: first come, first served.
    turn: tokio::sync::Mutex<()>,
    window: Mutex<Window>,
    settled: Notify,
}

/// The calls of the last 60 seconds, the oldest first.
#[derive(Debug, Default)]
struct Window {
    sent: VecDeque<Sent>,
    next: u64,
}

/// A call within the window.
#[derive(Debug)]
struct Sent {
    number: u64,
    at: Instant,
    tokens: u64,
}

/// A call that was let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed(u64);

impl Pace {
    pub(super) fn new(requests: Option<u64>, tokens: Option<u64>) -> Self {
        let (turn, window, settled) = Default::default();
        Self { requests, tokens, turn, window, settled }
    }

    /// Waits until a call of so many tokens may be sent.
    pub(super) async fn pass(&self, tokens: u64) -> Passed {
        let _turn = self.turn.lock().await;
        loop {
            match self.try_pass(tokens) {
                Ok(passed) => return passed,
                // An answer may turn out shorter than it was estimated.
                Err(until) => drop(timeout_at(until, self.settled.notified()).await),
            }
        }
    }

    /// The number of a call let through, or when it is worth asking again.
    fn try_pass(&self, tokens: u64) -> Result<Passed, Instant> {
        let now = Instant::now();
        let mut window = self.lock();
        let Window { sent, next } = &mut *window;
        while sent.front().is_some_and(|first| now >= first.at + WINDOW) {
            sent.pop_front();
        }
        if let Some(first) = sent.front() {
            let counted: u64 = sent.iter().map(|call| call.tokens).sum();
            let full = self.requests.is_some_and(|most| sent.len() as u64 >= most)
                || self.tokens.is_some_and(|most| counted.saturating_add(tokens) > most);
            if full {
                return Err(first.at + WINDOW);
            }
        }
        let number = *next;
        *next += 1;
        if self.requests.is_some() || self.tokens.is_some() {
            sent.push_back(Sent { number, at: now, tokens });
        }
        Ok(Passed(number))
    }

    /// Corrects a call's tokens.
    pub(super) fn settle(&self, Passed(number): Passed, tokens: u64) {
        if let Some(call) = self.lock().sent.iter_mut().find(|call| call.number == number) {
            call.tokens = tokens;
        }
        self.settled.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// When each of the calls was let through, in seconds.
    async fn times(pace: &Arc<Pace>, calls: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut times = Vec::new();
        for tokens in calls {
            pace.pass(*tokens).await;
            times.push(start.elapsed().as_secs());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn requests_per_minute() {
        let pace = Arc::new(Pace::new(Some(3), None));
        assert_eq!(times(&pace, &[1; 8]).await, [0, 0, 0, 60, 60, 60, 120, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_per_minute_by_estimate_and_by_usage() {
        let pace = Arc::new(Pace::new(None, Some(100)));
        assert_eq!(times(&pace, &[40, 60, 1, 250, 5]).await, [0, 0, 60, 120, 180]);
        let pace = Arc::new(Pace::new(None, Some(100)));
        let first = pace.pass(90).await;
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move { times(&pace, &[50, 50]).await }
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        pace.settle(first, 20);
        // The second waits 10 s for the first to prove short, the third for it to leave the window.
        assert_eq!(waiting.await.unwrap(), [10, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served() {
        let pace = Arc::new(Pace::new(None, Some(100)));
        pace.pass(90).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, tokens) in [("large", 80), ("small", 1)] {
            let (pace, order) = (pace.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                pace.pass(tokens).await;
                order.lock().unwrap().push(name);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["large", "small"]);
    }
}
