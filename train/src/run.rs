//! One run, top to bottom. Every rank goes through the same lines; what differs by rank is inside
//! [`Group`] and [`Outputs`].

use crate::dist::{Group, Placement};
use crate::due::Due;
use crate::log::{StepClock, StepReport};
use crate::model_dir::ModelDir;
use crate::optim::{AdamW, not_finite};
use crate::outputs::{Finished, Outputs};
use crate::progress::Progress;
use crate::resume::{Resume, starting_point};
use crate::scaler::GradScaler;
use crate::schedule::learning_rate;
use crate::signal::StopSignal;
use crate::snapshot::{self, State};
use crate::step::{self, Gradients, Inputs};
use crate::{device, preflight};
use anyhow::{Result, ensure};
use checkpoints::RunFolder;
use configs::{Cadence, Duration, Init, LossKind, Micro, RunConfig};
use data::Loader;
use std::time::Instant;
use tch::Device;

/// Fine-tunes CLIP as `cfg` says, together with the other processes that the environment states,
/// and returns what is left behind, on the first rank.
///
/// # Errors
/// When a file cannot be read or written, the data is unusable, memory is short, the loss is not
/// finite, or another rank cannot go on. What was reached by then is saved first, unless it is the
/// loss or the saving that failed.
pub fn train(cfg: &RunConfig, resume: &Resume) -> Result<Option<Finished>> {
    let placement = Placement::detect(|name| std::env::var(name).ok())?;
    let (size, world) = (cfg.batch.size, placement.world);
    ensure!(
        size.is_multiple_of(world),
        "batch.size: expected a multiple of the {world} processes ({}), found {size}",
        placement.source
    );
    let device = device::pick(cfg.device, placement.local_rank)?;
    let group = Group::join(placement, &cfg.dist, device)?;
    let finished = run(cfg, resume, device, &group);
    if let Err(error) = &finished {
        group.fail(error);
    }
    finished
}

