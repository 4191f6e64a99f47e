//! Each operation of the shim against the same arithmetic written in plain tensor operations.
#![allow(clippy::unwrap_used)]

use native::{
    AdamWStep, OnDevice, autocast, backward, copy, fused_adamw, global_norm, recompute, rng_state,
    scale,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
        fused_adamw(&mut p, &[g], &mut em, &mut ev, &mut steps, with, OnDevice::default()).unwrap();
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
    for kind in [Kind::BFloat16, Kind::Half] {
        let _guard = autocast(Device::Cpu, kind).unwrap();
        assert_eq!(a.matmul(&a).kind(), kind);
        assert!(native::autocast_is_on(Device::Cpu));
    }
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

/// A weight, and a body that multiplies by it and counts its runs.
fn counted(weight: &Tensor) -> (Arc<AtomicUsize>, impl FnMut(&Tensor) -> Body + Send + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let (seen, weight) = (runs.clone(), weight.shallow_clone());
    let body = move |x: &Tensor| {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(x.matmul(&weight).tanh())
    };
    (runs, body)
}

type Body = Result<Tensor, native::NativeError>;

#[test]
fn recomputation_gives_the_same_gradients_and_runs_twice() {
    for (input_learns, weight_learns) in [(true, true), (true, false), (false, true)] {
        let leaf = |learns| {
            let x = Tensor::arange(9, CPU).view([3, 3]).sin();
            x.set_requires_grad(learns)
        };
        let (x, w, y, v) =
            (leaf(input_learns), leaf(weight_learns), leaf(input_learns), leaf(weight_learns));
        let given = Tensor::arange(9, CPU).view([3, 3]).cos();
        let plain = x.matmul(&w).tanh();
        backward(&[&plain * &plain], &[given.shallow_clone()]).unwrap();
        let (runs, body) = counted(&v);
        let found = recompute(&y, body).unwrap();
        assert!(found.equal(&plain) && found.requires_grad());
        backward(&[&found * &found], &[given]).unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        for (expected, found) in [(x, y), (w, v)] {
            assert_eq!(expected.grad().defined(), found.grad().defined());
            assert!(!expected.grad().defined() || expected.grad().equal(&found.grad()));
        }
    }
}

#[test]
fn recomputation_repeats_under_the_autocast_of_the_forward_pass() {
    let w = Tensor::eye(4, (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let guard = autocast(Device::Cpu, Kind::BFloat16).unwrap();
    // A cast that is made without a graph and cached must not serve the repetition.
    let _ = tch::no_grad(|| w.matmul(&w));
    let (kinds, weight) = (seen.clone(), w.shallow_clone());
    let y = recompute(&Tensor::ones([4, 4], (Kind::Float, Device::Cpu)), move |x| {
        let y = x.matmul(&weight);
        kinds.lock().unwrap().push(y.kind());
        Ok(y)
    })
    .unwrap();
    drop(guard);
    backward(&[y.to_kind(Kind::Float)], &[Tensor::ones([4, 4], (Kind::Float, Device::Cpu))])
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [Kind::BFloat16; 2]);
    assert_eq!(f64::try_from(w.grad().sum(Kind::Double)).unwrap(), 64.0);
    assert!(!native::autocast_is_on(Device::Cpu));
}

#[test]
fn what_fails_in_a_recomputed_body_is_an_error() {
    let x = Tensor::ones([2], CPU).set_requires_grad(true);
    let failing = |message: &'static str| {
        let mut first = true;
        move |x: &Tensor| {
            if std::mem::take(&mut first) {
                return Ok(x * 2.0);
            }
            Err(native::NativeError { operation: "embed", message: message.to_owned() })
        }
    };
    let y = recompute(&x, failing("no memory")).unwrap();
    let text = backward(&[y], &[x.ones_like()]).unwrap_err().to_string();
    assert_eq!(text, "libtorch could not back-propagate: no memory");
    let text = recompute(&x, |_| panic!("a bug of ours")).unwrap_err().to_string();
    assert_eq!(text, "libtorch could not run a part of the model: a bug of ours");
    // The graph is whole again after an error.
    let (_, body) = counted(&Tensor::ones([2, 2], CPU));
    backward(&[recompute(&x, body).unwrap()], &[x.ones_like()]).unwrap();
    assert!(x.grad().defined());
}

#[test]
fn a_flagged_update_changes_nothing_not_even_the_counts() {
    let value = || [Tensor::arange(6, (Kind::Float, Device::Cpu)).sin()];
    let (mut p, mut m, mut v, mut steps) =
        (value(), value(), [value()[0].square()], [Tensor::from(3.0f32)]);
    let with = AdamWStep { lr: 0.1, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2 };
    let mut update = |grad: f64, found_inf: f32| {
        let before: Vec<Tensor> = [&p[0], &m[0], &v[0], &steps[0]].map(Tensor::copy).into();
        let (grad, flag) = (Tensor::full([6], grad, (Kind::Float, Device::Cpu)), found_inf.into());
        let on_device = OnDevice { found_inf: Some(&flag), ..OnDevice::default() };
        fused_adamw(&mut p, &[grad], &mut m, &mut v, &mut steps, with, on_device).unwrap();
        let after = [&p[0], &m[0], &v[0], &steps[0]];
        before.iter().zip(after).map(|(a, b)| a.equal(b)).collect::<Vec<_>>()
    };
    assert_eq!(update(f64::NAN, 1.0), [true; 4]);
    assert_eq!(update(1.0, 0.0), [false; 4]);
    assert_eq!(f64::try_from(&steps[0]).unwrap(), 4.0);
}

#[test]
fn gradients_are_divided_by_their_scale() {
    let with = AdamWStep { lr: 0.1, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.2 };
    let updated = |grad: f64, grad_scale: Option<&Tensor>| {
        let one = || [Tensor::ones([3], (Kind::Float, Device::Cpu))];
        let (mut p, mut m, mut v) = (one(), one(), one());
        let mut steps = [Tensor::zeros([], (Kind::Float, Device::Cpu))];
        let on_device = OnDevice { grad_scale, ..OnDevice::default() };
        let grad = &one()[0] * grad;
        fused_adamw(&mut p, &[grad], &mut m, &mut v, &mut steps, with, on_device).unwrap();
        p[0].copy()
    };
    assert!(updated(8.0, Some(&Tensor::from(16.0f32))).equal(&updated(0.5, None)));
}

#[test]
fn copies_convert() {
    let from = [Tensor::from_slice(&[1.0f32, 1.000_001]), Tensor::from(3.0f32)];
    let mut to = [Tensor::zeros([2], (Kind::BFloat16, Device::Cpu)), Tensor::from(0.0f32)];
    copy(&mut to, &from).unwrap();
    assert_eq!(Vec::<f64>::try_from(to[0].to_kind(Kind::Double)).unwrap(), [1.0, 1.0]);
    assert_eq!(f64::try_from(&to[1]).unwrap(), 3.0);
}

#[test]
fn tf32_nests_and_ends_with_its_guard() {
    let allowed = || native::tf32_is_allowed().unwrap();
    assert!(!allowed());
    let outer = native::allow_tf32().unwrap();
    drop(native::allow_tf32().unwrap());
    assert!(allowed());
    drop(outer);
    assert!(!allowed());
}

#[test]
fn a_cpu_device_needs_no_copies_and_has_no_gpu_memory() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]);
    let there = native::Uploader::new(Device::Cpu).unwrap().upload(&[x.shallow_clone()]).unwrap();
    assert_eq!(there[0].data_ptr(), x.data_ptr());
    assert_eq!(native::DelayedScalar::start(&x.sum(Kind::Float)).unwrap().get().unwrap(), 3.0);
    assert!(native::DelayedScalar::start(&x).is_err());
    assert_eq!(native::gpu_memory(Device::Cpu).unwrap(), None);
    native::set_device(Device::Cpu).unwrap();
    native::empty_cache(Device::Cpu).unwrap();
    native::reset_peak(Device::Cpu).unwrap();
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let missing = Device::Cuda(native::device_count());
    assert!(native::set_device(missing).is_err());
    assert!(native::Uploader::new(missing).is_err());
}
