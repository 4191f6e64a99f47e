//! Times training steps as `vlclip train` does them: our side of the step benchmarks.
//!
//! On a CPU `tests/peers/bench.py` runs it in turn with open_clip (`bench_step.py`), on a GPU
//! `bench_gpu.py` does (`bench_gpu_step.py`). Steps are timed in blocks: the clock is read where
//! the device has nothing left to do, which is before and after each block.

mod exchange;
mod feed;
mod stages;

use anyhow::{Result, ensure};
use clap::Parser;
use configs::{Decay, GradientDtype, Optim, Precision, Recompute, Schedule};
use data::Preprocessor;
use feed::Feed;
use native::DelayedScalar;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tch::{Cuda, Device, Kind, Tensor};
use train::dist::Group;
use train::loss::Rows;
use train::model::{Clip, ClipSpec, Source};
use train::step::{Gradients, Inputs};
use train::{AdamW, learning_rate, not_finite};

#[derive(Parser)]
struct Args {
    /// A Hugging Face CLIP `config.json`.
    #[arg(long, default_value = "configs/models/vit-b-32.json")]
    config: PathBuf,
    /// `auto`, `cpu` or `cuda`.
    #[arg(long, default_value = "cpu", value_parser = setting::<configs::Device>)]
    device: configs::Device,
    /// What `bench_step.py --write-inputs` wrote. Without it and without `--shards` one batch is
    /// drawn on the device and serves every step.
    #[arg(long, conflicts_with = "shards")]
    inputs: Option<PathBuf>,
    /// A folder of shards as the quick start prepares them, made where it does not exist: read by the loader.
    #[arg(long)]
    shards: Option<PathBuf>,
    /// Pairs of a step; a file of inputs states its own.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens of each drawn caption; left out: the whole context.
    #[arg(long)]
    tokens: Option<i64>,
    /// `precision` of a run's configuration.
    #[arg(long, default_value = "f32", value_parser = setting::<Precision>)]
    precision: Precision,
    /// `memory.recompute` of a run's configuration.
    #[arg(long, default_value = "none", value_parser = setting::<Recompute>)]
    recompute: Recompute,
    /// Threads of libtorch on the CPU.
    #[arg(long, default_value_t = 2)]
    threads: i32,
    #[arg(long, default_value_t = 5)]
    steps: usize,
    #[arg(long, default_value_t = 2)]
    warmup: usize,
    /// Steps between two readings of the clock.
    #[arg(long, default_value_t = 1)]
    block: usize,
    /// Times the stages of a step one by one instead, the device idle between them.
    #[arg(long)]
    stages: bool,
    /// Checks and times exchanges in a group of one process instead: NCCL's on a GPU.
    #[arg(long, conflicts_with = "stages")]
    exchange: bool,
}

// The settings of bench_step.py, which are open_clip's.
const OPTIM: Optim =
    Optim { lr: 5e-4, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2, max_grad_norm: None };
const SCHEDULE: Schedule = Schedule { kind: Decay::Cosine, warmup_steps: 0, final_fraction: 0.0 };

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.steps > 0, "--steps: expected at least 1, found 0");
    tch::set_num_threads(args.threads);
    tch::manual_seed(0);
    let device = train::device::pick(args.device, 0)?;
    native::set_device(device)?;
    if args.exchange {
        return exchange::check(device, args.steps);
    }
    let spec = ClipSpec::read(&args.config)?;
    let picture = Preprocessor::clip(usize::try_from(spec.vision.image_size)?);
    let mut feed = Feed::open(&args, &spec, &picture, device)?;
    let kind = if args.precision == Precision::PureBf16 { Kind::BFloat16 } else { Kind::Float };
    let mut model = Clip::new(feed.fitted(spec), Source::Random, &picture, device, kind)?;
    model.set_recompute(args.recompute);
    println!(
        "{}",
        json!({
            "program": "vlclip",
            "torch": native::libtorch_version(),
            "parameters": model.params().iter().map(|p| p.value.numel()).sum::<usize>(),
            "batch": feed.batch_size(),
        })
    );
    let optim = AdamW::new(model.params(), &OPTIM);
    if args.stages {
        return stages::time(&args, &model, optim, &mut feed);
    }
    let group = Group::alone();
    let (loss, dtype) = (configs::Loss::default(), GradientDtype::F32);
    let gradients = Gradients::new(&model, loss, args.precision, feed.batch_size(), &group, dtype)?;
    let mut trainer = Trainer { model, optim, gradients, num_steps: 0 };
    measure(&args, &mut trainer, &mut feed)
}

