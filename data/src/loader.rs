//! The training loader: an endless sequence of batches whose content and order follow from the
//! shards, the batch size, the seed and the cursor alone.

use crate::bad::{BadRow, Ledger};
use crate::batch::pad;
use crate::mixture::Mixture;
use crate::order::{Order, num_streams, streams_of};
use crate::pipeline::{Emitter, Pipeline, Plan};
use crate::rng::fingerprint;
use crate::sample::{Recipe, Sample, Slot};
use crate::stages::{Stage, StageClock, StageTimes};
use crate::text::Dropout;
use crate::windows::{Slots, Windows};
use crate::{Batch, Counts, DataError, PixelMemory, Preprocessor, Tokenizer, TrainSet};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process's part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// This process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub world: usize,
    /// Processes of this machine, which share its cores.
    pub local_world: usize,
}

impl Shard {
    /// All of it: one process.
    pub const WHOLE: Self = Self { rank: 0, world: 1, local_world: 1 };
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
    /// The names of several sources.
    sources: Vec<String>,
    ledger: Ledger,
    counts: Counts,
    clock: Arc<StageClock>,
    stop: Arc<AtomicBool>,
}

/// A batch, and what was met on the way to it.
struct Gathered {
    batch: Batch,
    bad: Vec<BadRow>,
    truncated: u64,
    /// Rows by source.
    rows: Vec<u64>,
}

impl Loader {
    /// Opens the shards of `cfg.train` and starts reading at `from`; [`Loader::over`] a set that
    /// was just opened.
    ///
    /// # Errors
    /// Those of [`TrainSet::open`] and of [`Loader::over`].
    pub fn open(
        cfg: &configs::Data,
        tokenizer: Arc<Tokenizer>,
        picture: &Preprocessor,
        batch_size: usize,
        seed: u64,
        shard: Shard,
        from: Cursor,
    ) -> Result<Self, DataError> {
        let set = TrainSet::open(cfg, None)?;
        Self::over(&set, cfg, tokenizer, picture, batch_size, seed, shard, from)
    }

    /// Starts reading a training set at `from`.
    ///
    /// `batch_size` is N, the rows of a global batch; this process gets N / `shard.world` of them.
    ///
    /// # Errors
    /// Fewer rows than a batch; streams, processes and batch size that do not divide one another;
    /// a cursor beyond the epoch.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own of where a run is")]
    pub fn over(
        set: &TrainSet,
        cfg: &configs::Data,
        tokenizer: Arc<Tokenizer>,
        picture: &Preprocessor,
        batch_size: usize,
        seed: u64,
        shard: Shard,
        from: Cursor,
    ) -> Result<Self, DataError> {
        check_augment(&cfg.augment)?;
        let mixture = mixture(set, cfg, batch_size, seed)?;
        let num_streams = mixture.sources()[0].num_streams();
        let windows = mixture.sources().iter().map(Order::window_rows);
        let settings = [batch_size, num_streams].map(|setting| setting as u64);
        let fingerprint = set.fingerprint(settings.into_iter().chain(windows));
        let streams = streams_of(num_streams, shard.rank, shard.world)?;
        let batches_per_epoch = mixture.batches_per_epoch();
        if from.batch > batches_per_epoch {
            return Err(DataError::Cursor { batch: from.batch, batches: batches_per_epoch });
        }
        let cursor = from.wrapped(batches_per_epoch);
        let num_rows = set.num_rows();
        let mut ledger = Ledger::new(cfg.max_bad_fraction, num_rows / shard.world as u64)?;
        ledger.note(set.warnings());

        let clock = Arc::new(StageClock::default());
        let (picture, augment) = (picture.clone(), cfg.augment);
        let dropout = Dropout::new(&cfg.text)?;
        let (size, pad_id) = (picture.size, tokenizer.pad_id());
        let recipe = Recipe { tokenizer, picture, augment, dropout, seed, clock: clock.clone() };
        let slots = Slots::new(Arc::new(mixture), streams, cursor);
        let windows = Windows::start(set, slots.clone(), &clock)?;
        let (memory, gather_clock) = (set.pixels.clone(), clock.clone());
        let joining = memory.clone();
        let num_sources = set.sources.len();
        let pipeline = Pipeline::start(
            Plan { workers: cfg.workers, share: shard.local_world, ahead: cfg.prefetch },
            move |out| assemble(windows, slots, &*memory, size, out),
            move |slot: Slot| recipe.fill(slot),
            move |samples| {
                gather_clock
                    .time(Stage::Gather, || gather(samples, size, pad_id, num_sources, &*joining))
            },
        )?;
        let names = set.sources.iter().map(|source| source.name.clone());
        let names: Vec<String> = if num_sources > 1 { names.collect() } else { vec![] };
        let zeros = names.iter().map(|name| (name.clone(), 0)).collect();
        Ok(Self {
            pipeline,
            cursor,
            batches_per_epoch,
            num_rows,
            fingerprint,
            sources: names,
            ledger,
            counts: Counts { sources: zeros, ..Counts::default() },
            clock,
            stop: set.stop.clone(),
        })
    }

