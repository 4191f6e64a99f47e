//! How much memory a step takes, and how many rows may go through the towers at once.

use crate::dist::Group;
use crate::guard;
use crate::loss::Rows;
use crate::model::{BlocksSpec, Clip};
use crate::patches::num_kept;
use crate::step::{Gradients, Inputs};
use anyhow::{Context, Result, bail};
use configs::{GradientDtype, Positives, Precision, Recompute, RunConfig};
use std::fmt;
use tch::{Kind, Tensor};

/// What a step's memory depends on besides the model.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// B: rows of this rank.
    pub rank_rows: usize,
    /// N: rows of all ranks.
    pub global_rows: usize,
    /// Rows and columns of the similarity matrix computed at once.
    pub tile: usize,
    /// Arithmetic of the towers.
    pub precision: Precision,
    /// Which activations are computed again.
    pub recompute: Recompute,
    /// Share of patches that the image tower does not see.
    pub patch_dropout: f64,
}

impl Workload {
    /// That of a run on `world` ranks.
    pub fn of(cfg: &RunConfig, world: usize) -> Self {
        Self {
            rank_rows: cfg.batch.size / world,
            global_rows: cfg.batch.size,
            tile: cfg.loss.tile,
            precision: cfg.precision,
            recompute: cfg.memory.recompute,
            patch_dropout: cfg.model.patch_dropout,
        }
    }
}

/// Bytes of a training step on one rank, by what they hold. An estimate from shapes: allocators
/// round up, and kernels take room of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Parameters, their f32 masters, and the 16-bit casts that autocast makes of them.
    pub weights: u64,
    /// Gradients.
    pub gradients: u64,
    /// The two moments of AdamW.
    pub optimiser: u64,
    /// What the backward pass of a micro-batch needs from its forward pass.
    pub activations: u64,
    /// Pictures of the rank's rows, embeddings of all rows, tiles of the loss.
    pub batch: u64,
}

impl Estimate {
    /// For `micro` rows through the towers of `model` at once.
    pub fn new(model: &Clip, work: &Workload, micro: usize) -> Self {
        let (mut weights, mut gradients, mut optimiser) = (0, 0, 0);
        let autocast = matches!(work.precision, Precision::Bf16 | Precision::Fp16);
        for param in model.params() {
            let bytes =
                |tensor: &Tensor| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64;
            let own = bytes(&param.value);
            weights += own + param.master.as_ref().map_or(0, bytes);
            weights += if autocast { 2 * param.value.numel() as u64 } else { 0 };
            if param.value.requires_grad() {
                // Beside 16-bit gradients stand the f32 ones that update the masters.
                gradients += own + param.master.as_ref().map_or(0, bytes);
                optimiser += 2 * bytes(param.exact());
            }
        }
        let (spec, micro) = (&model.spec, micro as u64);
        let patches = usize::try_from(spec.vision.num_patches()).unwrap_or(0);
        let seen = num_kept(patches, work.patch_dropout) as u64 + 1;
        let context = spec.text.max_position_embeddings.unsigned_abs();
        let activations = micro
            * (kept_by_blocks(&spec.vision.blocks, seen, work)
                + kept_by_blocks(&spec.text.blocks, context, work));
        let pixels = 3 * spec.vision.image_size.pow(2).unsigned_abs();
        let (local, global) = (work.rank_rows as u64, work.global_rows as u64);
        // f32: two sides of the embeddings, those of all ranks, their gradients; three tiles at once.
        let features = 4 * 2 * (2 * local + global) * spec.projection_dim.unsigned_abs();
        let side = |rows: u64| (work.tile as u64).min(rows);
        let tiles = 3 * 4 * side(local) * side(global);
        // u8 for the whole batch; f32 before and after normalisation and as patches in a pass.
        let batch = pixels * (local + 3 * 4 * micro) + features + tiles;
        Self { weights, gradients, optimiser, activations, batch }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimiser + self.activations + self.batch
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = if self.total() < 1 << 30 { (20, "MiB") } else { (30, "GiB") };
        let size = |bytes: u64| bytes as f64 / f64::from(1 << unit);
        write!(
            f,
            "about {:.2} {name}: weights {:.2}, gradients {:.2}, optimiser {:.2}, activations {:.2}, \
             batch and loss {:.2}",
            size(self.total()),
            size(self.weights),
            size(self.gradients),
            size(self.optimiser),
            size(self.activations),
            size(self.batch)
        )
    }
}

