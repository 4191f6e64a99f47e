//! Finished products on disk, so that an interrupted run loses seconds of work: a file that is only
//! ever appended to, block by block in the catalogue's order.
//!
//! ```text
//! header | record | record | ... | end of block | record | ... | end of block | (torn rest)
//! record:  kind, length of meta, of crop, of raw picture, CRC-32 of the three | meta (JSON) | crop | raw
//! ```
//! What follows the last end of a block is cut off when the file is opened again.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::pipeline::entry::{Entry, RejectMeta, RowMeta};
use crate::syncer::Syncer;
use crate::{Position, PrepareError};

const MAGIC: &[u8; 16] = b"vlclip journal 1";
const HEAD: usize = 17;
/// How long finished work may stay in the system's memory alone.
const SYNC_AFTER: Duration = Duration::from_secs(2);

const ROW: u8 = 1;
const REJECT: u8 = 2;
const END: u8 = 3;

/// What ends a block: where the catalogue goes on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct End {
    next: Position,
}

/// Where a row lies in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    at: u64,
    lengths: [u32; 3],
    crc: u32,
}

/// The journal of a run.
pub(super) struct Journal {
    path: PathBuf,
    out: BufWriter<File>,
    at: u64,
    syncer: Syncer,
    synced: Instant,
}

/// What a journal holds when it is opened.
pub(super) struct Found {
    pub journal: Journal,
    /// Where the catalogue goes on.
    pub next: Position,
}

struct Head {
    kind: u8,
    lengths: [u32; 3],
    crc: u32,
}

impl Head {
    fn to_bytes(&self) -> [u8; HEAD] {
        let mut bytes = [self.kind; HEAD];
        for (slot, number) in
            bytes[1..].chunks_exact_mut(4).zip(self.lengths.iter().chain([&self.crc]))
        {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let mut numbers =
            bytes[1..].as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four));
        let lengths = [numbers.next()?, numbers.next()?, numbers.next()?];
        let crc = numbers.next()?;
        (ROW..=END).contains(&bytes[0]).then_some(Self { kind: bytes[0], lengths, crc })
    }

    fn size(&self) -> u64 {
        HEAD as u64 + self.lengths.iter().map(|length| u64::from(*length)).sum::<u64>()
    }
}

impl Journal {
    /// Opens the journal at `path`, or begins one. `row` and `reject` are told what it holds, in the
    /// catalogue's order.
    ///
    /// # Errors
    /// The disk fails, or the file is no journal.
    pub fn open(
        path: &Path,
        mut row: impl FnMut(RowMeta, Place),
        mut reject: impl FnMut(RejectMeta),
    ) -> Result<Found, PrepareError> {
        let io = |action| PrepareError::io(action, path);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(io("open"))?;
        let all = file.metadata().map_err(io("look at"))?.len();
        let mut next = Position::default();
        let mut good = MAGIC.len() as u64;
        let mut magic = [0; 16];
        let whole = file.read_exact(&mut magic).is_ok();
        if whole && magic != *MAGIC {
            return Err(Self::damaged(path, "it does not begin as one"));
        }
        if whole {
            // A block counts once its end is there.
            let mut block: Vec<(Entry, Place)> = Vec::new();
            let mut reader = BufReader::with_capacity(1 << 16, &file);
            let mut at = good;
            let mut head = [0; HEAD];
            while reader.read_exact(&mut head).is_ok() {
                let Some(head) = Head::parse(&head) else { break };
                let end = at + head.size();
                if end > all {
                    break;
                }
                let mut meta = vec![0; head.lengths[0] as usize];
                if reader.read_exact(&mut meta).is_err() {
                    break;
                }
                let pictures = i64::from(head.lengths[1]) + i64::from(head.lengths[2]);
                reader.seek_relative(pictures).map_err(io("read"))?;
                let place = Place { at, lengths: head.lengths, crc: head.crc };
                match head.kind {
                    ROW => match serde_json::from_slice(&meta) {
                        Ok(meta) => block.push((Entry::Row(meta), place)),
                        Err(_) => break,
                    },
                    REJECT => match serde_json::from_slice(&meta) {
                        Ok(meta) => block.push((Entry::Reject(meta), place)),
                        Err(_) => break,
                    },
                    _ => {
                        let Ok(End { next: to }) = serde_json::from_slice(&meta) else { break };
                        for (entry, place) in block.drain(..) {
                            match entry {
                                Entry::Row(meta) => row(meta, place),
                                Entry::Reject(meta) => reject(meta),
                            }
                        }
                        (next, good) = (to, end);
                    }
                }
                at = end;
            }
        } else {
            file.set_len(0).map_err(io("cut"))?;
            file.seek(SeekFrom::Start(0)).map_err(io("write"))?;
            file.write_all(MAGIC).map_err(io("write"))?;
        }
        file.set_len(good).map_err(io("cut"))?;
        file.seek(SeekFrom::Start(good)).map_err(io("write"))?;
        let syncer = Syncer::new(&file).map_err(io("open"))?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let journal = Self { path: path.to_owned(), out, at: good, syncer, synced: Instant::now() };
        Ok(Found { journal, next })
    }

