//! One run, top to bottom. Every rank goes through the same lines; what differs by rank is inside
//! [`Group`] and [`Outputs`].

use crate::dist::Group;
use crate::due::Due;
use crate::log::{StepClock, StepReport};
use crate::memory::{Estimate, Workload, choose_micro};
use crate::optim::not_finite;
use crate::outputs::{Finished, Outputs};
use crate::preflight::Unchecked;
use crate::resume::{Resume, starting_point};
use crate::samples;
use crate::scaler::GradScaler;
use crate::schedule::learning_rate;
use crate::sources::SourceCounts;
use crate::step::{self, Gradients, Inputs};
use crate::{patches, preflight, start};
use anyhow::Result;
use checkpoints::RunFolder;
use configs::{Cadence, Init, Micro, RunConfig};
use native::Uploader;
use process::StopSignal;
use std::collections::{BTreeMap, VecDeque};
use std::time::{self, Instant};
use tch::Device;

/// Fine-tunes CLIP as `cfg` says, together with the other processes that the environment states,
/// and returns what is left behind, on the first rank.
///
/// # Errors
/// When a file cannot be read or written, the data is unusable, memory is short, the loss is not
/// finite, or another rank cannot go on. What was reached by then is saved first, unless it is the
/// loss or the saving that failed.
pub fn train(cfg: &RunConfig, resume: &Resume) -> Result<Option<Finished>> {
    let (device, group) = start::join(cfg)?;
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
    let stop = StopSignal::listen("stopping after this step with a checkpoint")?;
    let started = Instant::now();

    // 1. Model and optimiser: an interrupted run wins over fresh weights. The first rank reads it.
    let folder = group.leads().then(|| RunFolder::create(&cfg.checkpoint.dir, &cfg.name));
    let folder = folder.transpose()?;
    let from = match &folder {
        Some(folder) => starting_point(folder, cfg, resume, &|line| eprintln!("{line}"))?,
        None => None,
    };
    let mut state = start::state(cfg, from.as_deref(), device, group)?;

    // 2. Data, from where the run stands.
    let (mut loader, set, steps) = start::data(cfg, &mut state, group)?;
    let (size, shard) = (cfg.batch.size, group.shard());
    let num_patches = usize::try_from(state.model.spec.vision.num_patches())?;

    // 3. How much goes through the towers at once.
    let work = Workload::of(cfg, shard.world);
    let micro = match cfg.batch.micro {
        Some(Micro::Count(micro)) => micro.min(work.rank_rows),
        Some(Micro::Auto) => {
            let fits = choose_micro(&state.model, &work)?;
            usize::try_from(group.least(i64::try_from(fits)?)?)?
        }
        None => work.rank_rows,
    };
    let mut gradients =
        Gradients::new(&state.model, cfg.loss, cfg.precision, micro, group, cfg.dist.gradients)?;
    let uploader = Uploader::new(device)?;

    // 4. What the run leaves behind.
    let mut outputs = Outputs::new(cfg, folder, group, &state.at, steps)?;
    let needs = Estimate::new(&state.model, &work, micro);
    outputs.announce(&state, &loader, steps, micro, &needs);
    if state.at.step == 0 && group.leads() {
        let epoch = loader.batches_per_epoch();
        let warnings = preflight::data_warnings(cfg, &set, &state.model_dir, steps, epoch);
        warnings.iter().for_each(|line| outputs.warn(line));
    }
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
    let mut goes_on = outputs.goes_on(&state.at)?;

    let mut by_source = SourceCounts::default();
    let (mut clock, mut unchecked) = (StepClock::start(), VecDeque::new());
    while goes_on && state.at.step < steps {
        group.at_step(state.at.step);
        group.doing("reading data");
        let (asked, cut_before) = (Instant::now(), loader.counts().truncated);
        let batch = outputs.rescue(loader.next(), &state)?;
        clock.add(asked.elapsed(), size as u64);
        let cut = (loader.counts().truncated - cut_before).cast_signed();
        group.doing("computing gradients");
        let rows = step::rows(&batch, &cfg.loss, state.model.logit_scale(), group);
        let rows = outputs.rescue(rows, &state)?;
        let trained_on = match cfg.log.samples {
            true => outputs.rescue(samples::of_all(&batch, group), &state)?,
            false => None,
        };
        let mut inputs = Inputs::new(&batch, &uploader)?;
        let (epoch, dropout) = (batch.epoch, cfg.model.patch_dropout);
        inputs.patches_BK =
            patches::draw(cfg.seed, epoch, &batch.numbers, num_patches, dropout, device);
        let fresh = state.at.step == 0 && matches!(cfg.model.init, Init::Pretrained(_));
        if fresh && group.leads() {
            let warning = preflight::wrong_activation(&mut state.model, &batch, micro, &cfg.loss)?;
            warning.into_iter().for_each(|line| outputs.warn(&line));
        }

        // The gradients of all rows of all ranks, `micro` at a time, then one update. Nothing here
        // waits for a GPU: an update that is not finite is left out on the device.
        let scale = state.optim.scaler().map(GradScaler::scale);
        let found = gradients.accumulate(&state.model, &inputs, &rows, scale);
        let (found, embedded) = outputs.rescue(found, &state)?;
        let grad_norm = state.optim.clip_grad_norm()?;
        let lr = learning_rate(&cfg.schedule, cfg.optim.lr, state.at.step, steps);
        state.optim.step(lr, Some(&not_finite(&[&found.loss, &grad_norm])))?;
        state.model.clamp_logit_scale();
        state.at.advance(size as u64, loader.cursor());
        if let Some(samples) = trained_on {
            outputs.log_samples(state.at.step, &samples)?;
        }
        let may_overflow = state.optim.scaler().is_some();
        let (step, loss) = (state.at.step, &found.loss);
        unchecked.push_back(Unchecked::new(step, loss, &grad_norm, may_overflow, embedded, batch)?);

        // All ranks go by one clock and stop together.
        let elapsed = started.elapsed().as_millis() as i64;
        let agreed = group.gather(&[i64::from(stop.asked()), elapsed, cut]);
        let agreed = outputs.rescue(agreed, &state)?;
        let stopping = agreed.chunks(3).any(|rank| rank[0] == 1);
        let truncated = agreed.chunks(3).map(|rank| rank[2]).sum::<i64>() as f64 / size as f64;
        let now = time::Duration::from_millis(agreed[1].cast_unsigned());

        // Once in a while. All of them are due after the last step, too.
        let log = log_due.after(step, steps, now);
        let eval = eval_due.after(step, steps, now) && !stopping;
        let save = save_due.after(step, steps, now) || stopping;
        let mut sources = match log {
            true => outputs.rescue(by_source.since_last(&loader.counts(), group), &state)?,
            false => BTreeMap::new(),
        };
        // On a GPU a step is checked while the next one runs, unless its result is needed now.
        let running = usize::from(device.is_cuda() && !(log || eval || save));
        while unchecked.len() > running
            && let Some(done) = unchecked.pop_front()
        {
            let last = done.step == step;
            let (loss, grad_norm) = done.check(group)?;
            if log && last {
                let logit_scale = f64::try_from(state.model.logit_scale())?.exp();
                let (epoch, samples) = (state.at.epoch_of_last_batch, state.at.samples);
                let num_skipped = state.optim.num_skipped()?;
                let report = StepReport {
                    step,
                    epoch,
                    samples,
                    loss,
                    lr,
                    logit_scale,
                    grad_norm,
                    truncated,
                    num_skipped,
                    sources: std::mem::take(&mut sources),
                };
                outputs.log_step(&report, &clock)?;
                clock = StepClock::start();
            }
        }
        loader.drain_warnings().iter().for_each(|line| outputs.warn(line));
        outputs.advance(step);
        let other = Instant::now();
        let mut improved = false;
        if eval {
            let found = outputs.evaluate(&mut state);
            improved = outputs.rescue(found, &state)?;
        }
        // What ends the run is saved with it, so that starting again comes to the same end.
        if save || improved || outputs.ends(&state.at) {
            outputs.save(&state)?;
        }
        goes_on = outputs.goes_on(&state.at)?;
        clock.skip(other.elapsed());
        if stopping {
            break;
        }
    }
    let finished = outputs.finish(&state.at, steps, &loader.counts())?;
    group.leave()?;
    Ok(finished)
}
