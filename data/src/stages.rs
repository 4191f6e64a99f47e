//! Where the loader's threads spend their time, stage by stage.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time by stage, summed over all threads that work at it, since the loader was opened. Wall time:
/// a thread that waits for a disk or for its turn on a core counts as working.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Getting encoded rows: reading shards and picture files, decompressing pages.
    pub read: Duration,
    /// Drawing, cleaning and tokenising captions.
    pub tokenise: Duration,
    /// Encoded pictures to pixels.
    pub decode: Duration,
    /// Cropping, resizing and the other augmentation.
    pub transform: Duration,
    /// Putting samples together to batches.
    pub gather: Duration,
    /// Pictures that were decoded, or tried.
    pub pictures: u64,
    /// Their encoded size in bytes.
    pub encoded_bytes: u64,
}

impl StageTimes {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            read: self.read.saturating_sub(earlier.read),
            tokenise: self.tokenise.saturating_sub(earlier.tokenise),
            decode: self.decode.saturating_sub(earlier.decode),
            transform: self.transform.saturating_sub(earlier.transform),
            gather: self.gather.saturating_sub(earlier.gather),
            pictures: self.pictures - earlier.pictures,
            encoded_bytes: self.encoded_bytes - earlier.encoded_bytes,
        }
    }
}

/// A stage of the loader.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Read,
    Tokenise,
    Decode,
    Transform,
    Gather,
}

/// Counts what [`StageTimes`] tells; shared by all threads of a loader.
#[derive(Default)]
pub(crate) struct StageClock {
    /// By [`Stage`].
    nanos: [AtomicU64; 5],
    pictures: AtomicU64,
    encoded_bytes: AtomicU64,
}

impl StageClock {
    /// Does `work` and counts its time, about 50 ns more of it.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.add(stage, start.elapsed());
        done
    }

    /// Counts time that a stage took.
    pub fn add(&self, stage: Stage, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos[stage as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    /// Counts an encoded picture.
    pub fn picture(&self, bytes: usize) {
        self.pictures.fetch_add(1, Ordering::Relaxed);
        self.encoded_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn times(&self) -> StageTimes {
        let time = |stage| Duration::from_nanos(self.nanos[stage as usize].load(Ordering::Relaxed));
        StageTimes {
            read: time(Stage::Read),
            tokenise: time(Stage::Tokenise),
            decode: time(Stage::Decode),
            transform: time(Stage::Transform),
            gather: time(Stage::Gather),
            pictures: self.pictures.load(Ordering::Relaxed),
            encoded_bytes: self.encoded_bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_own_time() {
        let clock = StageClock::default();
        let pause = Duration::from_millis(3);
        assert_eq!(clock.time(Stage::Decode, || (std::thread::sleep(pause), 5)).1, 5);
        clock.picture(700);
        let first = clock.times();
        assert!(first.decode >= pause, "{first:?}");
        assert_eq!(
            first,
            StageTimes {
                decode: first.decode,
                pictures: 1,
                encoded_bytes: 700,
                ..StageTimes::default()
            }
        );
        clock.time(Stage::Gather, || std::thread::sleep(pause));
        let later = clock.times().since(&first);
        assert!(
            later.gather >= pause && later.decode.is_zero() && later.pictures == 0,
            "{later:?}"
        );
    }
}