    /// Appends a usable product.
    ///
    /// # Errors
    /// The disk fails.
    pub fn row(&mut self, meta: &RowMeta, crop: &[u8], raw: &[u8]) -> Result<Place, PrepareError> {
        self.append(ROW, meta, crop, raw)
    }

    /// Appends a rejected product.
    ///
    /// # Errors
    /// The disk fails.
    pub fn reject(&mut self, meta: &RejectMeta) -> Result<(), PrepareError> {
        self.append(REJECT, meta, &[], &[]).map(|_| ())
    }

    /// Ends a block: from here on it counts as done.
    ///
    /// # Errors
    /// The disk fails.
    pub fn end_block(&mut self, next: Position) -> Result<(), PrepareError> {
        self.append(END, &End { next }, &[], &[])?;
        let mut written = self.out.flush();
        if self.synced.elapsed() >= SYNC_AFTER {
            written = written.and_then(|()| self.syncer.begin());
            self.synced = Instant::now();
        }
        written.map_err(PrepareError::io("write", &self.path))
    }

    /// Waits until all is on the disk, for a run that ends before its shards are written.
    ///
    /// # Errors
    /// The disk fails.
    pub fn close(mut self) -> Result<(), PrepareError> {
        let flushed = self.out.flush();
        let synced = flushed.and(self.syncer.end()).and_then(|()| self.out.get_ref().sync_data());
        synced.map_err(PrepareError::io("write", &self.path))
    }

    fn append(
        &mut self,
        kind: u8,
        meta: &impl Serialize,
        crop: &[u8],
        raw: &[u8],
    ) -> Result<Place, PrepareError> {
        let io = || PrepareError::io("write", &self.path);
        let meta = serde_json::to_vec(meta).map_err(std::io::Error::from).map_err(io())?;
        let mut crc = crc32fast::Hasher::new();
        let mut lengths = [0; 3];
        for (length, part) in lengths.iter_mut().zip([meta.as_slice(), crop, raw]) {
            crc.update(part);
            *length = u32::try_from(part.len())
                .map_err(|_| io()(std::io::Error::other("more than 4 GiB of one product")))?;
        }
        let head = Head { kind, lengths, crc: crc.finalize() };
        let place = Place { at: self.at, lengths, crc: head.crc };
        for part in [&head.to_bytes()[..], &meta, crop, raw] {
            self.out.write_all(part).map_err(PrepareError::io("write", &self.path))?;
        }
        self.at += head.size();
        Ok(place)
    }

    fn damaged(path: &Path, reason: &str) -> PrepareError {
        PrepareError::Journal { path: path.to_owned(), reason: reason.to_owned() }
    }
}

/// Reads rows back, in any order.
pub(super) struct JournalReader {
    path: PathBuf,
    file: File,
}

impl JournalReader {
    /// Opens the journal at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Self, PrepareError> {
        let file = File::open(path).map_err(PrepareError::io("open", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The row at `place`: what is known of it, its crop, and its raw picture where that was kept.
    ///
    /// # Errors
    /// The disk fails, or its bytes are others than were written.
    pub fn row(&self, place: Place) -> Result<(RowMeta, Bytes, Bytes), PrepareError> {
        let [meta, crop, raw] = place.lengths.map(|length| length as usize);
        let mut bytes = vec![0; meta + crop + raw];
        let read = self.file.read_exact_at(&mut bytes, place.at + HEAD as u64);
        read.map_err(PrepareError::io("read", &self.path))?;
        if crc32fast::hash(&bytes) != place.crc {
            return Err(Journal::damaged(&self.path, "its bytes have changed on the disk"));
        }
        let (mut bytes, pictures) = (Bytes::from(bytes), meta + crop);
        let raw = bytes.split_off(pictures);
        let crop = bytes.split_off(meta);
        let meta = serde_json::from_slice(&bytes)
            .map_err(|error| Journal::damaged(&self.path, &error.to_string()))?;
        Ok((meta, crop, raw))
    }

    /// What is known of the row at `place`, without its pictures.
    ///
    /// # Errors
    /// As [`JournalReader::row`]; damage to the pictures is not seen.
    pub fn meta(&self, place: Place) -> Result<RowMeta, PrepareError> {
        let mut bytes = vec![0; place.lengths[0] as usize];
        let read = self.file.read_exact_at(&mut bytes, place.at + HEAD as u64);
        read.map_err(PrepareError::io("read", &self.path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Journal::damaged(&self.path, &error.to_string()))
    }
}
