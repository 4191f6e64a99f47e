//! The loader by itself: samples per second, stage by stage.

use crate::{DataError, Loader, StageTimes};
use configs::Workers;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// This many batches came.
    Batches(u64),
    /// This much time passed.
    Elapsed(Duration),
}

/// How fast a loader gave batches, and where its time went.
#[derive(Debug)]
pub struct Throughput {
    rows: u64,
    batch: usize,
    /// Threads that decode.
    workers: usize,
    /// Cores that this process may use.
    cores: usize,
    /// From nothing to an open loader, and to the first batch.
    open: Duration,
    first_batch: Duration,
    /// Measured batches and their samples.
    batches: u64,
    samples: u64,
    wall: Duration,
    cpu: Duration,
    /// Time of the threads in the measured time.
    stages: StageTimes,
    /// The most memory that was resident, in bytes.
    peak_bytes: u64,
    /// Unusable rows and cut captions of all batches.
    bad: u64,
    truncated: u64,
    /// What the loader warned of.
    pub warnings: Vec<String>,
}

impl Throughput {
    /// Opens a loader and takes batches from it as fast as they come, `each` told how many there
    /// were. The clock starts with the second batch, when all threads are at work. `cpu_time` is
    /// what this process has used so far.
    ///
    /// # Errors
    /// Those of the loader; the system does not tell the process's memory.
    pub fn measure(
        cfg: &configs::Data,
        open: impl FnOnce() -> Result<Loader, DataError>,
        until: Until,
        cpu_time: impl Fn() -> Duration,
        mut each: impl FnMut(u64),
    ) -> Result<Self, DataError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = match cfg.workers {
            Workers::Auto => cores,
            Workers::Count(count) => count,
        };
        let start = Instant::now();
        let mut loader = open()?;
        let opened = start.elapsed();
        let batch = loader.next()?.len();
        let first_batch = start.elapsed();

        let (start, cpu, stages) = (Instant::now(), cpu_time(), loader.stage_times());
        let enough = |batches: u64| match until {
            Until::Batches(wanted) => batches >= wanted,
            Until::Elapsed(wanted) => start.elapsed() >= wanted,
        };
        let (mut batches, mut samples) = (0, 0);
        while !enough(batches) {
            samples += loader.next()?.len() as u64;
            batches += 1;
            each(batches);
        }
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let stages = loader.stage_times().since(&stages);
        let counts = loader.counts();
        Ok(Self {
            rows: loader.num_rows(),
            batch,
            workers,
            cores,
            open: opened,
            first_batch,
            batches,
            samples,
            wall,
            cpu,
            stages,
            peak_bytes: peak_bytes()?,
            bad: counts.bad.values().sum(),
            truncated: counts.truncated,
            warnings: loader.drain_warnings(),
        })
    }

    fn samples_per_s(&self) -> f64 {
        self.samples as f64 / self.wall.as_secs_f64()
    }

    /// Of the cores that are at work: no more than there are threads.
    fn samples_per_s_and_core(&self) -> f64 {
        self.samples_per_s() / self.cores.min(self.workers).max(1) as f64
    }

    fn samples_per_cpu_s(&self) -> f64 {
        self.samples as f64 / self.cpu.as_secs_f64()
    }

    /// In 10^6 bytes of encoded pictures.
    fn encoded_mb_per_s(&self) -> f64 {
        self.stages.encoded_bytes as f64 / 1e6 / self.wall.as_secs_f64()
    }

    fn stage_seconds(&self) -> [(&'static str, f64); 5] {
        let StageTimes { read, tokenise, decode, transform, gather, .. } = &self.stages;
        let stages = [
            ("read", read),
            ("decode", decode),
            ("transform", transform),
            ("tokenise", tokenise),
            ("gather", gather),
        ];
        stages.map(|(name, time)| (name, time.as_secs_f64()))
    }

    /// One JSON object on a line.
    pub fn to_json(&self) -> String {
        let stages: serde_json::Map<_, _> =
            self.stage_seconds().map(|(name, s)| (name.to_owned(), s.into())).into_iter().collect();
        let report = json!({
            "rows": self.rows,
            "batch": self.batch,
            "workers": self.workers,
            "cores": self.cores,
            "open_s": self.open.as_secs_f64(),
            "first_batch_s": self.first_batch.as_secs_f64(),
            "batches": self.batches,
            "samples": self.samples,
            "wall_s": self.wall.as_secs_f64(),
            "cpu_s": self.cpu.as_secs_f64(),
            "samples_per_s": self.samples_per_s(),
            "samples_per_s_and_core": self.samples_per_s_and_core(),
            "samples_per_cpu_s": self.samples_per_cpu_s(),
            "encoded_mb_per_s": self.encoded_mb_per_s(),
            "peak_rss_bytes": self.peak_bytes,
            "bad_rows": self.bad,
            "truncated": self.truncated,
            "stage_s": stages,
        });
        report.to_string() + "\n"
    }

    /// A text for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} rows, batches of {}; {} worker threads, {} cores\n\
             opened in {:.2} s, first batch after {:.2} s; {} rows unusable, {} captions cut\n\n\
             {} batches ({} samples) in {:.2} s\n\
             {:>10.1} samples/s\n\
             {:>10.1} samples/s per core\n\
             {:>10.1} samples per second of CPU time\n\
             {:>10.1} MB/s of encoded pictures\n\
             {:>10.1} MiB of memory at most\n\n\
             stage      thread time, ms per 1,000 samples   share\n",
            self.rows,
            self.batch,
            self.workers,
            self.cores,
            self.open.as_secs_f64(),
            self.first_batch.as_secs_f64(),
            self.bad,
            self.truncated,
            self.batches,
            self.samples,
            self.wall.as_secs_f64(),
            self.samples_per_s(),
            self.samples_per_s_and_core(),
            self.samples_per_cpu_s(),
            self.encoded_mb_per_s(),
            self.peak_bytes as f64 / f64::from(1 << 20),
        );
        let stages = self.stage_seconds();
        let all: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
        for (name, seconds) in stages {
            let (each, share) =
                (seconds * 1e6 / self.stages.pictures.max(1) as f64, 100.0 * seconds / all);
            let _ = writeln!(text, "{name:<10} {each:>34.1} {share:>6.1}%");
        }
        text
    }
}

/// The most memory of this process that was resident at once (VmHWM), in bytes.
fn peak_bytes() -> Result<u64, DataError> {
    let path = Path::new("/proc/self/status");
    let io = |source| DataError::Io { path: path.into(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let kib = kib.ok_or_else(|| io(std::io::Error::other("it has no VmHWM")))?;
    Ok(kib * 1024)
}
