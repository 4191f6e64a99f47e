//! One run, top to bottom.

use crate::due::Due;
use crate::evaluate::EvalSet;
use crate::log::{Log, StepClock, StepReport};
use crate::loss::Rows;
use crate::memory::{Estimate, Workload, choose_micro};
use crate::model_dir::ModelDir;
use crate::optim::{AdamW, not_finite};
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::resume::{Resume, starting_point};
use crate::scaler::GradScaler;
use crate::schedule::learning_rate;
use crate::signal::StopSignal;
use crate::step::{Arithmetic, Inputs, accumulate_gradients};
use crate::{device, patches, preflight, snapshot};
use anyhow::{Result, ensure};
use checkpoints::RunFolder;
use configs::{Cadence, Duration, Init, Micro, RunConfig};
use data::{Loader, Shard};
use std::time::Instant;

/// Fine-tunes CLIP as `cfg` says and returns what it left behind.
///
/// # Errors
/// When a file cannot be read or written, the data is unusable, memory is short, or the loss is not
/// finite. What was reached by then is saved first, unless it is the loss or the saving that failed.
pub fn train(cfg: &RunConfig, resume: &Resume) -> Result<Outputs> {
    let device = device::pick(cfg.device)?;
    let stop = StopSignal::listen()?;
    tch::manual_seed(cfg.seed.cast_signed());

    // 1. Model and optimiser: an interrupted run wins over fresh weights.
    let folder = RunFolder::create(&cfg.checkpoint.dir, &cfg.name)?;
    let from = starting_point(&folder, cfg, resume, &|line| eprintln!("{line}"))?;
    let model_dir = match &from {
        Some(dir) => ModelDir::open(dir, cfg.data.text.clean)?,
        None => ModelDir::initial(&cfg.model.init, cfg.data.text.clean)?,
    };
    let mut model = model_dir.load_for(device, cfg.precision)?;
    model.set_recompute(cfg.memory.recompute);
    model.freeze(&cfg.model.freeze);
    let scaler = GradScaler::of(cfg.precision, device);
    let mut optim = AdamW::new(model.params(), &cfg.optim).with_scaler(scaler);
    let mut at = match &from {
        Some(dir) => snapshot::restore(dir, &model, &mut optim)?,
        None => Progress::default(),
    };

    // 2. Data, from where the run stands.
    let tokenizer = model_dir.tokenizer.clone();
    let (picture, size) = (&model_dir.picture, cfg.batch.size);
    let mut loader =
        Loader::open(&cfg.data, tokenizer, picture, size, cfg.seed, Shard::WHOLE, at.cursor)?;
    at.same_data(loader.fingerprint())?;
    let steps = match cfg.duration {
        Duration::Steps(steps) => steps,
        Duration::Epochs(epochs) => epochs * loader.batches_per_epoch(),
    };
    let warmup = cfg.schedule.warmup_steps;
    ensure!(
        warmup < steps,
        "schedule.warmup_steps: expected fewer steps than the run has ({steps}), found {warmup}"
    );
    let work = Workload::of(cfg, 1);
    let micro = match cfg.batch.micro {
        Some(Micro::Count(micro)) => micro,
        Some(Micro::Auto) => choose_micro(&model, &work)?,
        None => size,
    };

    // 3. What the run leaves behind.
    let log = Log::open(folder.path(), &at, steps)?;
    let mut outputs = Outputs::new(cfg, folder, log, EvalSet::of(cfg))?;
    outputs.announce(&model, &loader, &at, steps);
    let needs = Estimate::new(&model, &work, micro);
    outputs.log.say(&format!("{micro} pairs through the towers at once; memory {needs}"));
    let every = |cadence: Option<Cadence>| Due::new(cadence.unwrap_or(Cadence::Steps(u64::MAX)));
    let mut log_due = every(Some(cfg.log.every));
    let mut eval_due = every(cfg.eval.as_ref().map(|eval| eval.every));
    let mut save_due = every(Some(cfg.checkpoint.every));
    // The baseline before step 0, or what an interrupted run left out.
    if eval_due.owed(at.step, steps) && at.evaluated != Some(at.step) {
        outputs.evaluate(&model, &model_dir, &mut at)?;
        if at.step > 0 {
            outputs.save(&model, &model_dir, &optim, &at)?;
        }
    }
    outputs.mark_best(&at)?; // a crash may have come between saving and marking

    let mut clock = StepClock::start();
    while at.step < steps {
        let asked = Instant::now();
        let batch = outputs.rescue(loader.next(), &model, &model_dir, &optim, &at)?;
        clock.add(asked.elapsed(), batch.len() as u64);
        let mut inputs = Inputs::new(&batch, device);
        inputs.patches_BK = patches::draw(
            cfg.seed,
            at.cursor.epoch,
            &batch.numbers,
            usize::try_from(model.spec.vision.num_patches())?,
            cfg.model.patch_dropout,
            device,
        );
        let rows =
            Rows::new(&batch.products, &batch.weights, cfg.loss.positives, model.logit_scale());
        if at.step == 0 && matches!(cfg.model.init, Init::Pretrained(_)) {
            let warning = preflight::wrong_activation(&mut model, &batch, micro, &cfg.loss)?;
            warning.into_iter().for_each(|line| outputs.warn(&line));
        }

        // The gradients of all rows, `micro` at a time, then one update.
        let arithmetic = Arithmetic {
            precision: cfg.precision,
            grad_scale: optim.scaler().map(GradScaler::scale),
        };
        let found = accumulate_gradients(&model, &inputs, &rows, micro, &cfg.loss, arithmetic);
        let (step, embedded) = outputs.rescue(found, &model, &model_dir, &optim, &at)?;
        let norm = optim.clip_grad_norm()?;
        let (loss, grad_norm) = (f64::try_from(&step.loss)?, f64::try_from(&norm)?);
        // A float16 gradient that overflows lowers its scale and costs one step.
        let skipped = optim.scaler().is_some() && !grad_norm.is_finite();
        let norm_to_check = if skipped { 0.0 } else { grad_norm };
        preflight::finite(loss, norm_to_check, at.step + 1, &embedded, &batch)?;
        let lr = learning_rate(&cfg.schedule, cfg.optim.lr, at.step, steps);
        optim.step(lr, Some(&not_finite(&[&step.loss, &norm])))?;
        model.clamp_logit_scale();
        at.advance(batch.len() as u64, loader.cursor());

        // Once in a while. All of them are due after the last step, too.
        if log_due.after(at.step, steps) {
            loader.drain_warnings().iter().for_each(|line| outputs.warn(line));
            let logit_scale = f64::try_from(model.logit_scale())?.exp();
            let (step, samples, epoch) = (at.step, at.samples, at.epoch_of_last_batch);
            let skipped = optim.scaler().map(|scaler| f64::try_from(scaler.num_skipped()));
            let num_skipped = skipped.transpose()?.unwrap_or(0.0) as u64;
            let report =
                StepReport { step, epoch, samples, loss, lr, logit_scale, grad_norm, num_skipped };
            outputs.log.step(&report, &clock)?;
            clock = StepClock::start();
        }
        outputs.log.advance(at.step);
        let other = Instant::now();
        let mut improved = false;
        if eval_due.after(at.step, steps) && !stop.asked() {
            let found = outputs.evaluate(&model, &model_dir, &mut at);
            improved = outputs.rescue(found, &model, &model_dir, &optim, &at)?;
        }
        let stopping = stop.asked();
        if save_due.after(at.step, steps) || improved || stopping {
            outputs.save(&model, &model_dir, &optim, &at)?;
        }
        clock.skip(other.elapsed());
        if stopping {
            break;
        }
    }
    outputs.finish(&at, steps, loader.counts())
}
