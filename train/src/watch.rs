//! Whether evaluations say that a run should go on: early stopping, and the guard against a
//! fine-tune that makes the model worse.

use crate::progress::{Best, Measured};
use configs::{EarlyStopping, Guard, RunConfig};
use serde::{Deserialize, Serialize};

/// What the evaluations of a run have shown so far. Stored with the run, so that one that goes on
/// judges as if it had not been interrupted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The guarded metric before step 0.
    pub baseline: Option<Best>,
    /// The guarded metric at the latest evaluation.
    pub latest: Option<Best>,
    /// The value that early stopping counts from.
    pub mark: Option<Best>,
    /// Evaluations in a row that did not beat it.
    pub without_best: u64,
}

/// When a run ends before its duration is over.
#[derive(Clone, Debug)]
pub struct Watch {
    best: String,
    early_stopping: Option<EarlyStopping>,
    guard: Option<Guard>,
}

/// What follows from what has been seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing speaks against going on.
    GoOn,
    /// The run is done: the reason, in words.
    Stop(String),
}

/// The fine-tune fell below the model that it started from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "eval.guard: `{metric}` is {found:.4} at step {step}, {drop:.4} below its {baseline:.4} before \
     step 0; at most {max_drop} is allowed. The model gets worse: lower optim.lr, freeze more, or \
     look at the data; to go on all the same raise eval.guard.max_drop or leave eval.guard out"
)]
pub struct Regressed {
    metric: String,
    found: f64,
    baseline: f64,
    drop: f64,
    max_drop: f64,
    step: u64,
}

impl Watch {
    /// What `cfg` asks for; nothing where it does not evaluate.
    pub fn new(cfg: &RunConfig) -> Self {
        let eval = cfg.eval.as_ref();
        Self {
            best: cfg.checkpoint.best.clone(),
            early_stopping: eval.and_then(|eval| eval.early_stopping),
            guard: eval.and_then(|eval| eval.guard.clone()),
        }
    }

    /// The metric that the guard looks at.
    pub fn guarded(&self) -> &str {
        let named = self.guard.as_ref().and_then(|guard| guard.metric.as_deref());
        named.unwrap_or(&self.best)
    }

    /// Takes in an evaluation over `items` after `step`: the values of `checkpoint.best` and of
    /// [`Watch::guarded`]. What was measured otherwise before does not count.
    pub fn see(&self, seen: &mut Seen, items: &[String], step: u64, best: f64, guarded: f64) {
        let measured = |metric: &str, value: f64| {
            let of = Measured { metric: metric.to_owned(), items: items.to_vec() };
            Best { of, value, step }
        };
        let found = measured(self.guarded(), guarded);
        if step == 0 {
            seen.baseline = Some(found.clone());
        }
        seen.latest = Some(found);
        let found = measured(&self.best, best);
        let min_delta = self.early_stopping.map_or(0.0, |rule| rule.min_delta);
        let former = seen.mark.as_ref().filter(|mark| mark.of == found.of);
        if former.is_none_or(|mark| best > mark.value + min_delta) {
            (seen.mark, seen.without_best) = (Some(found), 0);
        } else {
            seen.without_best += 1;
        }
    }

    /// Judges what has been seen.
    ///
    /// # Errors
    /// [`Regressed`].
    pub fn judge(&self, seen: &Seen) -> Result<Verdict, Regressed> {
        if let (Some(guard), Some(baseline), Some(latest)) =
            (&self.guard, &seen.baseline, &seen.latest)
            && baseline.of == latest.of
            && baseline.of.metric == self.guarded()
            && latest.step > guard.after_steps
            && baseline.value - latest.value > guard.max_drop
        {
            return Err(Regressed {
                metric: latest.of.metric.clone(),
                found: latest.value,
                baseline: baseline.value,
                drop: baseline.value - latest.value,
                max_drop: guard.max_drop,
                step: latest.step,
            });
        }
        if let (Some(rule), Some(mark)) = (self.early_stopping, &seen.mark)
            && seen.without_best >= rule.patience
        {
            let Best { of: Measured { metric, .. }, value, step } = mark;
            return Ok(Verdict::Stop(format!(
                "early stopping: {} evaluations in a row did not beat {metric} {value:.4} of step \
                 {step} (eval.early_stopping.patience)",
                seen.without_best
            )));
        }
        Ok(Verdict::GoOn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(patience: Option<u64>, min_delta: f64, max_drop: Option<f64>) -> Watch {
        Watch {
            best: "a/mrr".into(),
            early_stopping: patience.map(|patience| EarlyStopping { patience, min_delta }),
            guard: max_drop.map(|max_drop| Guard { metric: None, max_drop, after_steps: 10 }),
        }
    }

    fn see(watch: &Watch, values: &[f64]) -> (Seen, Vec<bool>) {
        let (mut seen, items) = (Seen::default(), ["val".to_owned()]);
        let stops = values.iter().zip((0..).step_by(10)).map(|(value, step)| {
            watch.see(&mut seen, &items, step, *value, *value);
            matches!(watch.judge(&seen), Ok(Verdict::Stop(_)))
        });
        let stops = stops.collect();
        (seen, stops)
    }

    #[test]
    fn patience_counts_evaluations_in_a_row() {
        let (_, stops) = see(&watch(Some(2), 0.0, None), &[0.1, 0.2, 0.2, 0.3, 0.3, 0.25]);
        assert_eq!(stops, [false, false, false, false, false, true]);
        let (_, stops) = see(&watch(Some(2), 0.05, None), &[0.1, 0.12, 0.14]);
        assert_eq!(stops, [false, false, true]);
        let (_, stops) = see(&watch(None, 0.0, None), &[0.3, 0.2, 0.1]);
        assert_eq!(stops, [false; 3]);
    }

    #[test]
    fn what_was_measured_otherwise_does_not_count() {
        let watch = watch(Some(1), 0.0, Some(0.1));
        let mut seen = Seen::default();
        watch.see(&mut seen, &["old".into()], 0, 0.9, 0.9);
        watch.see(&mut seen, &["new".into()], 20, 0.2, 0.2);
        assert_eq!(watch.judge(&seen), Ok(Verdict::GoOn));
        assert_eq!(seen.without_best, 0);
    }

    #[test]
    fn the_guard_compares_with_step_0() {
        let guard = watch(None, 0.0, Some(0.1));
        let judged = |values: &[f64]| guard.judge(&see(&guard, values).0);
        assert_eq!(judged(&[0.5, 0.2]), Ok(Verdict::GoOn), "step 10 is within after_steps");
        assert_eq!(judged(&[0.5, 0.5, 0.4]), Ok(Verdict::GoOn));
        let message = judged(&[0.5, 0.6, 0.375]).unwrap_err().to_string();
        assert!(
            message.starts_with(
                "eval.guard: `a/mrr` is 0.3750 at step 20, 0.1250 below its 0.5000 before step 0; \
                 at most 0.1 is allowed."
            ),
            "{message}"
        );
    }
}
