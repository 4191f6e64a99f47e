//! AdamW over a model's parameters, with a state that can be saved and put back.

use crate::model::Param;
use configs::Optim;
use native::{AdamWStep, NativeError};
use tch::{Kind, Tensor};

/// Parameters with one weight decay and their moments, in parallel lists.
#[derive(Debug, Default)]
struct Group {
    names: Vec<String>,
    params: Vec<Tensor>,
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
            group.params.push(param.value.shallow_clone());
            group.exp_avg.push(tch::no_grad(|| param.value.zeros_like()));
            group.exp_avg_sq.push(tch::no_grad(|| param.value.zeros_like()));
            group.steps.push(Tensor::zeros([], (Kind::Float, param.value.device())));
        }
        Self { cfg: *cfg, groups }
    }

    /// The L2 norm of all gradients, a scalar not waited for; if the config states a greatest norm,
    /// gradients are scaled down to it.
    ///
    /// # Errors
    /// When no parameter has a gradient.
    pub fn clip_grad_norm(&mut self) -> Result<Tensor, NativeError> {
        let mut grads: Vec<Tensor> = self.groups.iter().flat_map(|g| grads(&g.params)).collect();
        let norm = native::global_norm(&grads)?;
        if let Some(max) = self.cfg.max_grad_norm {
            // As torch.nn.utils.clip_grad_norm_ writes it, 1e-6 included.
            let factor = ((&norm + 1e-6).reciprocal() * max).clamp_max(1.0);
            native::scale(&mut grads, &factor)?;
        }
        Ok(norm)
    }

    /// One update with learning rate `lr`; the gradients are cleared.
    ///
    /// # Errors
    /// When libtorch refuses, which a consistent state never makes it do.
    pub fn step(&mut self, lr: f64) -> Result<(), NativeError> {
        for group in &mut self.groups {
            let grads = grads(&group.params);
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
            )?;
            native::clear_grads(&mut group.params);
        }
        Ok(())
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

/// The gradients of `params`; zeros for one that had no part in the loss.
fn grads(params: &[Tensor]) -> Vec<Tensor> {
    params.iter().map(|p| if p.grad().defined() { p.grad() } else { p.zeros_like() }).collect()
}