/// What one optimiser step needs, as in `train::train`.
struct Trainer<'a> {
    model: Clip,
    optim: AdamW,
    gradients: Gradients<'a>,
    num_steps: u64,
}

impl Trainer<'_> {
    /// One step; its loss, an f32 scalar that is not waited for.
    fn step(&mut self, inputs: &Inputs, rows: &Rows) -> Result<Tensor> {
        let (found, _) = self.gradients.accumulate(&self.model, inputs, rows, None)?;
        update(&self.model, &mut self.optim, &found.loss, self.num_steps)?;
        self.num_steps += 1;
        Ok(found.loss)
    }
}

/// The norm of the gradients, AdamW, and the bound on the temperature.
fn update(model: &Clip, optim: &mut AdamW, loss: &Tensor, num_steps: u64) -> Result<()> {
    let grad_norm = optim.clip_grad_norm()?;
    let lr = learning_rate(&SCHEDULE, OPTIM.lr, num_steps, 10_000);
    optim.step(lr, Some(&not_finite(&[loss, &grad_norm])))?;
    model.clamp_logit_scale();
    Ok(())
}

fn measure(args: &Args, trainer: &mut Trainer, feed: &mut Feed) -> Result<()> {
    let device = trainer.model.device();
    for step in 0..args.warmup {
        report(step, true, &run(1, trainer, feed)?);
    }
    native::reset_peak(device)?;
    let (mut seconds, mut waits) = (Vec::new(), Vec::new());
    for start in (0..args.steps).step_by(args.block.max(1)) {
        let block = run(args.block.max(1).min(args.steps - start), trainer, feed)?;
        report(args.warmup + start, false, &block);
        seconds.push(block.seconds);
        waits.push(block.data_wait);
    }
    let peak_gpu = native::gpu_memory(device)?.map(|memory| memory.peak as f64 / MIB);
    let median_s = median(&mut seconds);
    println!(
        "{}",
        json!({
            "median_s": median_s,
            "samples_per_s": feed.batch_size() as f64 / median_s,
            "data_wait": waits.iter().sum::<f64>() / waits.len() as f64,
            "peak_rss_mib": peak_rss_mib(),
            "peak_gpu_mib": peak_gpu,
        })
    );
    Ok(())
}

/// Steps between two readings of the clock.
struct Block {
    /// Of one step, on average.
    seconds: f64,
    /// The share of the time that the host waited for a batch.
    data_wait: f64,
    /// Of the last step.
    loss: f64,
}

fn run(num_steps: usize, trainer: &mut Trainer, feed: &mut Feed) -> Result<Block> {
    synchronize(trainer.model.device());
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    let mut unread: Option<DelayedScalar> = None;
    let mut loss = Tensor::from(f32::NAN);
    for _ in 0..num_steps {
        let asked = Instant::now();
        let batch = feed.next_batch()?;
        waited += asked.elapsed();
        let (inputs, rows) = feed.prepare(batch, trainer.model.logit_scale())?;
        loss = trainer.step(&inputs, &rows)?;
        // As in a run: batches are uploaded one step ahead of the device, no further.
        if feed.uploads()
            && let Some(before) = unread.replace(DelayedScalar::start(&loss)?)
        {
            before.get()?;
        }
    }
    synchronize(trainer.model.device());
    let took = start.elapsed().as_secs_f64();
    Ok(Block {
        seconds: took / num_steps as f64,
        data_wait: waited.as_secs_f64() / took,
        loss: f64::try_from(&loss)?,
    })
}

fn report(step: usize, warmup: bool, block: &Block) {
    let Block { seconds, data_wait, loss } = block;
    println!(
        "{}",
        json!({"step": step, "warmup": warmup, "seconds": seconds, "data_wait": data_wait,
               "loss": loss})
    );
}

const MIB: f64 = 1_048_576.0;

/// Waits until a GPU has nothing left to do.
fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// The middle one of at least one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A value of the configuration, by its name there.
fn setting<T: DeserializeOwned>(name: &str) -> Result<T, value::Error> {
    T::deserialize(name.into_deserializer())
}

/// The largest resident memory of this process so far (VmHWM), in MiB.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
