//! AdamW over a model's parameters, with a state that can be saved and put back.

use crate::model::Param;
use crate::scaler::GradScaler;
use configs::Optim;
use native::{AdamWStep, NativeError, OnDevice};
use tch::{Kind, TchError, Tensor};

/// Parameters with one weight decay and their moments, in parallel lists.
#[derive(Debug, Default)]
struct Group {
    names: Vec<String>,
    /// The leaves that the towers compute with and that gradients come to.
    leaves: Vec<Tensor>,
    /// What is updated: f32 masters of bfloat16 leaves, otherwise the leaves themselves.
    params: Vec<Tensor>,
    /// Gradients in the dtype of `params`, from the first time that they are asked for in a step.
    grads: Vec<Tensor>,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
    steps: Vec<Tensor>,
    weight_decay: f64,
}

/// AdamW (arXiv 1711.05101) by libtorch's fused kernel.
#[derive(Debug)]
pub struct AdamW {
    cfg: Optim,
    groups: [Group; 2],
    scaler: Option<GradScaler>,
}

impl AdamW {
    /// Over every parameter that has `requires_grad`. Parameters of fewer than two axes (biases,
    /// norms, the class token, logit_scale) do not decay, as in open_clip.
    pub fn new(params: &[Param], cfg: &Optim) -> Self {
        let mut groups =
            [Group { weight_decay: cfg.weight_decay, ..Group::default() }, Group::default()];
        for param in params.iter().filter(|p| p.value.requires_grad()) {
            let group = &mut groups[usize::from(param.value.dim() < 2)];
            group.names.push(param.name.clone());
            group.leaves.push(param.value.shallow_clone());
            group.params.push(param.exact().shallow_clone());
            group.exp_avg.push(tch::no_grad(|| param.exact().zeros_like()));
            group.exp_avg_sq.push(tch::no_grad(|| param.exact().zeros_like()));
            group.steps.push(Tensor::zeros([], (Kind::Float, param.value.device())));
        }
        Self { cfg: *cfg, groups, scaler: None }
    }

    /// With gradients that come multiplied by the scale of `scaler`.
    pub fn with_scaler(self, scaler: Option<GradScaler>) -> Self {
        Self { scaler, ..self }
    }

    /// What gradients have to be multiplied by, where the run has such a scale.
    pub fn scaler(&self) -> Option<&GradScaler> {
        self.scaler.as_ref()
    }

    /// The same, to put back its state.
    pub fn scaler_mut(&mut self) -> Option<&mut GradScaler> {
        self.scaler.as_mut()
    }

    /// The L2 norm of all gradients, a scalar not waited for; if the config states a greatest norm,
    /// gradients are scaled down to it. A gradient scale is divided out first, so this is called
    /// once in a step.
    ///
    /// # Errors
    /// When no parameter has a gradient.
    pub fn clip_grad_norm(&mut self) -> Result<Tensor, NativeError> {
        self.groups.iter_mut().for_each(Group::take_grads);
        let grads = self.groups.iter().flat_map(|g| g.grads.iter().map(Tensor::shallow_clone));
        let mut grads: Vec<Tensor> = grads.collect();
        if let Some(scaler) = &self.scaler {
            native::scale(&mut grads, &scaler.inverse())?;
        }
        let norm = native::global_norm(&grads)?;
        if let Some(max) = self.cfg.max_grad_norm {
            // As torch.nn.utils.clip_grad_norm_ writes it, 1e-6 included.
            let factor = ((&norm + 1e-6).reciprocal() * max).clamp_max(1.0);
            native::scale(&mut grads, &factor)?;
        }
        Ok(norm)
    }

