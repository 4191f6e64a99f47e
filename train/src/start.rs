//! What all training starts from: its place among the processes, model and optimiser, data.

use crate::device;
use crate::dist::{Group, Placement};
use crate::model_dir::ModelDir;
use crate::optim::AdamW;
use crate::pixel_memory::TorchMemory;
use crate::progress::Progress;
use crate::scaler::GradScaler;
use crate::snapshot::{self, State};
use anyhow::{Result, ensure};
use configs::{Duration, LossKind, RunConfig};
use data::{Loader, Since, TrainSet};
use std::path::Path;
use std::sync::Arc;
use tch::Device;

/// This process's device, and the processes that the environment states, once all have come.
///
/// # Errors
/// When the environment contradicts itself, `batch.size` cannot be shared out, there is no such
/// device, or not all processes come.
pub fn join(cfg: &RunConfig) -> Result<(Device, Group)> {
    let placement = Placement::detect(|name| std::env::var(name).ok())?;
    check_share(cfg.batch.size, placement.world, placement.source)?;
    let device = device::pick(cfg.device, placement.local_rank)?;
    native::set_device(device)?;
    Ok((device, Group::join(placement, &cfg.dist, device)?))
}

/// That a global batch can be shared out among `world` processes, which `source` states.
///
/// # Errors
/// When it cannot.
pub fn check_share(size: usize, world: usize, source: &str) -> Result<()> {
    ensure!(
        size.is_multiple_of(world),
        "batch.size: expected a multiple of the {world} processes ({source}), found {size}"
    );
    Ok(())
}

/// Model and optimiser as they stand in the step folder `from`, or as `cfg` says where there is
/// none. The first rank reads; the others follow it.
///
/// # Errors
/// When a file cannot be read or does not fit, or another rank cannot go on.
pub fn state(cfg: &RunConfig, from: Option<&Path>, device: Device, group: &Group) -> Result<State> {
    tch::manual_seed(cfg.seed.cast_signed());
    let model_dir = match from {
        Some(dir) => ModelDir::open(dir, cfg.data.text.clean)?,
        None => ModelDir::initial(&cfg.model.init, cfg.data.text.clean)?,
    };
    let mut model = model_dir.load_for(device, cfg.precision)?;
    model.set_recompute(cfg.memory.recompute);
    if cfg.loss.kind == LossKind::Siglip {
        model.add_logit_bias(cfg.loss.init_logit_bias);
    }
    model.freeze(&cfg.model.freeze);
    let scaler = GradScaler::of(cfg.precision, device);
    let mut optim = AdamW::new(model.params(), &cfg.optim).with_scaler(scaler);
    let at = group.led(|| match from {
        Some(dir) => snapshot::restore(dir, &model, &mut optim),
        None => Ok(Progress::default()),
    })?;
    let values = model.params().iter().flat_map(|p| [Some(&p.value), p.master.as_ref()]);
    group.follow_leader(values.flatten())?;
    if at.step > 0 {
        group.follow_leader(optim.tensors())?;
    }
    Ok(State { model_dir, model, optim, at })
}

/// The shards of the training data. Their footers are kept in the run's folder: the first rank
/// reads them, the others and any restart find them there.
fn shards(cfg: &RunConfig, at: &Progress, group: &Group) -> Result<TrainSet> {
    let memo = cfg.checkpoint.dir.join(&cfg.name).join("shards.parquet");
    let since = if at.step > 0 { Since::RunBegan } else { Since::Now };
    let open = || TrainSet::open(&cfg.data, Some((&memo, since)));
    let mut set = None;
    group.led(|| {
        set = Some(open()?);
        Ok(())
    })?;
    set.map_or_else(|| Ok(open()?), Ok)
}

/// This rank's share of the data from where `state` stands, the shards that it comes from, and how
/// many steps the run has.
///
/// # Errors
/// When the data cannot be read, is not the same for all ranks, or is not what it was before.
pub fn data(cfg: &RunConfig, state: &mut State, group: &Group) -> Result<(Loader, TrainSet, u64)> {
    let tokenizer = state.model_dir.tokenizer.clone();
    let (picture, size, shard) = (&state.model_dir.picture, cfg.batch.size, group.shard());
    let set = shards(cfg, &state.at, group)?;
    // A GPU copies from pinned memory while the host goes on.
    let set = match state.model.device().is_cuda() {
        true => set.decoded_into(Arc::new(TorchMemory { pinned: true })),
        false => set,
    };
    let loader =
        Loader::over(&set, &cfg.data, tokenizer, picture, size, cfg.seed, shard, state.at.cursor)?;
    group.same("shards in data.train", loader.fingerprint())?;
    state.at.same_data(loader.fingerprint())?;
    let steps = num_steps(cfg, loader.batches_per_epoch())?;
    Ok((loader, set, steps))
}

/// How many steps the run has.
///
/// # Errors
/// When the warm-up does not fit into them.
pub fn num_steps(cfg: &RunConfig, batches_per_epoch: u64) -> Result<u64> {
    let steps = match cfg.duration {
        Duration::Steps(steps) => steps,
        Duration::Epochs(epochs) => epochs * batches_per_epoch,
    };
    let warmup = cfg.schedule.warmup_steps;
    ensure!(
        warmup < steps,
        "schedule.warmup_steps: expected fewer steps than the run has ({steps}), found {warmup}"
    );
    Ok(steps)
}
