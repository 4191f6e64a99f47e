//! The training loader: an endless sequence of batches whose content and order follow from the
//! shards, the batch size, the seed and the cursor alone.

use crate::bad::Ledger;
use crate::batch::pad;
use crate::order::Order;
use crate::pipeline::{Emitter, Pipeline, Plan};
use crate::reader::{KEEP_OPEN_BYTES, Reader};
use crate::rng::fingerprint;
use crate::sample::{Recipe, Sample, Slot, WindowRows};
use crate::shards::Shards;
use crate::stages::{Stage, StageClock, StageTimes};
use crate::{Batch, Counts, DataError, Preprocessor, Tokenizer};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// This process's part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// This process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub world: usize,
}

impl Shard {
    /// All of it: one process.
    pub const WHOLE: Self = Self { rank: 0, world: 1 };
}

/// A position in the training data: the next batch. The same for every rank and any number of
/// ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Batch of the epoch, from 0.
    pub batch: u64,
}

/// Endless batches for training, decoded ahead by worker threads that end when it is dropped.
pub struct Loader {
    pipeline: Pipeline<Gathered>,
    cursor: Cursor,
    batches_per_epoch: u64,
    num_rows: u64,
    fingerprint: u64,
    ledger: Ledger,
    counts: Counts,
    clock: Arc<StageClock>,
}

/// A batch, and what was met on the way to it.
struct Gathered {
    batch: Batch,
    bad: Vec<crate::bad::BadRow>,
    truncated: u64,
}

impl Loader {
    /// Opens the shards of `cfg.train` and starts reading at `from`.
    ///
    /// `batch_size` is N, the rows of a global batch; this process gets N / `shard.world` of them.
    ///
    /// # Errors
    /// Shards that are missing, empty, not Parquet or lack a fitting column; fewer rows than a
    /// batch; streams, processes and batch size that do not divide one another; a cursor beyond
    /// the epoch.
    pub fn open(
        cfg: &configs::Data,
        tokenizer: Arc<Tokenizer>,
        picture: &Preprocessor,
        batch_size: usize,
        seed: u64,
        shard: Shard,
        from: Cursor,
    ) -> Result<Self, DataError> {
        check_augment(&cfg.augment)?;
        let shards = Arc::new(Shards::open(&cfg.train, &cfg.columns)?);
        let group_rows: Vec<u64> = shards.groups.iter().map(|group| group.rows).collect();
        let order =
            Order::new(group_rows, batch_size, cfg.shuffle.streams, cfg.shuffle.window_rows, seed)?;
        let settings = [batch_size, order.num_streams(), cfg.shuffle.window_rows];
        let settings = settings.map(|setting| setting as u64);
        // In the order of the files: each row group's shard, rows and size.
        let groups = shards.groups.iter();
        let groups = groups.flat_map(|g| [g.shard as u64, g.rows, g.stored_bytes]);
        let fingerprint = fingerprint(groups.chain(settings));
        let streams = order.streams_of(shard.rank, shard.world)?;
        let batches_per_epoch = order.batches_per_epoch();
        if from.batch > batches_per_epoch {
            return Err(DataError::Cursor { batch: from.batch, batches: batches_per_epoch });
        }
        let cursor = from.wrapped(batches_per_epoch);
        let num_rows = order.num_rows();
        let ledger = Ledger::new(cfg.max_bad_fraction, num_rows / shard.world as u64)?;

        let clock = Arc::new(StageClock::default());
        let (picture, augment) = (picture.clone(), cfg.augment);
        let recipe = Recipe { tokenizer, picture, augment, seed, clock: clock.clone() };
        let (size, pad_id) = (recipe.picture.size, recipe.tokenizer.pad_id());
        let pipeline = Pipeline::start(
            Plan { workers: cfg.workers, ahead: cfg.prefetch },
            {
                let clock = clock.clone();
                move |out| read(&shards, &order, streams, cursor, &clock, out)
            },
            move |slot: Slot| recipe.fill(&slot),
            {
                let clock = clock.clone();
                move |samples| clock.time(Stage::Gather, || gather(samples, size, pad_id))
            },
        )?;
        Ok(Self {
            pipeline,
            cursor,
            batches_per_epoch,
            num_rows,
            fingerprint,
            ledger,
            counts: Counts::default(),
            clock,
        })
    }

    /// The next batch of this rank. Never ends: epochs follow one another.
    ///
    /// # Errors
    /// A shard that cannot be read; too many unusable rows; a panic in a data thread. After an
    /// error the loader gives only [`DataError::Stopped`].
    #[expect(clippy::should_implement_trait, reason = "an endless, fallible sequence")]
    pub fn next(&mut self) -> Result<Batch, DataError> {
        let Gathered { batch, bad, truncated } =
            self.pipeline.next().unwrap_or(Err(DataError::Stopped))?;
        for row in &bad {
            self.ledger.add(row, &mut self.counts)?;
        }
        self.counts.rows += batch.len() as u64;
        self.counts.truncated += truncated;
        self.cursor.batch += 1;
        if self.cursor.batch == self.batches_per_epoch {
            self.ledger.next_pass();
        }
        self.cursor = self.cursor.wrapped(self.batches_per_epoch);
        Ok(batch)
    }