    /// The next batch of this rank. Never ends: epochs follow one another.
    ///
    /// # Errors
    /// A shard that cannot be read; too many unusable rows; a panic in a data thread. After an
    /// error the loader gives only [`DataError::Stopped`].
    #[expect(clippy::should_implement_trait, reason = "an endless, fallible sequence")]
    pub fn next(&mut self) -> Result<Batch, DataError> {
        let Gathered { batch, bad, truncated, rows } =
            self.pipeline.next().unwrap_or(Err(DataError::Stopped))?;
        for row in &bad {
            self.ledger.add(row, &mut self.counts)?;
        }
        self.counts.rows += batch.len() as u64;
        for (name, rows) in self.sources.iter().zip(rows) {
            *self.counts.sources.entry(name.clone()).or_default() += rows;
        }
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
    /// file order, so that rewritten shards are noticed, the sources' weights, the batch size, the
    /// streams and the window. A cursor continues the same sequence only where this is equal.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl Cursor {
    /// The end of an epoch is the start of the next.
    pub(crate) fn wrapped(self, batches: u64) -> Self {
        if self.batch < batches { self } else { Self { epoch: self.epoch + 1, batch: 0 } }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Requests that are under way are not waited for.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The order of all sources of a set.
fn mixture(
    set: &TrainSet,
    cfg: &configs::Data,
    batch_size: usize,
    seed: u64,
) -> Result<Mixture, DataError> {
    let num_streams = num_streams(cfg.shuffle.streams, batch_size)?;
    let orders = set.sources.iter().enumerate().map(|(i, source)| {
        let group_rows = source.shards.groups.iter().map(|group| group.rows).collect();
        let seed = TrainSet::seed(seed, i);
        Order::new(group_rows, num_streams, set.window_rows(i, &cfg.shuffle, num_streams), seed)
    });
    let orders = orders.collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<f64> = set.sources.iter().map(|source| source.weight).collect();
    Mixture::new(orders, &weights, batch_size, seed)
}

/// Sends a group of slots per batch, for ever, as soon as their windows are read.
fn assemble(
    mut windows: Windows,
    mut slots: Slots,
    memory: &dyn PixelMemory,
    size: usize,
    out: &mut Emitter<Slot>,
) -> Result<(), DataError> {
    while out.wait() {
        let (epoch, planned) = slots.next_batch();
        let parts = memory.slots(planned.len(), size * size * 3).map_err(DataError::PixelMemory)?;
        let group = planned.iter().zip(parts).map(|(slot, pixels)| {
            let window = windows.rows(slot)?;
            let (index, number, source) = (slot.index, slot.number, slot.source);
            Ok(Slot { window, index, epoch, number, source, pixels })
        });
        out.send(group.collect::<Result<_, DataError>>()?);
    }
    Ok(())
}

fn gather(
    samples: Vec<Sample>,
    size: usize,
    pad_id: i64,
    num_sources: usize,
    memory: &dyn PixelMemory,
) -> Gathered {
    let (token_ids, length) = pad(samples.iter().map(|s| s.text.ids.as_slice()), pad_id);
    let truncated = samples.iter().filter(|s| s.text.truncated).count() as u64;
    let num_rows = samples.len();
    let (mut products, mut weights) = (Vec::with_capacity(num_rows), Vec::with_capacity(num_rows));
    let (mut captions, mut numbers) = (Vec::with_capacity(num_rows), Vec::with_capacity(num_rows));
    let (mut ids, mut parts) = (Vec::with_capacity(num_rows), Vec::with_capacity(num_rows));
    let (mut all_bad, mut rows) = (Vec::new(), vec![0; num_sources]);
    let epoch = samples.first().map_or(0, |sample| sample.epoch);
    for Sample { pixels, text, weight, product, id, number, source, bad, .. } in samples {
        captions.push(fingerprint(text.ids.iter().map(|id| id.cast_unsigned())));
        parts.push(pixels);
        products.push(product);
        weights.push(weight);
        numbers.push(number);
        ids.push(id);
        rows[source] += 1;
        all_bad.extend(bad);
    }
    let batch = Batch {
        pixels: memory.join(parts),
        size,
        token_ids,
        length,
        products,
        captions,
        weights,
        samples: ids,
        numbers,
        epoch,
    };
    Gathered { batch, bad: all_bad, truncated, rows }
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
    let chances = [
        ("data.augment.flip", augment.flip),
        ("data.augment.color_jitter_prob", augment.color_jitter_prob),
        ("data.augment.gray_scale_prob", augment.gray_scale_prob),
    ];
    for (field, chance) in chances {
        if !(0.0..=1.0).contains(&chance) {
            return refuse(field, "a number in [0, 1]", chance.to_string());
        }
    }
    let [brightness, contrast, saturation, hue] = augment.color_jitter;
    let amounts = [brightness, contrast, saturation].iter().all(|&a| a >= 0.0 && a.is_finite());
    if !(amounts && (0.0..=0.5).contains(&hue)) {
        let expected = "brightness, contrast, saturation (each 0 or more) and hue (0 to 0.5)";
        let found = format!("{:?}", augment.color_jitter);
        return refuse("data.augment.color_jitter", expected, found);
    }
    Ok(())
}
