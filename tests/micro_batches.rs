//! The gradients of a batch do not depend on how many rows go through the towers at once.

use configs::{Positives, Precision};
use data::Preprocessor;
use tch::{Device, Kind, Tensor};
use train::loss::Rows;
use train::model::{Clip, ClipSpec, Source};
use train::step::{Inputs, accumulate_gradients};

const SHAPE: &str = r#"{
    "projection_dim": 24,
    "text_config": {"vocab_size": 60, "max_position_embeddings": 9, "eos_token_id": 59,
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4},
    "vision_config": {"image_size": 16, "patch_size": 4, "hidden_size": 48,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6}
}"#;

/// The loss and the gradients of every parameter, `micro` rows at a time.
fn gradients(kind: Kind, micro: usize) -> (f64, Vec<(String, Tensor)>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, SHAPE).unwrap();
    let spec = ClipSpec::read(&path).unwrap();
    let picture = Preprocessor::clip(16);
    let model = Clip::new(spec, Source::Random, &picture, Device::Cpu, kind).unwrap();
    // Fixed values instead of the global generator, which tests share.
    let wave = |shape: &[i64], seed: f64| {
        let len: i64 = shape.iter().product();
        ((Tensor::arange(len, (Kind::Double, Device::Cpu)) + 1.0) * (1.7 + seed)).sin().view(shape)
    };
    for (i, param) in model.params().iter().enumerate() {
        let size = param.value.size();
        let fan = size.last().copied().unwrap_or(1).max(1) as f64;
        let value = wave(&size, i as f64 / 7.0) * (1.5 / fan.sqrt());
        let centre =
            if param.name.contains("norm") && param.name.ends_with("weight") { 1.0 } else { 0.0 };
        tch::no_grad(|| param.value.shallow_clone().copy_(&(value + centre)));
    }

    let rows = 12;
    let pixels = ((wave(&[rows, 16, 16, 3], 0.3) + 1.0) * 127.0).to_kind(Kind::Uint8);
    let ids = ((wave(&[rows, 9], 0.9) + 1.0) * 28.0).to_kind(Kind::Int64);
    for row in 0..rows {
        let _ = ids.get(row).narrow(0, 3 + row % 6, 1).fill_(59);
    }
    let inputs = Inputs { pixels_BHWC: pixels, ids_BT: ids };
    let products = [1, 2, 3, 4, 1, 6, 7, 8, 3, 10, 11, 12];
    let weights = [1.0, 1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let like = Tensor::zeros([1], (kind, Device::Cpu));
    let rows = Rows::new(&products, &weights, Positives::Mask, &like);
    let cfg = configs::Loss { tile: 5, ..configs::Loss::default() };
    let (step, _) =
        accumulate_gradients(&model, &inputs, &rows, micro, &cfg, Precision::F32).unwrap();
    let grads = model.params().iter().map(|p| (p.name.clone(), p.value.grad())).collect();
    (f64::try_from(&step.loss).unwrap(), grads)
}

/// Micro-batches of 1, 3, 6 (and 5, which leaves a rest) against the whole batch.
fn agree(kind: Kind, tolerance: f64) {
    let (loss, grads) = gradients(kind, 12);
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
