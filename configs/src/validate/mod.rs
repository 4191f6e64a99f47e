//! The checks across keys: every problem of a configuration at once, each naming its key.

mod ablation;
mod data;
mod eval;
mod prepare;
mod refine;

pub(crate) use ablation::issues as ablation_issues;
pub(crate) use prepare::issues as prepare_issues;

use crate::error::Issue;
use crate::{
    Batch, Cadence, Dist, Duration, FreezeTower, Init, Loss, Micro, Model, Optim, RawConfig,
    Schedule,
};
use std::fmt::Display;

/// The greatest number of steps or epochs: more is a mistake, and epochs x batches per epoch must
/// stay far from overflowing.
const MAX_DURATION: u64 = 1_000_000_000;

/// Collects problems.
#[derive(Default)]
struct Checks(Vec<Issue>);

impl Checks {
    /// Records that `path` must be `expected` where `holds` is false.
    fn require(&mut self, holds: bool, path: &str, expected: &str, found: impl Display) {
        if !holds {
            self.fail(path, format!("expected {expected}, found {found}"));
        }
    }

    fn fail(&mut self, path: &str, message: String) {
        self.0.push(Issue { path: path.to_owned(), message, place: None });
    }

    fn fraction(&mut self, path: &str, value: f64) {
        self.require((0.0..=1.0).contains(&value), path, "a fraction from 0 to 1", value);
    }

    fn share(&mut self, path: &str, value: f64) {
        self.require((0.0..1.0).contains(&value), path, "a share from 0 to below 1", value);
    }

    fn positive(&mut self, path: &str, value: f64) {
        let holds = value.is_finite() && value > 0.0;
        self.require(holds, path, "a finite number above 0", value);
    }

    fn at_least_one(&mut self, path: &str, value: usize) {
        self.require(value >= 1, path, "at least 1", value);
    }

    fn cadence(&mut self, path: &str, every: Cadence) {
        match every {
            Cadence::Steps(steps) => self.require(steps >= 1, path, "at least 1 step", steps),
            Cadence::Minutes(minutes) => {
                let holds = minutes.is_finite() && minutes > 0.0;
                self.require(holds, path, "more than 0 minutes", minutes);
            }
        }
    }

    fn paths(&mut self, path: &str, list: &[String]) {
        if list.is_empty() {
            self.fail(path, "expected at least one file, folder, glob or URL, found none".into());
        }
        for (i, item) in list.iter().enumerate() {
            let holds = !item.trim().is_empty();
            self.require(
                holds,
                &format!("{path}.{i}"),
                "a file, folder, glob or URL",
                "empty text",
            );
        }
    }

    /// An ordered pair of positive numbers.
    fn range(&mut self, path: &str, [low, high]: [f64; 2], limit: f64, expected: &str) {
        let holds = low > 0.0 && low <= high && high <= limit && high.is_finite();
        self.require(holds, path, expected, format!("[{low}, {high}]"));
    }
}

/// Every problem of `cfg`, in the order of its sections; empty if it can run.
pub(crate) fn issues(cfg: &RawConfig) -> Vec<Issue> {
    let mut checks = Checks::default();
    name(&mut checks, &cfg.name);
    match cfg.duration {
        Duration::Steps(n) | Duration::Epochs(n) => {
            checks.require(n >= 1, "duration", "at least 1 step or epoch", n);
            let expected = format!("at most {MAX_DURATION} steps or epochs");
            checks.require(n <= MAX_DURATION, "duration", &expected, n);
        }
    }
    model(&mut checks, &cfg.model);
    data::data(&mut checks, &cfg.data, cfg.batch.size);
    batch(&mut checks, cfg.batch);
    loss(&mut checks, cfg.loss);
    dist(&mut checks, cfg.dist);
    optim(&mut checks, &cfg.optim);
    schedule(&mut checks, &cfg.schedule, cfg.duration);
    if let Some(section) = &cfg.eval {
        eval::eval(&mut checks, section, &cfg.checkpoint.best);
    }
    checkpoint(&mut checks, cfg);
    checks.cadence("log.every", cfg.log.every);
    checks.0
}

fn name(checks: &mut Checks, name: &str) {
    const EXPECTED: &str = "a plain folder name (no slash or control character, no blank at \
                            either end, no dot in front, at most 200 bytes)";
    let plain = !name.is_empty()
        && name.len() <= 200
        && name.trim() == name
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    checks.require(plain, "name", EXPECTED, format!("{name:?}"));
}

