//! The model, its loss and gradients against `transformers` and `open_clip`, live, on the same
//! random weights and inputs.

use crate::support::python;
use crate::tiny;
use checkpoints::TensorFile;
use configs::{Clean, Decay, Optim, Schedule};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use train::loss::Rows;
use train::model::{Clip, Param};
use train::step::Inputs;
use train::{AdamW, ModelDir, learning_rate, tensors};

/// Tensors that a script of `tests/peers` wrote.
struct Golden(TensorFile);

impl Golden {
    fn open(path: &Path) -> Self {
        Self(TensorFile::open(path).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        tensors::from_stored(&self.0.tensor(name).unwrap()).unwrap()
    }
}

fn max_abs(x: &Tensor) -> f64 {
    f64::try_from(x.to_kind(Kind::Double).abs().max()).unwrap()
}

fn diff(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    max_abs(&(a - b))
}

/// The largest error of a gradient relative to its largest value. The gradient of a `k_proj.bias`
/// is zero in exact arithmetic (softmax ignores what its inputs share), and every implementation
/// returns rounding noise: it is measured against its `k_proj.weight`.
fn gradient_error(model: &Clip, golden: &Golden, prefix: &str) -> f64 {
    let mut worst: f64 = 0.0;
    for param in model.params() {
        let expected = golden.get(&format!("{prefix}grad.{}", param.name));
        let scale = match param.name.strip_suffix("k_proj.bias") {
            Some(block) => golden.get(&format!("{prefix}grad.{block}k_proj.weight")),
            None => expected.shallow_clone(),
        };
        let error = diff(&param.value.grad(), &expected) / max_abs(&scale);
        assert!(error < 1e-4, "{prefix}{}: relative error {error:e}", param.name);
        worst = worst.max(error);
    }
    worst
}

fn agrees_with_the_peers(case: &str) {
    let dir = tempfile::tempdir().unwrap();
    python("clip_parity.py", &["--case", case, "--out", dir.path().to_str().unwrap()]);
    let golden = Golden::open(&dir.path().join("expected.safetensors"));
    let model_dir = ModelDir::open(&dir.path().join("model"), Clean::Hf).unwrap();
    let model = model_dir.load(Device::Cpu).unwrap();

    let ids_bt = golden.get("input_ids");
    let inputs = Inputs {
        pixels_BHWC: golden.get("pixels"),
        ids_BT: ids_bt.shallow_clone(),
        patches_BK: None,
    };
    let (image, text) = tch::no_grad(|| {
        let normalised = golden.get("pixel_values").permute([0, 2, 3, 1]);
        let from_floats = model.encode_normalised(&normalised);
        let image = model.encode_image(&inputs.pixels_BHWC, None);
        assert!(diff(&image, &from_floats) < 1e-5, "{case}: normalisation of pixels");
        (image, model.encode_text(&ids_bt))
    });
    let products: Vec<u64> = (0..ids_bt.size()[0].unsigned_abs()).collect();
    let weights = vec![1.0; products.len()];
    let cfg = configs::Loss { tile: 3, ..configs::Loss::default() };
    let rows = Rows::new(&products, &products, &weights, 0..products.len(), &cfg, &image);
    let (step, _) = tiny::accumulate(&model, &inputs, &rows, products.len(), &cfg);
    for prefix in ["", "openclip."] {
        let at = |name: &str| golden.get(&format!("{prefix}{name}"));
        let (i, t) = (diff(&image, &at("image_embeds")), diff(&text, &at("text_embeds")));
        let loss = diff(&step.loss, &at("loss"));
        assert!(i < 1e-5 && t < 1e-5, "{case} {prefix}: embeddings differ by {i:e}, {t:e}");
        // Both sides round to f32, whose steps grow with the value: relative above 1.
        let allowed = 1e-6 * max_abs(&at("loss")).max(1.0);
        assert!(loss < allowed, "{case} {prefix}: loss differs by {loss:e}");
        let grad = gradient_error(&model, &golden, prefix);
        println!("{case} {prefix} embeddings {i:e} {t:e} loss {loss:e} gradients {grad:e}");
    }
}

#[test]
fn tiny_models_with_quick_gelu_and_the_old_end_token_rule() {
    agrees_with_the_peers("tiny-quick-gelu");
}

#[test]
fn tiny_models_with_gelu_and_a_real_end_token() {
    agrees_with_the_peers("tiny-gelu");
}

#[test]
fn towers_of_different_shapes() {
    agrees_with_the_peers("odd-shapes");
}

#[test]
fn captions_that_fill_the_context() {
    agrees_with_the_peers("longest");
}

#[test]
fn weights_in_shards() {
    agrees_with_the_peers("sharded");
}

#[test]
fn a_model_of_the_published_vit_b_32_shape() {
    agrees_with_the_peers("vit-b-32");
}

#[test]
fn weights_stored_in_half_precision() {
    agrees_with_the_peers("half");
}

#[test]
fn adamw_with_schedule_and_clipping_follows_torch() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adamw.safetensors");
    python("adamw.py", &["--out", file.to_str().unwrap()]);
    let golden = Golden::open(&file);
    let params: Vec<Param> = golden
        .0
        .names()
        .filter_map(|name| name.strip_prefix("start."))
        .map(|name| {
            let value = golden.get(&format!("start.{name}")).set_requires_grad(true);
            Param { name: name.to_owned(), value, master: None }
        })
        .collect();
    assert_eq!(params.len(), 11);
    // The settings of adamw.py.
    let cfg = Optim {
        lr: 1e-2,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.2,
        max_grad_norm: Some(1.0),
    };
    let schedule = Schedule { kind: Decay::Cosine, warmup_steps: 2, final_fraction: 0.0 };
    let mut optim = AdamW::new(&params, &cfg);
    for step in 0..5 {
        let at = |name: &str| golden.get(&format!("step.{step}.{name}"));
        for param in &params {
            let grad = at(&format!("grad.{}", param.name));
            native::backward(&[param.value.shallow_clone()], &[grad]).unwrap();
        }
        assert!(diff(&optim.clip_grad_norm().unwrap(), &at("norm")) < 1e-6 * max_abs(&at("norm")));
        let lr = learning_rate(&schedule, cfg.lr, step, 8);
        assert!((lr - f64::try_from(at("lr")).unwrap()).abs() < 1e-12, "step {step}");
        optim.step(lr, None).unwrap();
        for param in &params {
            let error = diff(&param.value, &at(&format!("param.{}", param.name)));
            assert!(error < 1e-6, "step {step} {}: {error:e}", param.name);
        }
        for (name, value) in optim.state().filter(|(name, _)| !name.starts_with("step.")) {
            let expected = at(&name);
            let error = diff(value, &expected);
            assert!(error <= 1e-6 * max_abs(&expected).max(1.0), "step {step} {name}: {error:e}");
        }
    }
}