/// Bytes that a tower keeps of one row of `tokens` positions.
fn kept_by_blocks(spec: &BlocksSpec, tokens: u64, work: &Workload) -> u64 {
    let (width, hidden) = (spec.hidden_size.unsigned_abs(), spec.intermediate_size.unsigned_abs());
    // What matrix products take, and the residual stream, which autocast leaves in f32.
    let (product, stream) = match work.precision {
        Precision::F32 | Precision::Tf32 => (4, 4),
        Precision::Bf16 | Precision::Fp16 => (2, 4),
        Precision::PureBf16 => (2, 2),
    };
    // The stream twice (before each norm); both normed inputs, query, key, value, the attended
    // values and the input of their projection; two to three hidden layers, with their activation.
    let block = tokens * (2 * width * stream + 7 * width * product + 3 * hidden * product);
    let blocks = spec.num_hidden_layers as u64;
    match work.recompute {
        Recompute::None => blocks * block,
        Recompute::Blocks => blocks * tokens * width * stream + block,
    }
}

/// The greatest divisor of `rank_rows`, at most `at_most`, that `fits`, trying the largest first;
/// `None` where not even one row fits.
///
/// # Errors
/// Whatever `fits` ends in.
pub fn largest_micro(
    rank_rows: usize,
    at_most: usize,
    mut fits: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<usize>> {
    for micro in (1..=at_most.min(rank_rows)).rev().filter(|&n| rank_rows.is_multiple_of(n)) {
        if fits(micro)? {
            return Ok(Some(micro));
        }
    }
    Ok(None)
}

/// `batch.micro: auto`: the most rows of this rank that fit through the towers at once, with the
/// optimiser's state already in memory. On a GPU it is tried out, which leaves no gradient behind,
/// so it comes before anything that hooks into back-propagation. On a CPU the estimate decides,
/// against half of the memory that is available.
///
/// # Errors
/// When not even one row fits.
pub fn choose_micro(model: &Clip, work: &Workload) -> Result<usize> {
    let device = model.device();
    let needed = |micro| Estimate::new(model, work, micro).total();
    let found = if let Some(memory) = native::gpu_memory(device)? {
        // The estimate only saves hopeless trials: it may be half as much again too high.
        let hopeful = |micro| Ok(needed(micro) < memory.total + memory.total / 2);
        let at_most = largest_micro(work.rank_rows, work.rank_rows, hopeful)?.unwrap_or(1);
        largest_micro(work.rank_rows, at_most, |micro| fits_on_gpu(model, work, micro))?
    } else {
        let budget = available_memory()? / 2;
        let held = Estimate::new(model, work, 0);
        let held = held.weights + held.optimiser;
        largest_micro(work.rank_rows, work.rank_rows, |micro| Ok(needed(micro) - held <= budget))?
    };
    match found {
        Some(micro) => Ok(micro),
        None => bail!(
            "batch.micro: auto: not even one pair fits into memory; {}. Set memory.recompute: \
             blocks, a smaller model, or another device",
            Estimate::new(model, work, 1)
        ),
    }
}

/// Runs a step of `micro` blank rows, forward and backward.
fn fits_on_gpu(model: &Clip, work: &Workload, micro: usize) -> Result<bool> {
    let device = model.device();
    let rows = i64::try_from(micro)?;
    let (side, context) = (model.spec.vision.image_size, model.spec.text.max_position_embeddings);
    let blank = || -> Result<()> {
        let inputs = guard::guarded("allocate a batch", || Inputs {
            pixels_BHWC: Tensor::zeros([rows, side, side, 3], (Kind::Uint8, device)),
            ids_BT: Tensor::zeros([rows, context], (Kind::Int64, device)),
            patches_BK: None,
        })?;
        let products: Vec<u64> = (0..micro as u64).collect();
        let like = model.logit_scale();
        let cfg = configs::Loss {
            tile: work.tile,
            positives: Positives::Ignore,
            ..configs::Loss::default()
        };
        let all = Rows::new(&products, &products, &vec![1.0; micro], 0..micro, &cfg, like);
        let (group, dtype) = (Group::alone(), GradientDtype::F32);
        let mut step = Gradients::new(model, cfg, work.precision, micro, &group, dtype)?;
        step.accumulate(model, &inputs, &all, None).map(|_| ())
    };
    let outcome = blank();
    let mut leaves: Vec<Tensor> = model.params().iter().map(|p| p.value.shallow_clone()).collect();
    native::clear_grads(&mut leaves);
    native::empty_cache(device)?;
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if native::is_out_of_memory(&error.to_string()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes of memory that the machine could still give to programs (MemAvailable).
pub(crate) fn available_memory() -> Result<u64> {
    let path = "/proc/meminfo";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))?;
    available_in(&text).with_context(|| format!("`{path}` has no MemAvailable; set batch.micro"))
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClipSpec, Source};
    use data::Preprocessor;
    use tch::Device;

    const WORK: Workload = Workload {
        rank_rows: 24,
        global_rows: 48,
        tile: 16,
        precision: Precision::F32,
        recompute: Recompute::None,
        patch_dropout: 0.0,
    };

    fn clip(kind: Kind) -> Clip {
        let blocks = r#""hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 6,
            "num_attention_heads": 4"#;
        let json = format!(
            r#"{{"projection_dim": 24, "text_config": {{"vocab_size": 60, "eos_token_id": 59,
                "max_position_embeddings": 9, {blocks}}},
                "vision_config": {{"image_size": 16, "patch_size": 4, {blocks}}}}}"#
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        let (spec, picture) = (ClipSpec::read(&path).unwrap(), Preprocessor::clip(16));
        Clip::new(spec, Source::Random, &picture, Device::Cpu, kind).unwrap()
    }

    #[test]
    fn the_largest_divisor_that_fits_is_found_and_larger_ones_are_tried_first() {
        let search = |at_most, limit| {
            let mut tried = Vec::new();
            let found = largest_micro(24, at_most, |micro| {
                tried.push(micro);
                Ok(micro <= limit)
            });
            (found.unwrap(), tried)
        };
        assert_eq!(search(24, 24), (Some(24), vec![24]));
        assert_eq!(search(24, 7), (Some(6), vec![24, 12, 8, 6]));
        assert_eq!(search(10, 7), (Some(6), vec![8, 6]));
        assert_eq!(search(2, 0), (None, vec![2, 1]));
        assert!(largest_micro(24, 24, |_| bail!("a broken GPU")).is_err());
    }

    #[test]
    fn state_is_counted_exactly() {
        let full = clip(Kind::Float);
        let num: u64 = full.params().iter().map(|p| p.value.numel() as u64).sum();
        let estimate = Estimate::new(&full, &WORK, 8);
        assert_eq!(
            (estimate.weights, estimate.gradients, estimate.optimiser),
            (4 * num, 4 * num, 8 * num)
        );
        let half = Workload { precision: Precision::PureBf16, ..WORK };
        let estimate = Estimate::new(&clip(Kind::BFloat16), &half, 8);
        // All but the temperature, which has no master.
        assert_eq!(estimate.weights, 6 * (num - 1) + 4);
        assert_eq!(estimate.optimiser, 8 * num);
    }

    #[test]
    fn activations_grow_with_rows_and_shrink_with_what_saves_them() {
        let model = clip(Kind::Float);
        let of = |work: Workload, micro| Estimate::new(&model, &work, micro).activations;
        assert_eq!(of(WORK, 8), 4 * of(WORK, 2));
        // 6 blocks of 2 * 4 + 7 * 4 + 2 * 3 * 4 = 60 bytes per position and width 32; 17 + 9 positions.
        assert_eq!(of(WORK, 1), 6 * 60 * 32 * (17 + 9));
        let recompute = Workload { recompute: Recompute::Blocks, ..WORK };
        assert!(of(recompute, 8) * 3 < of(WORK, 8));
        assert!(of(Workload { precision: Precision::Bf16, ..WORK }, 8) < of(WORK, 8));
        assert!(of(Workload { patch_dropout: 0.5, ..WORK }, 8) < of(WORK, 8));
        // A step of under a GiB is told in MiB: 8 rows keep 8 * 299,520 bytes.
        let line = Estimate::new(&model, &WORK, 8).to_string();
        assert!(line.contains(" MiB: weights ") && line.contains("activations 2.29"), "{line}");
    }

    #[test]
    fn a_cpu_takes_the_whole_batch_where_memory_is_plenty() {
        assert_eq!(choose_micro(&clip(Kind::Float), &WORK).unwrap(), 24);
        let all = "MemTotal:  9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_in(all), Some(2 << 20));
        assert_eq!(available_in("MemFree: 1 kB"), None);
    }

    #[test]
    fn a_trial_leaves_no_gradient() {
        let model = clip(Kind::Float);
        assert!(fits_on_gpu(&model, &WORK, 4).unwrap()); // the same code on whatever device
        assert!(model.params().iter().all(|p| !p.value.grad().defined()));
    }
}
