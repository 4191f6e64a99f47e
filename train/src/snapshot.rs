//! What a step folder holds beyond the model: optimiser, random generators, position in the data.

use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::optim::AdamW;
use crate::progress::Progress;
use crate::tensors;
use anyhow::{Context, Result, anyhow};
use checkpoints::{OwnedTensor, TensorFile, TensorView, write_safetensors};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Tensor};

const TENSORS: &str = "train_state.safetensors";
const PROGRESS: &str = "train_state.json";
const CPU_RNG: &str = "rng.cpu";
const CUDA_RNG: &str = "rng.cuda";

/// All that a run changes, and so all that a checkpoint is made of.
pub struct State {
    /// Tokenizer, shapes, preprocessing.
    pub model_dir: ModelDir,
    /// Weights.
    pub model: Clip,
    /// Moments.
    pub optim: AdamW,
    /// Where the run stands.
    pub at: Progress,
}

/// Writes model and training state into `dir`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, state: &State) -> Result<()> {
    let State { model_dir, model, optim, at } = state;
    model_dir.write(model, dir)?;
    let mut stored: Vec<(String, OwnedTensor)> = optim
        .state()
        .map(|(name, tensor)| Ok((name, tensors::to_stored(tensor)?)))
        .collect::<Result<_>>()?;
    for (name, tensor) in optim.scaler().iter().flat_map(|scaler| scaler.state()) {
        stored.push((name.into(), tensors::to_stored(tensor)?));
    }
    for (name, device) in generators(model.device()) {
        stored.push((name.into(), tensors::to_stored(&native::rng_state(device)?)?));
    }
    let views: Vec<TensorView> = stored.iter().map(|(name, t)| tensors::named(name, t)).collect();
    write_safetensors(&dir.join(TENSORS), &views, &BTreeMap::new())?;
    let path = dir.join(PROGRESS);
    std::fs::write(&path, serde_json::to_string_pretty(at)? + "\n")
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Where the run stood that wrote `dir`.
///
/// # Errors
/// When `dir` is a model without the state of a run.
pub fn progress(dir: &Path) -> Result<Progress> {
    let path = dir.join(PROGRESS);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("`{}` is a model without the state of a run; cannot go on from it", dir.display())
    })?;
    serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))
}

/// Puts back what [`write`] wrote beside the weights, which the caller loaded with the model.
///
/// # Errors
/// When a file or tensor is missing, or the state belongs to another model.
pub fn restore(dir: &Path, model: &Clip, optim: &mut AdamW) -> Result<Progress> {
    let at = progress(dir)?;
    let path = dir.join(TENSORS);
    let file = TensorFile::open(&path)?;
    let find = |name: &str| -> Result<Tensor, Refused> {
        let stored = file.tensor(name).map_err(|e| Refused(e.into()))?;
        tensors::from_stored(&stored).map_err(|e| Refused(e.into()))
    };
    optim
        .restore(find)
        .map_err(|Refused(e)| e.context(format!("training state `{}`", path.display())))?;
    // A run may go on in float16 that was not in float16 before: its scale starts afresh.
    if let Some(scaler) = optim.scaler_mut()
        && scaler.state().iter().all(|(name, _)| file.contains(name))
    {
        scaler.restore(find).map_err(|Refused(e)| e)?;
    }
    for (name, device) in generators(model.device()) {
        // A run may go on with another kind of device: what draws there starts afresh.
        if file.contains(name) {
            let state = find(name).map_err(|Refused(e)| e)?;
            native::set_rng_state(device, &state)?;
        }
    }
    Ok(at)
}

/// The generators that a run on `device` draws from.
fn generators(device: Device) -> Vec<(&'static str, Device)> {
    let mut all = vec![(CPU_RNG, Device::Cpu)];
    if device.is_cuda() {
        all.push((CUDA_RNG, device));
    }
    all
}

/// Carries an error through [`AdamW::restore`], which knows texts only.
struct Refused(anyhow::Error);

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self(anyhow!(text))
    }
}
