//! The learning rate at every step.

use configs::{Decay, Schedule};

/// The learning rate of step `step` (from 0) of `steps`: a linear rise to `peak` over the warm-up,
/// `peak · (step + 1) / warmup` as open_clip has it, then the chosen decay, which reaches
/// `final_fraction · peak` one step after the last.
pub fn learning_rate(cfg: &Schedule, peak: f64, step: u64, steps: u64) -> f64 {
    if step < cfg.warmup_steps {
        return peak * (step + 1) as f64 / cfg.warmup_steps as f64;
    }
    let span = steps.saturating_sub(cfg.warmup_steps).max(1);
    let done = (step - cfg.warmup_steps) as f64 / span as f64;
    let left = match cfg.kind {
        Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        Decay::Linear => 1.0 - done,
        Decay::Constant => return peak,
    };
    peak * (cfg.final_fraction + (1.0 - cfg.final_fraction) * left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: Decay, warmup_steps: u64, final_fraction: f64) -> Vec<f64> {
        let cfg = Schedule { kind, warmup_steps, final_fraction };
        (0..6).map(|step| learning_rate(&cfg, 2.0, step, 6)).collect()
    }

    #[test]
    fn warm_up_rises_to_the_peak_and_the_decay_starts_from_it() {
        assert_eq!(rates(Decay::Linear, 2, 0.0), [1.0, 2.0, 2.0, 1.5, 1.0, 0.5]);
        assert_eq!(rates(Decay::Constant, 2, 0.0), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let cosine = rates(Decay::Cosine, 2, 0.1);
        assert_eq!(&cosine[..3], [1.0, 2.0, 2.0]);
        assert!((cosine[4] - 2.0 * 0.55).abs() < 1e-12, "{cosine:?}");
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_peak() {
        assert_eq!(rates(Decay::Cosine, 0, 0.0)[0], 2.0);
    }
}
