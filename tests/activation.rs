//! Weights that run under another activation than they were trained with are noticed.

use crate::tiny;
use configs::Optim;
use tch::Kind;
use train::AdamW;
use train::model::{Activation, Clip};
use train::preflight::wrong_activation;

/// Large published models depend on their activation through many small differences. A tiny one
/// does so if its MLPs sit where the two differ most, at -2.2, with a large weight on the difference
/// and a bias that takes away what `quick_gelu` gives there.
fn depend_on_quick_gelu(model: &Clip) {
    const X: f64 = -2.2;
    let quick_gelu = X / (1.0 + (-1.702 * X).exp());
    let find = |name: &str| {
        model.params().iter().find(|param| param.name == name).unwrap().value.shallow_clone()
    };
    tch::no_grad(|| {
        for tower in ["text_model", "vision_model"] {
            let mlp = format!("{tower}.encoder.layers.0.mlp");
            let _ = find(&format!("{mlp}.fc1.weight")).g_mul_scalar_(0.05);
            let _ = find(&format!("{mlp}.fc1.bias")).fill_(X);
            let weight = find(&format!("{mlp}.fc2.weight")).g_mul_scalar_(40.0);
            let constant = weight.sum_dim_intlist([1i64].as_slice(), false, None::<Kind>);
            find(&format!("{mlp}.fc2.bias")).copy_(&(constant * -quick_gelu));
        }
    });
}

#[test]
fn a_wrong_hidden_act_is_noticed_and_the_right_one_is_not() {
    let mut model = tiny::clip(Kind::Float);
    depend_on_quick_gelu(&model);
    let (inputs, rows) = (tiny::inputs(), tiny::rows(Kind::Float));
    let loss = configs::Loss::default();
    let cfg =
        Optim { lr: 3e-3, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.0, max_grad_norm: None };
    let mut optim = AdamW::new(model.params(), &cfg);
    assert_eq!(model.spec.activation(), Activation::QuickGelu);
    for _ in 0..100 {
        tiny::accumulate(&model, &inputs, &rows, tiny::ROWS, &loss);
        optim.step(cfg.lr, None).unwrap();
    }
    assert_eq!(wrong_activation(&mut model, &tiny::batch(), tiny::ROWS, &loss).unwrap(), None);

    // The same weights under a config.json that says otherwise.
    model.spec.text.blocks.hidden_act = Activation::Gelu;
    model.spec.vision.blocks.hidden_act = Activation::Gelu;
    let text = wrong_activation(&mut model, &tiny::batch(), tiny::ROWS, &loss).unwrap().unwrap();
    assert!(text.contains("says hidden_act `gelu`"), "{text}");
    assert!(text.contains("do better with `quick_gelu`"), "{text}");
}
