//! Times training steps on inputs that lie in memory: our side of the step benchmark.
//! `tests/peers/bench_step.py` is open_clip's side and says what a step is; `tests/peers/bench.py`
//! runs both in turn.

use anyhow::Result;
use checkpoints::TensorFile;
use clap::Parser;
use configs::{Decay, Optim, Precision, Schedule};
use data::Preprocessor;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use train::dist::Group;
use train::loss::Rows;
use train::model::{Clip, ClipSpec, Source};
use train::step::{Gradients, Inputs};
use train::{AdamW, learning_rate, tensors};

#[derive(Parser)]
struct Args {
    /// What `bench_step.py --write-inputs` wrote.
    #[arg(long)]
    inputs: PathBuf,
    /// A Hugging Face CLIP `config.json`.
    #[arg(long, default_value = "configs/models/vit-b-32.json")]
    config: PathBuf,
    /// `f32` or `bf16`.
    #[arg(long, default_value = "f32")]
    precision: String,
    #[arg(long, default_value_t = 2)]
    threads: i32,
    #[arg(long, default_value_t = 5)]
    steps: usize,
    #[arg(long, default_value_t = 2)]
    warmup: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tch::set_num_threads(args.threads);
    tch::manual_seed(0);
    let precision = if args.precision == "bf16" { Precision::Bf16 } else { Precision::F32 };
    let spec = ClipSpec::read(&args.config)?;
    let picture = Preprocessor::clip(usize::try_from(spec.vision.image_size)?);
    let model = Clip::new(spec, Source::Random, &picture, Device::Cpu, Kind::Float)?;
    // The settings of bench_step.py, which are open_clip's.
    let cfg =
        Optim { lr: 5e-4, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2, max_grad_norm: None };
    let schedule = Schedule { kind: Decay::Cosine, warmup_steps: 0, final_fraction: 0.0 };
    let mut optim = AdamW::new(model.params(), &cfg);

    let file = TensorFile::open(&args.inputs)?;
    let read = |name: &str| -> Result<Tensor> { Ok(tensors::from_stored(&file.tensor(name)?)?) };
    let (pixels, ids, lengths) = (read("pixels")?, read("ids")?, read("lengths")?);
    let batches: Vec<Inputs> = (0..ids.size()[0])
        .map(|n| Inputs {
            pixels_BHWC: pixels.get(n),
            // The loader stops at a batch's longest caption.
            ids_BT: ids.get(n).narrow(1, 0, lengths.get(n).max().int64_value(&[])),
            patches_BK: None,
        })
        .collect();
    drop((pixels, ids));

    let rows_per_batch = usize::try_from(batches[0].ids_BT.size()[0])?;
    let products: Vec<u64> = (0..rows_per_batch as u64).collect();
    let weights = vec![1.0; rows_per_batch];
    let loss_cfg = configs::Loss::default();
    let group = Group::alone();
    let dtype = configs::GradientDtype::F32;
    let mut gradients = Gradients::new(&model, loss_cfg, precision, rows_per_batch, &group, dtype)?;
    let mut seconds = Vec::new();
    for step in 0..args.warmup + args.steps {
        let inputs = &batches[step % batches.len()];
        let start = Instant::now();
        let own = 0..rows_per_batch;
        let like = model.logit_scale();
        let rows = Rows::new(&products, &products, &weights, own, &loss_cfg, like);
        let (found, _) = gradients.accumulate(&model, inputs, &rows, None)?;
        optim.step(learning_rate(&schedule, cfg.lr, step as u64, 1000), None)?;
        model.clamp_logit_scale();
        let loss = f64::try_from(&found.loss)?;
        let took = start.elapsed().as_secs_f64();
        println!("{}", json!({"step": step, "seconds": took, "loss": loss}));
        if step >= args.warmup {
            seconds.push(took);
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "{}",
        json!({
            "median_s": median,
            "samples_per_s": rows_per_batch as f64 / median,
            "peak_rss_mib": peak_rss_mib(),
        })
    );
    Ok(())
}

/// The largest resident memory of this process so far (VmHWM), in MiB.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