    /// One update with learning rate `lr`; the gradients are cleared. Where the f32 scalar
    /// `found_inf` ([`not_finite`]) is 1, weights, moments and counts of updates stay as they are,
    /// and the host does not wait to know it. A gradient scale moves accordingly.
    ///
    /// # Errors
    /// When libtorch refuses, which a consistent state never makes it do.
    pub fn step(&mut self, lr: f64, found_inf: Option<&Tensor>) -> Result<(), NativeError> {
        for group in &mut self.groups {
            group.take_grads();
            let grads = std::mem::take(&mut group.grads);
            let with = AdamWStep {
                lr,
                betas: self.cfg.betas,
                eps: self.cfg.eps,
                weight_decay: group.weight_decay,
            };
            native::fused_adamw(
                &mut group.params,
                &grads,
                &mut group.exp_avg,
                &mut group.exp_avg_sq,
                &mut group.steps,
                with,
                OnDevice { found_inf, grad_scale: None },
            )?;
            let (mut rounded, masters): (Vec<_>, Vec<_>) = group
                .leaves
                .iter()
                .zip(&group.params)
                .filter(|(leaf, param)| leaf.kind() != param.kind())
                .map(|(leaf, param)| (leaf.shallow_clone(), param.shallow_clone()))
                .unzip();
            native::copy(&mut rounded, &masters)?;
            native::clear_grads(&mut group.leaves);
        }
        if let (Some(scaler), Some(found_inf)) = (&mut self.scaler, found_inf) {
            scaler.update(found_inf)?;
        }
        Ok(())
    }

    /// Steps that changed nothing because a scaled gradient overflowed.
    ///
    /// # Errors
    /// When the device cannot be read.
    pub fn num_skipped(&self) -> Result<u64, TchError> {
        let skipped = self.scaler.as_ref().map(|scaler| f64::try_from(scaler.num_skipped()));
        Ok(skipped.transpose()?.unwrap_or(0.0) as u64)
    }

    /// Every tensor of the state, that of the gradient scale included.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let scaler = self.scaler.iter().flat_map(|scaler| scaler.state().map(|(_, tensor)| tensor));
        self.state().map(|(_, tensor)| tensor).chain(scaler)
    }

    /// The state as named tensors: `exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME`.
    pub fn state(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.groups.iter().flat_map(|g| {
            g.names.iter().enumerate().flat_map(|(i, name)| {
                [
                    (format!("exp_avg.{name}"), &g.exp_avg[i]),
                    (format!("exp_avg_sq.{name}"), &g.exp_avg_sq[i]),
                    (format!("step.{name}"), &g.steps[i]),
                ]
            })
        })
    }

    /// Puts back a state: `find` gives the saved tensor of each name of [`AdamW::state`].
    ///
    /// # Errors
    /// Whatever `find` ends in, or the name of a tensor of another shape.
    pub fn restore<E: From<String>>(
        &mut self,
        mut find: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        for (name, value) in self.state() {
            let saved = find(&name)?;
            if saved.size() != value.size() {
                let (expected, found) = (value.size(), saved.size());
                return Err(
                    format!("`{name}`: expected shape {expected:?}, found {found:?}").into()
                );
            }
            tch::no_grad(|| value.shallow_clone().copy_(&saved));
        }
        Ok(())
    }
}

impl Group {
    /// Collects the gradients of a step, zeros for a parameter that had no part in the loss.
    fn take_grads(&mut self) {
        if !self.grads.is_empty() {
            return;
        }
        let of = |(leaf, param): (&Tensor, &Tensor)| {
            let grad = leaf.grad();
            if !grad.defined() {
                return tch::no_grad(|| param.zeros_like());
            }
            grad.to_kind(param.kind()) // the gradient itself where the dtype is the same
        };
        self.grads = self.leaves.iter().zip(&self.params).map(of).collect();
    }
}