    /// The position of the batch that [`Loader::next`] gives next: what to save.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Full batches in an epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        self.batches_per_epoch
    }

    /// Rows of all shards.
    pub fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// What this process has handed out since opening.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Where the data threads have spent their time since opening.
    pub fn stage_times(&self) -> StageTimes {
        self.clock.times()
    }

    /// Warnings about skipped rows since the last call, few per cause.
    pub fn drain_warnings(&mut self) -> Vec<String> {
        self.ledger.drain_warnings()
    }

    /// A hash of what the sequence depends on besides the seed: the row groups' rows and sizes in
    /// file order, so that rewritten shards are noticed, the batch size, the streams and the
    /// window. A cursor continues the same sequence only where this is equal.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl Cursor {
    /// The end of an epoch is the start of the next.
    fn wrapped(self, batches: u64) -> Self {
        if self.batch < batches { self } else { Self { epoch: self.epoch + 1, batch: 0 } }
    }
}

/// Reads this rank's streams side by side and sends a group of slots per batch, for ever.
fn read(
    shards: &Arc<Shards>,
    order: &Order,
    streams: Range<usize>,
    from: Cursor,
    clock: &StageClock,
    out: &mut Emitter<Slot>,
) -> Result<(), DataError> {
    let mut cursor = from;
    let share = order.share();
    loop {
        let epoch = order.epoch(cursor.epoch);
        let mut readers: Vec<_> = streams
            .clone()
            .map(|stream| {
                (
                    stream,
                    Reader::new(shards.clone(), KEEP_OPEN_BYTES),
                    None::<(u64, Arc<WindowRows>)>,
                )
            })
            .collect();
        while cursor.batch < order.batches_per_epoch() {
            if !out.wait() {
                return Ok(());
            }
            let mut slots = Vec::with_capacity(readers.len() * share as usize);
            for (stream, reader, loaded) in &mut readers {
                for j in 0..share {
                    let position = cursor.batch * share + j;
                    let window = epoch.window(*stream, position);
                    let rows = match loaded {
                        Some((first, rows)) if *first == window.first => rows.clone(),
                        _ => {
                            *loaded = None;
                            let mut rows = Vec::with_capacity(window.rows as usize);
                            for segment in epoch.segments(&window) {
                                clock.time(Stage::Read, || {
                                    reader.read(segment, |row| rows.push(row))
                                })?;
                            }
                            let order = epoch.permutation(&window);
                            let rows = Arc::new(WindowRows { rows, order });
                            *loaded = Some((window.first, rows.clone()));
                            rows
                        }
                    };
                    slots.push(Slot {
                        window: rows,
                        index: (position - window.first) as usize,
                        epoch: cursor.epoch,
                        number: (cursor.batch * order.num_streams() as u64 + *stream as u64)
                            * share
                            + j,
                    });
                }
            }
            out.send(slots);
            cursor.batch += 1;
        }
        cursor = cursor.wrapped(order.batches_per_epoch());
    }
}

fn gather(samples: Vec<Sample>, size: usize, pad_id: i64) -> Gathered {
    let (token_ids, length) = pad(samples.iter().map(|s| s.text.ids.as_slice()), pad_id);
    let truncated = samples.iter().filter(|s| s.text.truncated).count() as u64;
    let mut batch = Batch {
        pixels: Vec::with_capacity(samples.len() * size * size * 3),
        size,
        token_ids,
        length,
        products: Vec::with_capacity(samples.len()),
        captions: Vec::with_capacity(samples.len()),
        weights: Vec::with_capacity(samples.len()),
        numbers: Vec::with_capacity(samples.len()),
        epoch: samples.first().map_or(0, |sample| sample.epoch),
        samples: Vec::with_capacity(samples.len()),
    };
    let mut all_bad = Vec::new();
    for Sample { pixels, text, weight, product, id, number, bad, .. } in samples {
        batch.captions.push(fingerprint(text.ids.iter().map(|id| id.cast_unsigned())));
        batch.numbers.push(number);
        batch.pixels.extend_from_slice(&pixels);
        batch.products.push(product);
        batch.weights.push(weight);
        batch.samples.push(id);
        all_bad.extend(bad);
    }
    Gathered { batch, bad: all_bad, truncated }
}

/// Refuses augmentation that no crop can satisfy.
fn check_augment(augment: &configs::Augment) -> Result<(), DataError> {
    let [scale_low, scale_high] = augment.scale;
    let [ratio_low, ratio_high] = augment.ratio;
    let refuse = |field, expected: &str, found: String| {
        Err(DataError::Config { field, expected: expected.into(), found })
    };
    if !(scale_low > 0.0 && scale_low <= scale_high && scale_high <= 1.0) {
        let expected = "two rising numbers in (0, 1]";
        return refuse("data.augment.scale", expected, format!("{:?}", augment.scale));
    }
    if !(ratio_low > 0.0 && ratio_low <= ratio_high && ratio_high.is_finite()) {
        let expected = "two rising positive numbers";
        return refuse("data.augment.ratio", expected, format!("{:?}", augment.ratio));
    }
    if !(0.0..=1.0).contains(&augment.flip) {
        return refuse("data.augment.flip", "a number in [0, 1]", augment.flip.to_string());
    }
    Ok(())
}
