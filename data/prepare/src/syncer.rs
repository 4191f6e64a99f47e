//! Bringing a file to the disk while it is still being written.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Syncs a file on a thread of its own, for whoever writes it would wait tenths of a second.
pub(crate) struct Syncer {
    ask: SyncSender<()>,
    /// Ends early only when the disk fails.
    thread: JoinHandle<io::Result<()>>,
}

impl Syncer {
    /// For the file that `file` is.
    ///
    /// # Errors
    /// It cannot be opened twice.
    pub fn new(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (ask, asked) = sync_channel(1);
        let thread = thread::spawn(move || asked.into_iter().try_for_each(|()| file.sync_data()));
        Ok(Self { ask, thread })
    }

    /// Begins to bring to the disk what was written so far; whatever was asked before is done first.
    ///
    /// # Errors
    /// The disk has failed since.
    pub fn begin(&self) -> io::Result<()> {
        match self.thread.is_finished() {
            true => Err(io::Error::other("the disk failed to keep what was written before")),
            false => {
                // Full where the same is asked for already.
                let _ = self.ask.try_send(());
                Ok(())
            }
        }
    }

    /// Waits for what was begun.
    ///
    /// # Errors
    /// What the disk said. The system says it once: who syncs the file thereafter hears nothing.
    pub fn end(self) -> io::Result<()> {
        drop(self.ask);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread has ended")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn files_sync_and_a_failure_is_told() {
        let file = tempfile::tempfile().unwrap();
        let syncer = Syncer::new(&file).unwrap();
        (0..20).for_each(|_| syncer.begin().unwrap());
        syncer.end().unwrap();

        // A pipe cannot be synced.
        let (_read, write) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(write));
        let syncer = Syncer::new(&pipe).unwrap();
        syncer.begin().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while syncer.begin().is_ok() {
            assert!(Instant::now() < deadline, "the failure is not told");
        }
        assert_eq!(syncer.end().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