/// 1 where one of `scalars` is NaN or infinite, else 0: an f32 scalar on their device, not waited
/// for.
pub fn not_finite(scalars: &[&Tensor]) -> Tensor {
    let all: Vec<Tensor> = scalars.iter().map(|x| x.to_kind(Kind::Float).isfinite()).collect();
    Tensor::stack(&all, 0).all().logical_not().to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use configs::Precision;
    use tch::Device;

    const CFG: Optim = Optim {
        lr: 0.1,
        betas: [0.9, 0.98],
        eps: 1e-6,
        weight_decay: 0.2,
        max_grad_norm: Some(1.0),
    };

    /// A matrix and a scalar of dtype `kind`.
    fn params(kind: Kind) -> Vec<Param> {
        let leaf = |name: &str, value: Tensor| {
            let master = (kind == Kind::BFloat16).then(|| value.copy());
            Param { name: name.into(), value: value.to_kind(kind).set_requires_grad(true), master }
        };
        let matrix = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]).sin();
        vec![leaf("matrix", matrix), leaf("scalar", Tensor::from(0.7f32))]
    }

    /// One step in which every gradient is `grad`; the norm before clipping.
    fn step(params: &[Param], optim: &mut AdamW, grad: f64) -> f64 {
        for param in params {
            let value = &param.value;
            native::backward(&[value * 1.0], &[value.full_like(grad)]).unwrap();
        }
        let norm = optim.clip_grad_norm().unwrap();
        optim.step(0.1, Some(&not_finite(&[&norm]))).unwrap();
        f64::try_from(norm).unwrap()
    }

    fn everything(params: &[Param], optim: &AdamW) -> Vec<Tensor> {
        let values = params.iter().flat_map(|p| [p.value.copy(), p.exact().copy()]);
        values.chain(optim.state().map(|(_, t)| t.copy())).collect()
    }

    #[test]
    fn a_step_that_is_not_finite_changes_no_bit() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let params = params(kind);
            let mut optim = AdamW::new(&params, &CFG);
            step(&params, &mut optim, 0.5);
            let before = everything(&params, &optim);
            for grad in [f64::NAN, f64::INFINITY] {
                assert!(!step(&params, &mut optim, grad).is_finite());
                let after = everything(&params, &optim);
                assert!(before.iter().zip(&after).all(|(a, b)| a.equal(b)), "{kind:?} {grad}");
            }
            // The next good step goes on as if they had not been.
            step(&params, &mut optim, 0.5);
            assert!(!before[0].equal(&params[0].value));
            assert!(params[0].value.grad().numel() == 0 || !params[0].value.grad().defined());
        }
    }

    #[test]
    fn masters_take_what_bfloat16_would_lose() {
        let (full, half) = (params(Kind::Float), params(Kind::BFloat16));
        let (mut a, mut b) = (AdamW::new(&full, &CFG), AdamW::new(&half, &CFG));
        for _ in 0..5 {
            let norms = (step(&full, &mut a, 0.25), step(&half, &mut b, 0.25));
            assert!((norms.0 - norms.1).abs() < 1e-6, "{norms:?}");
        }
        for (full, half) in full.iter().zip(&half) {
            assert!(full.value.equal(half.exact()), "{}", full.name);
            assert_eq!(half.value.kind(), Kind::BFloat16);
            assert!(half.value.equal(&half.exact().to_kind(Kind::BFloat16)));
        }
    }

    #[test]
    fn scaled_gradients_train_as_others_and_an_overflow_halves_the_scale() {
        let (plain, scaled) = (params(Kind::Float), params(Kind::Float));
        let mut a = AdamW::new(&plain, &CFG);
        let scaler = GradScaler::of(Precision::Fp16, Device::Cpu);
        let mut b = AdamW::new(&scaled, &CFG).with_scaler(scaler);
        let norms = (step(&plain, &mut a, 3.0), step(&scaled, &mut b, 3.0 * 65536.0));
        assert!((norms.0 - norms.1).abs() < 1e-6, "{norms:?}");
        step(&scaled, &mut b, f64::INFINITY);
        assert_eq!(f64::try_from(b.scaler().unwrap().scale()).unwrap(), 32768.0);
        step(&plain, &mut a, 0.1);
        step(&scaled, &mut b, 0.1 * 32768.0);
        for (plain, scaled) in plain.iter().zip(&scaled) {
            let diff = f64::try_from((&plain.value - &scaled.value).abs().max()).unwrap();
            assert!(diff < 1e-6, "{}: {diff:e}", plain.name);
        }
    }
}
