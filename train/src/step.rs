//! The gradients of one batch, in pieces of any size.
//!
//! Large-batch contrastive training needs every embedding before any gradient (GradCache,
//! arXiv 2101.06983): embed all rows without a graph, take the loss gradient at the embeddings,
//! embed again chunk by chunk and push each chunk's rows of that gradient through the towers. When
//! one chunk holds the batch its graph is kept, and nothing is embedded twice.
#![allow(non_snake_case)]

use crate::guard::guarded;
use crate::loss::{self, LossGrad, Pair, Rows};
use crate::model::Clip;
use configs::{Loss, Precision};
use data::Batch;
use native::NativeError;
use tch::{Device, Kind, Tensor};

/// A batch as the towers take it.
#[derive(Debug)]
pub struct Inputs {
    /// Pictures, u8 [B, H, W, 3].
    pub pixels_BHWC: Tensor,
    /// Token ids, i64 [B, T].
    pub ids_BT: Tensor,
    /// The patches that the image tower sees, i64 [B, K]; `None`: all.
    pub patches_BK: Option<Tensor>,
}

impl Inputs {
    /// Copies a batch to `device`.
    pub fn new(batch: &Batch, device: Device) -> Self {
        Self {
            pixels_BHWC: pixels(&batch.pixels, batch.len(), batch.size, device),
            ids_BT: token_ids(&batch.token_ids, batch.length, device),
            patches_BK: None,
        }
    }

    /// Rows `start .. start + len`.
    pub fn rows(&self, start: i64, len: i64) -> Self {
        Self {
            pixels_BHWC: self.pixels_BHWC.narrow(0, start, len),
            ids_BT: self.ids_BT.narrow(0, start, len),
            patches_BK: self.patches_BK.as_ref().map(|p| p.narrow(0, start, len)),
        }
    }

    fn len(&self) -> i64 {
        self.ids_BT.size()[0]
    }
}

/// Pictures, u8 [rows, size, size, 3], on `device`.
pub fn pixels(bytes: &[u8], rows: usize, size: usize, device: Device) -> Tensor {
    let side = size as i64;
    Tensor::from_data_size(bytes, &[rows as i64, side, side, 3], Kind::Uint8).to_device(device)
}

/// Token ids, i64 [rows, length], on `device`.
pub fn token_ids(ids: &[i64], length: usize, device: Device) -> Tensor {
    Tensor::from_slice(ids).view([-1, length as i64]).to_device(device)
}

/// Runs `body` with the towers' matrix products in the given precision.
///
/// # Errors
/// When the device has no such arithmetic, or libtorch refuses an operation for want of memory.
pub fn with_precision<T>(
    precision: Precision,
    device: Device,
    body: impl FnOnce() -> T,
) -> Result<T, NativeError> {
    // The guard lives for one forward pass: leaving it frees the casts of weights, which were made
    // with or without a graph and must not serve a pass of the other kind.
    let _autocast = match precision {
        Precision::Bf16 => Some(native::autocast(device, Kind::BFloat16)?),
        Precision::Fp16 => Some(native::autocast(device, Kind::Half)?),
        Precision::F32 | Precision::Tf32 | Precision::PureBf16 => None,
    };
    let _tf32 = tf32(precision)?;
    guarded("run the towers over a batch", body)
}

/// Allows TF32 where `precision` is that.
fn tf32(precision: Precision) -> Result<Option<native::Tf32>, NativeError> {
    (precision == Precision::Tf32).then(native::allow_tf32).transpose()
}

/// The arithmetic of the two passes through the towers.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic<'a> {
    /// That of the towers; the loss is taken in the dtype of the embeddings, f32.
    pub precision: Precision,
    /// Gradients are multiplied by this f32 scalar before they go through the towers, and stay so.
    pub grad_scale: Option<&'a Tensor>,
}

impl From<Precision> for Arithmetic<'_> {
    fn from(precision: Precision) -> Self {
        Self { precision, grad_scale: None }
    }
}