fn run(
    cfg: &RunConfig,
    resume: &Resume,
    device: Device,
    group: &Group,
) -> Result<Option<Finished>> {
    let stop = StopSignal::listen()?;
    let started = Instant::now();
    tch::manual_seed(cfg.seed.cast_signed());

    // 1. Model and optimiser: an interrupted run wins over fresh weights. The first rank reads it.
    let folder = group.leads().then(|| RunFolder::create(&cfg.checkpoint.dir, &cfg.name));
    let folder = folder.transpose()?;
    let from = match &folder {
        Some(folder) => starting_point(folder, cfg, resume, &|line| eprintln!("{line}"))?,
        None => None,
    };
    let model_dir = match &from {
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
    let at = group.led(|| match &from {
        Some(dir) => snapshot::restore(dir, &model, &mut optim),
        None => Ok(Progress::default()),
    })?;
    let values = model.params().iter().flat_map(|p| [Some(&p.value), p.master.as_ref()]);
    group.follow_leader(values.flatten())?;
    if at.step > 0 {
        group.follow_leader(optim.state().map(|(_, tensor)| tensor))?;
    }
    let mut state = State { model_dir, model, optim, at };

    // 2. Data, from where the run stands.
    let tokenizer = state.model_dir.tokenizer.clone();
    let (picture, size, shard) = (&state.model_dir.picture, cfg.batch.size, group.shard());
    let mut loader =
        Loader::open(&cfg.data, tokenizer, picture, size, cfg.seed, shard, state.at.cursor)?;
    group.same("shards in data.train", loader.fingerprint())?;
    state.at.same_data(loader.fingerprint())?;
    let steps = match cfg.duration {
        Duration::Steps(steps) => steps,
        Duration::Epochs(epochs) => epochs * loader.batches_per_epoch(),
    };
    let warmup = cfg.schedule.warmup_steps;
    ensure!(
        warmup < steps,
        "schedule.warmup_steps: expected fewer steps than the run has ({steps}), found {warmup}"
    );
    let micro = match cfg.batch.micro {
        Some(Micro::Count(micro)) => micro,
        Some(Micro::Auto) | None => size,
    };
    let mut gradients =
        Gradients::new(&state.model, cfg.loss, cfg.precision, micro, group, cfg.dist.gradients)?;

    // 3. What the run leaves behind.
    let mut outputs = Outputs::new(cfg, folder, group, &state.at, steps)?;
    outputs.announce(&state, &loader, steps);
    let every = |cadence: Option<Cadence>| Due::new(cadence.unwrap_or(Cadence::Steps(u64::MAX)));
    let mut log_due = every(Some(cfg.log.every));
    let mut eval_due = every(cfg.eval.as_ref().map(|eval| eval.every));
    let mut save_due = every(Some(cfg.checkpoint.every));
    // The baseline before step 0, or what an interrupted run left out.
    if eval_due.owed(state.at.step, steps) && state.at.evaluated != Some(state.at.step) {
        outputs.evaluate(&mut state)?;
        if state.at.step > 0 {
            outputs.save(&state)?;
        }
    }
    outputs.mark_best(&state.at)?; // a crash may have come between saving and marking

    let (mut clock, mut num_skipped) = (StepClock::start(), 0);
    while state.at.step < steps {
        group.at_step(state.at.step);
        group.doing("reading data");
        let asked = Instant::now();
        let batch = outputs.rescue(loader.next(), &state)?;
        clock.add(asked.elapsed(), size as u64);
        group.doing("computing gradients");
        let inputs = Inputs::new(&batch, device);
        let rows = step::rows(&batch, &cfg.loss, state.model.logit_scale(), group);
        let rows = outputs.rescue(rows, &state)?;
        if state.at.step == 0 && matches!(cfg.model.init, Init::Pretrained(_)) {
            let warning = preflight::wrong_activation(&mut state.model, &batch, micro, &cfg.loss)?;
            warning.into_iter().for_each(|line| outputs.warn(&line));
        }

        // The gradients of all rows of all ranks, `micro` at a time, then one update.
        let grad_scale = state.optim.scaler().map(GradScaler::scale);
        let found = gradients.accumulate(&state.model, &inputs, &rows, grad_scale);
        let (step, embedded) = outputs.rescue(found, &state)?;
        let norm = state.optim.clip_grad_norm()?;
        let (loss, grad_norm) = (f64::try_from(&step.loss)?, f64::try_from(&norm)?);
        // A float16 gradient that overflows lowers its scale and costs one step.
        let skipped = state.optim.scaler().is_some() && !grad_norm.is_finite();
        num_skipped += u64::from(skipped);
        let checked = if skipped { 0.0 } else { grad_norm };
        preflight::finite(loss, checked, state.at.step + 1, &embedded, &batch, group)?;
        let lr = learning_rate(&cfg.schedule, cfg.optim.lr, state.at.step, steps);
        state.optim.step(lr, Some(&not_finite(&[&step.loss, &norm])))?;
        state.model.clamp_logit_scale();
        state.at.advance(size as u64, loader.cursor());

        // All ranks go by one clock and stop together.
        let agreed = group.gather(&[i64::from(stop.asked()), started.elapsed().as_millis() as i64]);
        let agreed = outputs.rescue(agreed, &state)?;
        let stopping = agreed.chunks(2).any(|rank| rank[0] == 1);
        let now = std::time::Duration::from_millis(agreed[1].cast_unsigned());

        // Once in a while. All of them are due after the last step, too.
        loader.drain_warnings().iter().for_each(|line| outputs.warn(line));
        if log_due.after(state.at.step, steps, now) {
            let logit_scale = f64::try_from(state.model.logit_scale())?.exp();
            let (step, samples, epoch) =
                (state.at.step, state.at.samples, state.at.epoch_of_last_batch);
            let report =
                StepReport { step, epoch, samples, loss, lr, logit_scale, grad_norm, num_skipped };
            outputs.log_step(&report, &clock)?;
            clock = StepClock::start();
        }
        outputs.advance(state.at.step);
        let other = Instant::now();
        let mut improved = false;
        if eval_due.after(state.at.step, steps, now) && !stopping {
            let found = outputs.evaluate(&mut state);
            improved = outputs.rescue(found, &state)?;
        }
        if save_due.after(state.at.step, steps, now) || improved || stopping {
            outputs.save(&state)?;
        }
        clock.skip(other.elapsed());
        if stopping {
            break;
        }
    }
    let finished = outputs.finish(&state.at, steps, &loader.counts())?;
    group.leave()?;
    Ok(finished)
}
