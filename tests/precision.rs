//! Training in 16 bits: close to f32, and exactly resumable.

use crate::support::python;
use crate::tiny;
use checkpoints::{TensorFile, TensorView, write_safetensors};
use configs::{Optim, Precision};
use data::Preprocessor;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use train::model::{Clip, Source};
use train::{AdamW, GradScaler, not_finite, tensors};

const OPTIM: Optim =
    Optim { lr: 1e-3, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2, max_grad_norm: Some(1.0) };

fn optimiser(model: &Clip, precision: Precision) -> AdamW {
    AdamW::new(model.params(), &OPTIM).with_scaler(GradScaler::of(precision, Device::Cpu))
}

/// The losses of so many steps on one batch.
fn train(model: &Clip, optim: &mut AdamW, precision: Precision, steps: usize) -> Vec<f64> {
    let (inputs, rows, cfg) = (tiny::inputs(), tiny::rows(Kind::Float), configs::Loss::default());
    let one = |_| {
        let grad_scale = optim.scaler().map(GradScaler::scale);
        let (step, _) = tiny::accumulate_in(precision, grad_scale, model, &inputs, &rows, 6, &cfg);
        let norm = optim.clip_grad_norm().unwrap();
        optim.step(OPTIM.lr, Some(&not_finite(&[&step.loss, &norm]))).unwrap();
        f64::try_from(&step.loss).unwrap()
    };
    (0..steps).map(one).collect()
}

#[test]
fn losses_in_16_bits_are_close_to_those_in_f32() {
    let losses = |kind, precision| {
        let model = tiny::clip(kind);
        train(&model, &mut optimiser(&model, precision), precision, 10)
    };
    let expected = losses(Kind::Float, Precision::F32);
    assert!(expected[9] < 0.9 * expected[0], "it learns: {expected:?}");
    for (kind, precision, tolerance) in [
        (Kind::Float, Precision::Tf32, 0.0), // CPUs have no such arithmetic
        (Kind::Float, Precision::Fp16, 0.01),
        (Kind::Float, Precision::Bf16, 0.05),
        (Kind::BFloat16, Precision::PureBf16, 0.05),
    ] {
        let found = losses(kind, precision);
        for (expected, found) in expected.iter().zip(&found) {
            let error = (found - expected).abs() / expected;
            assert!(error <= tolerance, "{precision:?}: {found} instead of {expected}");
        }
    }
}

#[test]
fn bfloat16_throughout_resumes_without_a_lost_bit() {
    let dir = tempfile::tempdir().unwrap();
    let first = tiny::clip(Kind::BFloat16);
    let mut optim = optimiser(&first, Precision::PureBf16);
    train(&first, &mut optim, Precision::PureBf16, 3);

    // What a checkpoint holds: the exact weights and the optimiser's state.
    let write = |name: &str, tensors: Vec<(String, &Tensor)>| {
        let stored: Vec<_> =
            tensors.iter().map(|(name, t)| (name, tensors::to_stored(t).unwrap())).collect();
        assert!(stored.iter().all(|(_, t)| t.dtype == checkpoints::Dtype::F32));
        let views: Vec<TensorView> = stored.iter().map(|(n, t)| tensors::named(n, t)).collect();
        write_safetensors(&dir.path().join(name), &views, &BTreeMap::new()).unwrap();
        TensorFile::open(&dir.path().join(name)).unwrap()
    };
    let weights = first.params().iter().map(|p| (p.name.clone(), p.exact())).collect();
    let weights = write("model.safetensors", weights);
    let state = write("train_state.safetensors", optim.state().collect());

    let source = Source::Stored(&weights);
    let picture = Preprocessor::clip(16);
    let second = Clip::new(tiny::spec(), source, &picture, Device::Cpu, Kind::BFloat16).unwrap();
    let mut resumed = optimiser(&second, Precision::PureBf16);
    let find = |name: &str| -> Result<Tensor, String> {
        let stored = state.tensor(name).map_err(|e| e.to_string())?;
        tensors::from_stored(&stored).map_err(|e| e.to_string())
    };
    resumed.restore(find).unwrap();

    let expected = train(&first, &mut optim, Precision::PureBf16, 3);
    assert_eq!(train(&second, &mut resumed, Precision::PureBf16, 3), expected);
    for (a, b) in first.params().iter().zip(second.params()) {
        assert!(a.exact().equal(b.exact()) && a.value.equal(&b.value), "{}", a.name);
        let kind = if a.name == "logit_scale" { Kind::Float } else { Kind::BFloat16 };
        assert_eq!(a.value.kind(), kind, "{}", a.name);
    }
}

#[test]
fn the_gradient_scale_moves_as_torch_amp_moves_it() {
    // Overflows at irregular distances, one of them long enough for the scale to grow.
    let overflows = [0, 1, 5, 6, 2006, 2007, 4100];
    let golden =
        python("grad_scaler.py", &["--steps", "6200", "--overflows", "0,1,5,6,2006,2007,4100"]);
    let expected: Vec<f64> = serde_json::from_str(&golden).unwrap();
    assert_eq!(expected.len(), 6200);
    let mut scaler = GradScaler::of(Precision::Fp16, Device::Cpu).unwrap();
    for (step, expected) in expected.into_iter().enumerate() {
        let found_inf = Tensor::from(f32::from(u8::from(overflows.contains(&step))));
        scaler.update(&found_inf).unwrap();
        assert_eq!(f64::try_from(scaler.scale()).unwrap(), expected, "after step {step}");
    }
}
