//! The first batches of a run, with all that each of them changes written to files.

use super::{gradients_file, weights_file};
use crate::dist::Group;
use crate::model::{Clip, Param};
use crate::optim::not_finite;
use crate::scaler::GradScaler;
use crate::schedule::learning_rate;
use crate::step::{self, Gradients, Inputs};
use crate::{patches, start, tensors};
use anyhow::{Result, bail, ensure};
use checkpoints::{OwnedTensor, TensorView, write_safetensors};
use configs::{Micro, RunConfig};
use native::Uploader;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Trains the first `num_batches` batches of `cfg` as a run would, with the other processes that
/// the environment states. The first rank writes into `dir`.
///
/// # Errors
/// When a run could not start or go on; when loss or gradients are not finite; when the ranks'
/// weights differ after a step.
pub fn train_part(cfg: &RunConfig, num_batches: u64, dir: &Path) -> Result<()> {
    let (device, group) = start::join(cfg)?;
    let done = batches(cfg, num_batches, dir, device, &group);
    if let Err(error) = &done {
        group.fail(error);
    }
    done
}

fn batches(
    cfg: &RunConfig,
    num_batches: u64,
    dir: &Path,
    device: Device,
    group: &Group,
) -> Result<()> {
    let mut state = start::state(cfg, None, device, group)?;
    let (mut loader, _, steps) = start::data(cfg, &mut state, group)?;
    ensure!(
        num_batches <= steps,
        "--batches: expected at most the {steps} steps of the run, found {num_batches}"
    );
    let num_patches = usize::try_from(state.model.spec.vision.num_patches())?;
    let rank_rows = cfg.batch.size / group.shard().world;
    let micro = match cfg.batch.micro {
        Some(Micro::Count(micro)) => micro.min(rank_rows),
        Some(Micro::Auto) | None => rank_rows,
    };
    let mut gradients =
        Gradients::new(&state.model, cfg.loss, cfg.precision, micro, group, cfg.dist.gradients)?;
    let uploader = Uploader::new(device)?;
    for number in 1..=num_batches {
        // As in the loop of a run.
        let batch = loader.next()?;
        let rows = step::rows(&batch, &cfg.loss, state.model.logit_scale(), group)?;
        let mut inputs = Inputs::new(&batch, &uploader)?;
        let (epoch, dropout) = (batch.epoch, cfg.model.patch_dropout);
        inputs.patches_BK =
            patches::draw(cfg.seed, epoch, &batch.numbers, num_patches, dropout, device);
        let scale = state.optim.scaler().map(GradScaler::scale);
        let (found, _) = gradients.accumulate(&state.model, &inputs, &rows, scale)?;
        if group.leads() {
            // Before they are clipped, which would hide a common factor.
            let inverse = state.optim.scaler().map(GradScaler::inverse);
            let mut all = gradients_of(&state.model, inverse.as_ref())?;
            all.push(("loss".into(), tensors::to_stored(&found.loss.to_kind(Kind::Double))?));
            write(&gradients_file(dir, number), &all)?;
        }
        let grad_norm = state.optim.clip_grad_norm()?;
        let lr = learning_rate(&cfg.schedule, cfg.optim.lr, state.at.step, steps);
        state.optim.step(lr, Some(&not_finite(&[&found.loss, &grad_norm])))?;
        state.model.clamp_logit_scale();
        state.at.advance(cfg.batch.size as u64, loader.cursor());
        loader.drain_warnings().iter().for_each(|line| eprintln!("warning: {line}"));

        let (loss, grad_norm) = (f64::try_from(&found.loss)?, f64::try_from(&grad_norm)?);
        ensure!(
            loss.is_finite() && grad_norm.is_finite(),
            "batch {number}: loss {loss}, gradient norm {grad_norm}: not finite, so there is \
             nothing to compare. A run in fp16 leaves such a batch out and lowers the scale of its \
             gradients; verify with --set precision=f32"
        );
        let mut weights = weights_of(&state.model)?;
        same_on_all_ranks(&weights, number, group)?;
        if group.leads() {
            weights.push(("lr".into(), tensors::to_stored(&Tensor::from(lr))?));
            write(&weights_file(dir, number), &weights)?;
        }
    }
    group.leave()
}

/// The parameters that learn.
fn learning(model: &Clip) -> impl Iterator<Item = &Param> {
    model.params().iter().filter(|param| param.value.requires_grad())
}

/// The gradients, times `inverse` where they were scaled; zeros where a parameter had no part in
/// the loss.
fn gradients_of(model: &Clip, inverse: Option<&Tensor>) -> Result<Vec<(String, OwnedTensor)>> {
    let of = |param: &Param| {
        let mut grad = param.value.grad();
        if !grad.defined() {
            grad = tch::no_grad(|| param.value.zeros_like());
        }
        if let Some(inverse) = inverse {
            grad = grad.to_kind(Kind::Float) * inverse;
        }
        Ok((format!("grad.{}", param.name), tensors::to_stored(&grad)?))
    };
    learning(model).map(of).collect()
}

fn weights_of(model: &Clip) -> Result<Vec<(String, OwnedTensor)>> {
    learning(model)
        .map(|param| Ok((param.name.clone(), tensors::to_stored(param.exact())?)))
        .collect()
}

/// Refuses weights that differ between ranks in any bit: only the first rank's are compared.
fn same_on_all_ranks(weights: &[(String, OwnedTensor)], batch: u64, group: &Group) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    weights.iter().for_each(|(_, tensor)| hasher.write(&tensor.bytes));
    let sums = group.gather(&[hasher.finish().cast_signed()])?;
    if let Some(rank) = sums.iter().position(|sum| *sum != sums[0]) {
        bail!("batch {batch}: after the step rank {rank} has other weights than rank 0");
    }
    Ok(())
}

fn write(path: &Path, named: &[(String, OwnedTensor)]) -> Result<()> {
    let views: Vec<TensorView> = named.iter().map(|(name, t)| tensors::named(name, t)).collect();
    Ok(write_safetensors(path, &views, &BTreeMap::new())?)
}