fn model(checks: &mut Checks, model: &Model) {
    let mut path = |key: &str, path: &std::path::Path| {
        let holds = !path.as_os_str().is_empty();
        checks.require(holds, &format!("model.init.{key}"), "a path", "empty text");
    };
    match &model.init {
        Init::Pretrained(dir) => path("pretrained", dir),
        Init::Random(init) => {
            path("random.config", &init.config);
            path("random.tokenizer", &init.tokenizer);
        }
    }
    checks.share("model.patch_dropout", model.patch_dropout);
    if model.freeze.image == FreezeTower::All && model.freeze.text == FreezeTower::All {
        checks.fail(
            "model.freeze",
            "expected something left to train, found both towers frozen whole; \
             set model.freeze.image or model.freeze.text to none or {blocks: N}"
                .into(),
        );
    }
}

fn batch(checks: &mut Checks, batch: Batch) {
    let expected = "at least 2: a contrastive loss needs a negative";
    checks.require(batch.size >= 2, "batch.size", expected, batch.size);
    if let Some(Micro::Count(micro)) = batch.micro {
        let holds = batch.size == 0 || batch.size.checked_rem(micro) == Some(0);
        let expected = format!(
            "a divisor of batch.size ({}), so that the batch is cut into equal parts",
            batch.size
        );
        checks.require(holds, "batch.micro", &expected, micro);
    }
}

fn loss(checks: &mut Checks, loss: Loss) {
    checks.at_least_one("loss.tile", loss.tile);
    checks.share("loss.label_smoothing", loss.label_smoothing);
    let finite = loss.init_logit_bias.is_finite();
    checks.require(finite, "loss.init_logit_bias", "a finite number", loss.init_logit_bias);
}

fn dist(checks: &mut Checks, dist: Dist) {
    let seconds = "from 1 to 604800 seconds (a week)";
    let week = 1..=604_800;
    checks.require(week.contains(&dist.timeout_s), "dist.timeout_s", seconds, dist.timeout_s);
    checks.require(week.contains(&dist.heartbeat_s), "dist.heartbeat_s", seconds, dist.heartbeat_s);
}

fn optim(checks: &mut Checks, optim: &Optim) {
    checks.positive("optim.lr", optim.lr);
    for (i, beta) in optim.betas.into_iter().enumerate() {
        let holds = (0.0..1.0).contains(&beta);
        checks.require(holds, &format!("optim.betas.{i}"), "a number from 0 to below 1", beta);
    }
    checks.positive("optim.eps", optim.eps);
    let decay = optim.weight_decay;
    let holds = decay.is_finite() && decay >= 0.0;
    checks.require(holds, "optim.weight_decay", "a finite number from 0", decay);
    if let Some(norm) = optim.max_grad_norm {
        checks.positive("optim.max_grad_norm", norm);
    }
}

fn schedule(checks: &mut Checks, schedule: &Schedule, duration: Duration) {
    if let Duration::Steps(steps) = duration {
        let holds = steps == 0 || schedule.warmup_steps < steps;
        let expected = format!("fewer steps than the run has (duration.steps is {steps})");
        checks.require(holds, "schedule.warmup_steps", &expected, schedule.warmup_steps);
    }
    checks.fraction("schedule.final_fraction", schedule.final_fraction);
}

fn checkpoint(checks: &mut Checks, cfg: &RawConfig) {
    let checkpoint = &cfg.checkpoint;
    let holds = !checkpoint.dir.as_os_str().is_empty();
    checks.require(holds, "checkpoint.dir", "a folder", "empty text");
    checks.cadence("checkpoint.every", checkpoint.every);
    checks.at_least_one("checkpoint.keep", checkpoint.keep);
    let best = &checkpoint.best;
    match &cfg.eval {
        Some(eval) => {
            if let Err(expected) = eval::metric(best, &eval.tasks, &eval.k, "eval.k") {
                checks.fail("checkpoint.best", format!("expected {expected}, found `{best}`"));
            }
        }
        // The default names a metric whether or not there is an evaluation; only a choice is wrong.
        None if *best != crate::Checkpoint::default().best => checks.fail(
            "checkpoint.best",
            format!(
                "expected an `eval` section that measures it, found `{best}` without one; \
                 add `eval` or leave checkpoint.best out"
            ),
        ),
        None => {}
    }
}