/// Adds the gradients of the loss of `inputs` to the model's parameters, `micro` rows at a time,
/// and returns the loss and what it was taken at. The result does not depend on `micro` but for
/// rounding.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn accumulate_gradients<'a>(
    model: &Clip,
    inputs: &Inputs,
    rows: &Rows,
    micro: usize,
    cfg: &Loss,
    arithmetic: impl Into<Arithmetic<'a>>,
) -> Result<(LossGrad, Pair), NativeError> {
    let Arithmetic { precision, grad_scale } = arithmetic.into();
    let scaled = |grad: &Tensor| grad_scale.map_or_else(|| grad.shallow_clone(), |s| grad * s);
    let micro = i64::try_from(micro).unwrap_or(i64::MAX).max(1);
    let B = inputs.len();
    let loss_at = |pair: &Pair| {
        let scale = model.logit_scale().detach();
        guarded("compute the loss", || loss::info_nce(pair, &scale, rows, cfg.tile))
    };

    let (step, local_BD) = if micro >= B {
        let graph_BD = embed(model, inputs, precision)?;
        let local_BD = graph_BD.detach();
        let step = loss_at(&local_BD)?;
        back_propagate(graph_BD, &step.grad_BD.map(scaled), precision)?;
        (step, local_BD)
    } else {
        // 1. Embed all B rows, keeping no graph.
        let chunks: Vec<(i64, i64)> =
            (0..B).step_by(micro as usize).map(|start| (start, micro.min(B - start))).collect();
        let mut parts = Vec::with_capacity(chunks.len());
        for &(start, len) in &chunks {
            parts.push(tch::no_grad(|| embed(model, &inputs.rows(start, len), precision))?);
        }
        let local_BD = Pair::cat(&parts);

        // 2. The exact gradient at the embeddings of the whole batch.
        let step = loss_at(&local_BD)?;

        // 3. Embed again, chunk by chunk, and push those gradients through both towers.
        for &(start, len) in &chunks {
            let graph_bD = embed(model, &inputs.rows(start, len), precision)?;
            let grad_bD = step.grad_BD.rows(start, len).map(scaled);
            back_propagate(graph_bD, &grad_bD, precision)?;
        }
        (step, local_BD)
    };
    if model.logit_scale().requires_grad() {
        let grad = scaled(&step.grad_logit_scale);
        native::backward(&[model.logit_scale().shallow_clone()], &[grad])?;
    }
    Ok((step, local_BD))
}

/// Both towers over the same rows.
fn embed(model: &Clip, inputs: &Inputs, precision: Precision) -> Result<Pair, NativeError> {
    with_precision(precision, model.device(), || Pair {
        image_BD: model.encode_image(&inputs.pixels_BHWC, inputs.patches_BK.as_ref()),
        text_BD: model.encode_text(&inputs.ids_BT),
    })
}

/// Pushes gradients at the embeddings through the towers that learn.
fn back_propagate(graph_BD: Pair, grad_BD: &Pair, precision: Precision) -> Result<(), NativeError> {
    let _tf32 = tf32(precision)?;
    let sides = [(graph_BD.image_BD, &grad_BD.image_BD), (graph_BD.text_BD, &grad_BD.text_BD)];
    let (outputs, grads): (Vec<_>, Vec<_>) = sides
        .into_iter()
        .filter(|(output, _)| output.requires_grad()) // a frozen tower has no graph
        .map(|(output, grad)| (output, grad.shallow_clone()))
        .unzip();
    native::backward(&outputs, &grads)
}

impl Pair {
    fn detach(&self) -> Self {
        Self { image_BD: self.image_BD.detach(), text_BD: self.text_BD.detach() }
    }

    fn rows(&self, start: i64, len: i64) -> Self {
        Self {
            image_BD: self.image_BD.narrow(0, start, len),
            text_BD: self.text_BD.narrow(0, start, len),
        }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { image_BD: f(&self.image_BD), text_BD: f(&self.text_BD) }
    }

    fn cat(parts: &[Self]) -> Self {
        let side = |f: fn(&Self) -> &Tensor| {
            Tensor::cat(&parts.iter().map(|p| f(p).shallow_clone()).collect::<Vec<_>>(), 0)
        };
        Self { image_BD: side(|p| &p.image_BD), text_BD: side(|p| &p.text_BD) }
    }
}
