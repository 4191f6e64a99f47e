//! The gradients of one batch, in pieces of any size.
//!
//! Large-batch contrastive training needs every embedding before any gradient (GradCache,
//! arXiv 2101.06983): embed all rows without a graph, take the loss gradient at the embeddings,
//! embed again chunk by chunk and push each chunk's rows of that gradient through the towers. When
//! one chunk holds the batch its graph is kept, and nothing is embedded twice.
#![allow(non_snake_case)]

use crate::dist::Group;
use crate::guard::guarded;
use crate::loss::{self, LossGrad, Pair, Ranks, Rows};
use crate::model::Clip;
use crate::pixel_memory;
use anyhow::Result;
use configs::{GradientDtype, Loss, Precision};
use data::Batch;
use native::{NativeError, Reducer, Uploader};
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
    /// Copies a batch to the device of `uploader`.
    ///
    /// # Errors
    /// When memory is short.
    pub fn new(batch: &Batch, uploader: &Uploader) -> Result<Self, NativeError> {
        let (rows, side) = (batch.len() as i64, batch.size as i64);
        let shared = pixel_memory::shared(&batch.pixels);
        let shared = shared.map(|pixels| pixels.view([rows, side, side, 3]));
        let copied = || pixels(&batch.pixels, batch.len(), batch.size, Device::Cpu);
        let host =
            [shared.unwrap_or_else(copied), token_ids(&batch.token_ids, batch.length, Device::Cpu)];
        let mut there = uploader.upload(&host)?.into_iter();
        let mut next = || there.next().unwrap_or_default();
        Ok(Self { pixels_BHWC: next(), ids_BT: next(), patches_BK: None })
    }

    /// Rows `start .. start + len`.
    pub fn rows(&self, start: i64, len: i64) -> Self {
        Self {
            pixels_BHWC: self.pixels_BHWC.narrow(0, start, len),
            ids_BT: self.ids_BT.narrow(0, start, len),
            patches_BK: self.patches_BK.as_ref().map(|p| p.narrow(0, start, len)),
        }
    }

    /// One black picture with a caption of no words, for a pass whose result does not matter.
    fn blank(model: &Clip) -> Self {
        let side = model.spec.vision.image_size;
        let device = model.device();
        Self {
            pixels_BHWC: Tensor::zeros([1, side, side, 3], (Kind::Uint8, device)),
            ids_BT: Tensor::zeros([1, 2], (Kind::Int64, device)),
            patches_BK: None,
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

/// Takes the gradients of batches, over all ranks.
#[derive(Debug)]
pub struct Gradients<'a> {
    loss: Loss,
    precision: Precision,
    micro: usize,
    group: &'a Group,
    reducer: Option<Reducer>,
}

impl<'a> Gradients<'a> {
    /// For batches of `model`, `micro` rows of this rank through the towers at once. With several
    /// ranks, gradients are summed over them in `dtype` during the last rows' backward pass.
    ///
    /// # Errors
    /// When the ranks' parameters differ, or a rank is gone.
    pub fn new(
        model: &Clip,
        loss: Loss,
        precision: Precision,
        micro: usize,
        group: &'a Group,
        dtype: GradientDtype,
    ) -> Result<Self> {
        let mut params = model.tower_params();
        let reducer = group.reducer(&params, dtype)?;
        let mut all = Self { loss, precision, micro: micro.max(1), group, reducer };
        if let Some(reducer) = &mut all.reducer {
            // One pass over a blank pair puts the buckets into the order in which gradients come,
            // so that a run and its continuation sum in the same order.
            let blank = embed(model, &Inputs::blank(model), precision)?;
            let zeros = blank.map(Tensor::zeros_like);
            group.collective(|| {
                reducer.prepare()?;
                back_propagate(blank, &zeros, precision)?;
                native::clear_grads(&mut params);
                reducer.settle()
            })?;
        }
        Ok(all)
    }

    /// Adds the gradients of the loss to the model's parameters: those of the batches of all ranks,
    /// of which `inputs` is this rank's. Returns the loss and what it was taken at. Nothing but
    /// rounding depends on the number of ranks and on `micro`. With `grad_scale`, an f32 scalar, the
    /// gradients are that many times too large (mixed-precision training, arXiv 1710.03740).
    ///
    /// # Errors
    /// When libtorch refuses an operation, or another rank cannot go on.
    pub fn accumulate(
        &mut self,
        model: &Clip,
        inputs: &Inputs,
        rows: &Rows,
        grad_scale: Option<&Tensor>,
    ) -> Result<(LossGrad, Pair)> {
        let scaled = |grad: &Tensor| grad_scale.map_or_else(|| grad.shallow_clone(), |s| grad * s);
        let micro = i64::try_from(self.micro).unwrap_or(i64::MAX);
        let B = inputs.len();
        let (step, local_BD) = if micro >= B {
            let graph_BD = embed(model, inputs, self.precision)?;
            let local_BD = graph_BD.detach();
            let step = self.loss_at(model, &local_BD, rows)?;
            self.back_propagate_last(graph_BD, &step.grad_BD.map(scaled))?;
            (step, local_BD)
        } else {
            // 1. Embed all B rows, keeping no graph.
            let chunks: Vec<(i64, i64)> =
                (0..B).step_by(self.micro).map(|start| (start, micro.min(B - start))).collect();
            let mut parts = Vec::with_capacity(chunks.len());
            for &(start, len) in &chunks {
                let rows = inputs.rows(start, len);
                parts.push(tch::no_grad(|| embed(model, &rows, self.precision))?);
            }
            let local_BD = Pair::cat(&parts);

            // 2. The exact gradient at the embeddings, of the loss over all ranks.
            let step = self.loss_at(model, &local_BD, rows)?;

            // 3. Embed again, chunk by chunk, and push those gradients through both towers.
            for &(start, len) in &chunks {
                let graph_bD = embed(model, &inputs.rows(start, len), self.precision)?;
                let grad_bD = step.grad_BD.rows(start, len).map(scaled);
                if start + len < B {
                    back_propagate(graph_bD, &grad_bD, self.precision)?;
                } else {
                    self.back_propagate_last(graph_bD, &grad_bD)?;
                }
            }
            (step, local_BD)
        };
        // The scalars' gradients are sums over all ranks already.
        let scale = Some((model.logit_scale(), &step.grad_logit_scale));
        let bias = model.logit_bias().zip(step.grad_logit_bias.as_ref());
        for (param, grad) in [scale, bias].into_iter().flatten() {
            if param.requires_grad() {
                native::backward(&[param.shallow_clone()], &[scaled(grad)])?;
            }
        }
        Ok((step, local_BD))
    }

    fn loss_at(&self, model: &Clip, pair: &Pair, rows: &Rows) -> Result<LossGrad> {
        let scale = model.logit_scale().detach();
        let bias = model.logit_bias().map(Tensor::detach);
        let at = || loss::contrastive(pair, &scale, bias.as_ref(), rows, &self.loss, self.group);
        // What comes back from inside is the exchange between ranks; what the guard catches is ours.
        guarded("compute the loss", at)?.map_err(|error| self.group.explain(error))
    }

    /// The backward pass after which the gradients of all ranks are summed.
    fn back_propagate_last(&mut self, graph_BD: Pair, grad_BD: &Pair) -> Result<()> {
        let Some(reducer) = &mut self.reducer else {
            return Ok(back_propagate(graph_BD, grad_BD, self.precision)?);
        };
        self.group.collective(|| {
            reducer.prepare()?;
            back_propagate(graph_BD, grad_BD, self.precision)
        })
    }
}

/// Products, captions and weights of the batches of all ranks.
///
/// # Errors
/// When another rank cannot go on.
pub fn rows(batch: &Batch, cfg: &Loss, like: &Tensor, group: &Group) -> Result<Rows> {
    let B = batch.len();
    let keys = batch.products.iter().chain(&batch.captions).map(|key| key.cast_signed());
    let weights = batch.weights.iter().map(|weight| i64::from(weight.to_bits()));
    let mine: Vec<i64> = keys.chain(weights).collect();
    let all = group.gather(&mine)?;
    let part = |which: usize| {
        all.chunks(3 * B).flat_map(move |rank| &rank[which * B..(which + 1) * B]).copied()
    };
    let products_N: Vec<u64> = part(0).map(i64::cast_unsigned).collect();
    let captions_N: Vec<u64> = part(1).map(i64::cast_unsigned).collect();
    let weights_N: Vec<f32> = part(2).map(|bits| f32::from_bits(bits as u32)).collect();
    let first = group.rank() * B;
    Ok(Rows::new(&products_N, &captions_N, &weights_N, first..first + B, cfg, like))
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
