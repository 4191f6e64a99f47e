//! Times the loss and its gradients at random features, alone or in turn with dense autograd of
//! the same loss, and measures the memory that it needs beyond the features.

use anyhow::{Result, bail};
use clap::Parser;
use configs::{Loss, LossKind};
use serde_json::json;
use std::time::Instant;
use tch::{Device, Kind, Reduction, Tensor};
use train::loss::{Alone, Pair, Rows, contrastive};

#[derive(Parser)]
struct Args {
    /// N: rows of the batch.
    #[arg(long, default_value_t = 8192)]
    rows: i64,
    /// D: width of the features.
    #[arg(long, default_value_t = 512)]
    width: i64,
    #[arg(long, default_value_t = Loss::default().tile)]
    tile: usize,
    /// `dense`: autograd through the whole N x N matrix, timed in turn; `none`.
    #[arg(long, default_value = "dense")]
    against: String,
    /// `info_nce` or `siglip`.
    #[arg(long, default_value = "info_nce")]
    kind: String,
    /// Rows of each product, which are left out of one another's terms; 1: all are distinct.
    #[arg(long, default_value_t = 1)]
    rows_per_product: u64,
    #[arg(long, default_value_t = 0.0)]
    label_smoothing: f64,
    #[arg(long, default_value_t = 2)]
    threads: i32,
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tch::set_num_threads(args.threads);
    tch::manual_seed(0);
    let kind = match args.kind.as_str() {
        "info_nce" => LossKind::InfoNce,
        "siglip" => LossKind::Siglip,
        other => bail!("--kind: expected info_nce or siglip, found {other}"),
    };
    let dense = match args.against.as_str() {
        "dense" => true,
        "none" => false,
        other => bail!("--against: expected dense or none, found {other}"),
    };
    let label_smoothing = args.label_smoothing;
    let cfg = Loss { kind, label_smoothing, tile: args.tile, ..Loss::default() };
    let unit = || {
        let mut x = Tensor::randn([args.rows, args.width], (Kind::Float, Device::Cpu));
        x /= x.square().sum_dim_intlist([1i64].as_slice(), true, None::<Kind>).sqrt();
        x
    };
    let pair = Pair { image_BD: unit(), text_BD: unit() };
    let (scale, bias) = (Tensor::from(100f32.ln()), Tensor::from(-10f32));

    let products: Vec<u64> =
        (0..args.rows.unsigned_abs()).map(|row| row / args.rows_per_product.max(1)).collect();
    let weights = vec![1.0; products.len()];
    let ours = || -> Result<f64> {
        let own = 0..products.len();
        let rows = Rows::new(&products, &products, &weights, own, &cfg, &pair.image_BD);
        let found = contrastive(&pair, &scale, Some(&bias), &rows, &cfg, &Alone)?;
        Ok(f64::try_from(&found.loss)?)
    };

    forget_peak()?;
    let before_mib = memory_mib("VmRSS:");
    let loss = ours()?; // also warms up
    let peak_mib = memory_mib("VmHWM:") - before_mib;
    let dense_loss = if dense { Some(dense_autograd(&pair, &scale, &bias, kind)?) } else { None };

    let (mut ours_s, mut dense_s) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        let start = Instant::now();
        ours()?;
        ours_s.push(start.elapsed().as_secs_f64());
        if dense {
            let start = Instant::now();
            dense_autograd(&pair, &scale, &bias, kind)?;
            dense_s.push(start.elapsed().as_secs_f64());
        }
    }
    let (ours_s, dense_s) = (median(ours_s), median(dense_s));
    println!(
        "{}",
        json!({
            "rows": args.rows,
            "width": args.width,
            "kind": args.kind,
            "tile": args.tile,
            "threads": args.threads,
            "loss": loss,
            "dense_loss": dense_loss,
            "ours_s": ours_s,
            "dense_s": dense_s,
            "ratio": ours_s.zip(dense_s).map(|(ours, dense)| ours / dense),
            "peak_mib_beyond_features": peak_mib,
        })
    );
    Ok(())
}

/// The loss with the whole matrix in memory, all rows distinct and nothing smoothed, and its
/// gradients by autograd.
fn dense_autograd(pair: &Pair, scale: &Tensor, bias: &Tensor, kind: LossKind) -> Result<f64> {
    let leaf = |x: &Tensor| x.detach().set_requires_grad(true);
    let (image, text, scale, bias) =
        (leaf(&pair.image_BD), leaf(&pair.text_BD), leaf(scale), leaf(bias));
    let logits = (&image * scale.exp()).matmul(&text.transpose(0, 1));
    let n = image.size()[0];
    let loss = match kind {
        LossKind::InfoNce => {
            let target = Tensor::arange(n, (Kind::Int64, Device::Cpu));
            let cross_entropy = |logits: &Tensor| logits.cross_entropy_for_logits(&target);
            (cross_entropy(&logits) + cross_entropy(&logits.transpose(0, 1))) / 2.0
        }
        LossKind::Siglip => {
            let target = Tensor::eye(n, (Kind::Float, Device::Cpu));
            let none = None::<&Tensor>;
            (logits + bias).binary_cross_entropy_with_logits(&target, none, none, Reduction::Sum)
                / n as f64
        }
    };
    loss.backward();
    Ok(f64::try_from(&loss)?)
}

/// The middle one; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Sets the peak of resident memory to what is resident now.
fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// A line of `/proc/self/status` in MiB.
fn memory_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
