//! The gradients of a batch do not depend on how many rows go through the towers at once.

use crate::tiny;
use tch::{Kind, Tensor};

/// The loss and the gradients of every parameter, `micro` rows at a time.
fn gradients(kind: Kind, micro: usize) -> (f64, Vec<(String, Tensor)>) {
    let model = tiny::clip(kind);
    let cfg = configs::Loss { tile: 5, ..configs::Loss::default() };
    let rows = tiny::rows(kind);
    let (step, _) = tiny::accumulate(&model, &tiny::inputs(), &rows, micro, &cfg);
    let grads = model.params().iter().map(|p| (p.name.clone(), p.value.grad())).collect();
    (f64::try_from(&step.loss).unwrap(), grads)
}

/// Micro-batches of 1, 3, 6 (and 5, which leaves a rest) against the whole batch.
fn agree(kind: Kind, tolerance: f64) {
    let (loss, grads) = gradients(kind, tiny::ROWS);
    assert!(loss > 0.1, "a loss that tells something: {loss}");
    for micro in [1, 3, 5, 6] {
        let (found_loss, found) = gradients(kind, micro);
        assert!((found_loss - loss).abs() < tolerance * loss, "{micro}: {found_loss} {loss}");
        for ((name, expected), (_, found)) in grads.iter().zip(&found) {
            let error = f64::try_from((found - expected).abs().max()).unwrap();
            assert!(error < tolerance, "micro-batch {micro}, {name}: {error:e}");
        }
    }
}

#[test]
fn equal_in_f64() {
    agree(Kind::Double, 1e-12);
}

#[test]
fn equal_in_f32() {
    agree(Kind::Float, 1e-6);
}
