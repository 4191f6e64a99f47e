//! Where a shard's bytes go: a file, through a hash, on a thread of its own, so that rows are encoded
//! meanwhile.

use crate::digest::hex;
use crate::syncer::Syncer;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

/// Bytes handed over at once.
const PART_BYTES: usize = 1 << 20;
/// Parts that wait, at most.
const WAITING: usize = 2;
/// After so many parts they begin to go to the disk.
const SYNC_PARTS: usize = 32;

/// A file being written.
pub(super) struct Sink {
    part: Vec<u8>,
    bytes: u64,
    /// None after a failure, and at the end.
    parts: Option<SyncSender<Vec<u8>>>,
    /// Parts that were written, to be filled again.
    empty: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<String>>>,
}

/// What was written.
pub(super) struct Written {
    pub bytes: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

impl Sink {
    pub(super) fn new(mut file: File) -> Self {
        let (parts, full) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, empty) = channel();
        let thread = thread::spawn(move || {
            let mut hash = Sha256::new();
            let syncer = Syncer::new(&file)?;
            for (at, mut part) in full.into_iter().enumerate() {
                file.write_all(&part)?;
                if at % SYNC_PARTS == SYNC_PARTS - 1 {
                    syncer.begin()?;
                }
                hash.update(&part);
                part.clear();
                // Nobody needs it at the end.
                let _ = give_back.send(part);
            }
            syncer.end()?;
            file.sync_all()?;
            Ok(hex(&hash.finalize()))
        });
        let part = Vec::with_capacity(PART_BYTES);
        Self { part, bytes: 0, parts: Some(parts), empty, thread: Some(thread) }
    }

    /// Waits until all is on the disk.
    ///
    /// # Errors
    /// The disk fails, or has failed since.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        if !self.part.is_empty() {
            self.hand_over()?;
        }
        let sha256 = self.end()?;
        Ok(Written { bytes: self.bytes, sha256 })
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(PART_BYTES));
        let part = std::mem::replace(&mut self.part, next);
        let sent = self.parts.as_ref().is_some_and(|parts| parts.send(part).is_ok());
        // The thread ends early only when the disk fails.
        if sent { Ok(()) } else { self.end().and(Err(io::Error::other("written after its end"))) }
    }

    fn end(&mut self) -> io::Result<String> {
        self.parts = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(io::Error::other("its thread has ended")))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        if self.part.len() >= PART_BYTES {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_with_their_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..5_000_003_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let mut sink = Sink::new(File::create(&path).unwrap());
        for part in bytes.chunks(700_001) {
            sink.write_all(part).unwrap();
        }
        let written = sink.finish().unwrap();
        assert_eq!(written.bytes, bytes.len() as u64);
        assert_eq!(written.sha256, hex(&Sha256::digest(&bytes)));
        assert!(std::fs::read(&path).unwrap() == bytes);
        let empty = Sink::new(File::create(&path).unwrap()).finish().unwrap();
        assert!(empty.sha256.starts_with("e3b0c44298fc1c14"), "{}", empty.sha256);
    }

    #[test]
    fn a_full_disk_is_said_by_whoever_writes_next() {
        // Every write to it fails as on a full disk.
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink::new(full());
        let part = vec![0; PART_BYTES];
        let error = (0..10).find_map(|_| sink.write_all(&part).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        assert!(sink.write_all(&part).is_err());
        let mut late = Sink::new(full());
        late.write_all(b"a few").unwrap();
        assert_eq!(late.finish().map(|w| w.bytes).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
