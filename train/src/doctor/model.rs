//! The model's files, its weights, and what a step takes of memory.

use super::{Findings, size};
use crate::device;
use crate::memory::{Estimate, Workload, available_memory};
use crate::model::Clip;
use crate::model_dir::ModelDir;
use configs::{Init, LossKind, Micro, RunConfig};
use tch::Device;

/// A model that can be trained.
pub(super) struct Sound {
    pub dir: ModelDir,
    /// Weights and optimiser, as a checkpoint stores them.
    pub checkpoint_bytes: u64,
}

/// Opens the model, and loads its weights into the host's memory.
pub(super) fn check(cfg: &RunConfig, world: usize, all: &mut Findings) -> Option<Sound> {
    let init = &cfg.model.init;
    let dir = all.expect("model", ModelDir::initial(init, cfg.data.text.clean))?;
    let spec = &dir.spec;
    let origin = match init {
        Init::Pretrained(path) => path.display().to_string(),
        Init::Random(random) => format!("random weights, {}", random.config.display()),
    };
    all.ok(
        "model",
        format!(
            "{origin}: pictures of {} px in patches of {}, captions of at most {} tokens of {}",
            spec.vision.image_size,
            spec.vision.patch_size,
            spec.text.max_position_embeddings,
            spec.text.vocab_size,
        ),
    );
    let mut clip = all.expect("weights", dir.load_for(Device::Cpu, cfg.precision))?;
    clip.set_recompute(cfg.memory.recompute);
    if cfg.loss.kind == LossKind::Siglip {
        clip.add_logit_bias(cfg.loss.init_logit_bias);
    }
    clip.freeze(&cfg.model.freeze);
    let (mut parameters, mut learn) = (0, 0);
    for param in clip.params() {
        parameters += param.value.numel() as u64;
        learn += if param.value.requires_grad() { param.value.numel() as u64 } else { 0 };
    }
    let millions = |n: u64| n as f64 / 1e6;
    let (most, some) = (millions(parameters), millions(learn));
    all.ok("weights", format!("{most:.1}M parameters, {some:.1}M of them learn"));
    memory(cfg, &clip, world, all);
    // f32 each: the weights, and two moments of those that learn.
    Some(Sound { dir, checkpoint_bytes: 4 * parameters + 8 * learn })
}

/// Compares what a step takes with what there is. Of GPUs it is only said: to ask one for its
/// memory would take some of it.
fn memory(cfg: &RunConfig, clip: &Clip, world: usize, all: &mut Findings) {
    let work = Workload::of(cfg, world);
    let (micro, how) = match cfg.batch.micro {
        Some(Micro::Count(micro)) => (micro.min(work.rank_rows), "at once"),
        Some(Micro::Auto) => (1, "at once, as batch.micro: auto does at least"),
        None => (work.rank_rows, "at once"),
    };
    let needs = Estimate::new(clip, &work, micro);
    let line = format!("a process needs {needs} ({micro} pairs {how})");
    let on_cpu = device::pick(cfg.device, 0).is_ok_and(|device| !device.is_cuda());
    let here = available_memory().unwrap_or(u64::MAX);
    let asked = needs.total().saturating_mul(world as u64);
    if on_cpu && asked > here {
        all.warn(
            "memory",
            format!(
                "{line}; {} are available for {world}: lower batch.micro, or set memory.recompute: \
                 blocks",
                size(here)
            ),
        );
    } else {
        all.ok("memory", line);
    }
}
