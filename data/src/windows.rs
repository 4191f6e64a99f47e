//! Shuffle windows, read ahead of the batches that need them.
//!
//! ```text
//! plan ──► which window next ──► readers (side by side) ──► windows in that order ──► batches
//! ```
//!
//! A batch takes rows from every stream, so the windows that it needs are known long before. Each
//! is read by one of several threads; a bounded number waits to be used.

use crate::Cursor;
use crate::DataError;
use crate::mixture::Mixture;
use crate::order::{EpochOrder, Window};
use crate::pipeline::{Pipeline, Plan};
use crate::reader::{KEEP_OPEN_BYTES, Reader};
use crate::row::RawImage;
use crate::sample::WindowRows;
use crate::source::Object;
use crate::stages::{Stage, StageClock};
use crate::train_set::TrainSet;
use configs::Workers;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that read windows: of local disks, which answer at once, on that many cores or more, and
/// over a network. Each may hold the largest page of a row group.
const READERS: (usize, usize) = (2, 16);

/// One slot of a global batch, before its row is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// The stream.
    pub stream: usize,
    /// The source.
    pub source: usize,
    /// How often the source was read through before.
    pub pass: u64,
    /// The window that holds the row.
    pub window: Window,
    /// The slot's place in the window.
    pub index: usize,
    /// Number of the sample in the epoch, over all ranks.
    pub number: u64,
}

/// The slots of a rank's batches, one batch after the other, for ever.
#[derive(Clone)]
pub(crate) struct Slots {
    mixture: Arc<Mixture>,
    streams: Range<usize>,
    cursor: Cursor,
    /// The order of the pass that each source is in, by (source, pass).
    passes: HashMap<(usize, u64), Arc<EpochOrder>>,
}

impl Slots {
    /// Those of some streams, from a batch on.
    pub fn new(mixture: Arc<Mixture>, streams: Range<usize>, cursor: Cursor) -> Self {
        Self { mixture, streams, cursor, passes: HashMap::new() }
    }

    /// The next batch's epoch and slots.
    pub fn next_batch(&mut self) -> (u64, Vec<Planned>) {
        let Cursor { epoch, batch } = self.cursor;
        let mixture = self.mixture.clone();
        let (per_stream, num_streams) = (mixture.per_stream(), mixture.sources()[0].num_streams());
        let mut slots = Vec::with_capacity(self.streams.len() * per_stream as usize);
        for stream in self.streams.clone() {
            for j in 0..per_stream {
                let place = mixture.place(stream, epoch, batch, j);
                let order = self.pass(place.source, place.pass);
                let window = order.window(stream, place.position);
                slots.push(Planned {
                    stream,
                    source: place.source,
                    pass: place.pass,
                    window,
                    index: (place.position - window.first) as usize,
                    number: (batch * num_streams as u64 + stream as u64) * per_stream + j,
                });
            }
        }
        self.cursor = Cursor { epoch, batch: batch + 1 }.wrapped(self.mixture.batches_per_epoch());
        (epoch, slots)
    }

    /// The order of one pass over a source.
    pub fn pass(&mut self, source: usize, pass: u64) -> Arc<EpochOrder> {
        // Streams may be a pass apart; older ones are not needed again.
        self.passes.retain(|(other, p), _| *other != source || p + 2 > pass);
        let order = &self.mixture.sources()[source];
        self.passes.entry((source, pass)).or_insert_with(|| Arc::new(order.epoch(pass))).clone()
    }
}

/// A window to read.
struct Load {
    source: usize,
    stream: usize,
    order: Arc<EpochOrder>,
    window: Window,
}

/// The windows of a rank's streams, in the order in which batches need them.
pub(crate) struct Windows {
    pipeline: Pipeline<Vec<Arc<WindowRows>>>,
    /// By stream and source: the window in use.
    current: HashMap<(usize, usize), (u64, u64, Arc<WindowRows>)>,
}

impl Windows {
    /// Starts reading what the batches of `slots` need.
    pub fn start(set: &TrainSet, slots: Slots, clock: &Arc<StageClock>) -> Result<Self, DataError> {
        let objects = || set.sources.iter().flat_map(|source| &source.shards.files);
        let remote = objects().any(|file| Object::is_remote(&file.object));
        // More than one window ahead of each stream would only fill the memory.
        let num_windows = slots.streams.len() * set.sources.len();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let num_readers = if remote { READERS.1 } else { READERS.0.min(cores) }.min(num_windows);
        // A stream reads on where it stopped, so each has a reader of its own.
        let readers: HashMap<(usize, usize), Mutex<Reader>> = slots
            .streams
            .clone()
            .flat_map(|stream| (0..set.sources.len()).map(move |source| (stream, source)))
            .map(|key| {
                let shards = set.sources[key.1].shards.clone();
                (key, Mutex::new(Reader::new(shards, KEEP_OPEN_BYTES / num_windows.max(1) as u64)))
            })
            .collect();
        let clock = clock.clone();
        let pipeline = Pipeline::start(
            Plan { workers: Workers::Count(num_readers), share: 1, ahead: num_readers },
            move |out| {
                let mut slots = slots;
                let mut current = HashMap::new();
                loop {
                    let (_, batch) = slots.next_batch();
                    for slot in batch {
                        let window = (slot.pass, slot.window.first);
                        let key = (slot.stream, slot.source);
                        if current.insert(key, window) == Some(window) {
                            continue;
                        }
                        if !out.wait() {
                            return Ok(());
                        }
                        let Planned { stream, source, window, pass, .. } = slot;
                        let order = slots.pass(source, pass);
                        out.send(vec![Load { source, stream, order, window }]);
                    }
                }
            },
            move |load: Load| {
                let Load { source, stream, order, window } = load;
                clock.time(Stage::Read, || {
                    let reader = readers.get(&(stream, source)).ok_or(DataError::Stopped)?;
                    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                    read_window(&mut reader, &order, window).map(Arc::new)
                })
            },
            // A group is one window.
            |windows| windows,
        )?;
        Ok(Self { pipeline, current: HashMap::new() })
    }

    /// The rows of a slot's window. Slots must come as [`Slots`] gives them.
    pub fn rows(&mut self, slot: &Planned) -> Result<Arc<WindowRows>, DataError> {
        let key = (slot.stream, slot.source);
        if let Some((pass, first, rows)) = self.current.get(&key)
            && (*pass, *first) == (slot.pass, slot.window.first)
        {
            return Ok(rows.clone());
        }
        self.current.remove(&key); // let go of the old window before the new one comes
        let mut windows = self.pipeline.next().unwrap_or(Err(DataError::Stopped))?;
        let rows = windows.pop().ok_or(DataError::Stopped)?;
        self.current.insert(key, (slot.pass, slot.window.first, rows.clone()));
        Ok(rows)
    }
}

/// Reads a window. Where none of its rows can be used, for a damaged page hides them or they have
/// no picture, the next window of the stream that has any stands in for it.
fn read_window(
    reader: &mut Reader,
    order: &EpochOrder,
    window: Window,
) -> Result<WindowRows, DataError> {
    let mut lost = Vec::new();
    let mut from = window;
    loop {
        let mut rows = Vec::with_capacity(from.rows as usize);
        for segment in order.segments(&from) {
            reader.read(segment, |row| rows.push(row))?;
        }
        let permutation = order.permutation(&from);
        let next = order.window_after(&from);
        if rows.iter().any(|row| row.image != RawImage::None) || next == window {
            return Ok(WindowRows { rows, order: permutation, lost });
        }
        if from == window {
            lost = rows;
        }
        from = next;
    }
}
