//! Threads for what keeps a core busy.

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::PrepareError;

/// A thread for each core, which take up work in the order in which it comes.
///
/// With more threads, the blocks that share the cores would all be done at the same moment, and the cores
/// idle while they are written.
pub(super) struct CpuPool(ThreadPool);

impl CpuPool {
    /// # Errors
    /// The system gives no threads.
    pub fn new() -> Result<Self, PrepareError> {
        // Whoever waits for work that panics is told by `run`.
        let pool = ThreadPoolBuilder::new().panic_handler(drop).build();
        pool.map(Self)
            .map_err(|error| PrepareError::Internal(format!("cannot start threads: {error}")))
    }

    /// Does `work` on one of the threads.
    ///
    /// # Errors
    /// It panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PrepareError> {
        let (send, receive) = oneshot::channel();
        self.0.spawn(move || {
            // Nobody may be waiting any more.
            let _ = send.send(work());
        });
        receive.await.map_err(|_| PrepareError::Internal("a thread of the crops panicked".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_an_error() {
        let pool = CpuPool::new().unwrap();
        assert_eq!(pool.run(|| 6 * 7).await.unwrap(), 42);
        let lost = pool.run(|| panic!("as it should")).await.map(|()| 0);
        assert!(matches!(lost, Err(PrepareError::Internal(_))));
        assert_eq!(pool.run(|| 1).await.unwrap(), 1);
    }
}
