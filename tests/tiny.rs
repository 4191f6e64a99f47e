//! A small model and a batch with fixed values: no draw from the generator that tests share.

use configs::{GradientDtype, Loss, Precision};
use data::{Batch, Preprocessor, SampleId};
use native::Uploader;
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};
use train::dist::Group;
use train::loss::{LossGrad, Pair, Rows};
use train::model::{Clip, ClipSpec, Source};
use train::step::{Gradients, Inputs};

const SHAPE: &str = r#"{
    "projection_dim": 24,
    "text_config": {"vocab_size": 60, "max_position_embeddings": 9, "eos_token_id": 59,
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4},
    "vision_config": {"image_size": 16, "patch_size": 4, "hidden_size": 48,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6}
}"#;

/// Rows of the batch.
pub const ROWS: usize = 12;

/// Values in [-1, 1] that look random and never change.
fn wave(shape: &[i64], seed: f64) -> Tensor {
    let len: i64 = shape.iter().product();
    ((Tensor::arange(len, (Kind::Double, Device::Cpu)) + 1.0) * (1.7 + seed)).sin().view(shape)
}

/// Two towers of two blocks.
pub fn clip(kind: Kind) -> Clip {
    let model =
        Clip::new(spec(), Source::Random, &Preprocessor::clip(16), Device::Cpu, kind).unwrap();
    set(&model);
    model
}

/// Its shape.
pub fn spec() -> ClipSpec {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, SHAPE).unwrap();
    ClipSpec::read(&path).unwrap()
}

/// Gives every parameter its fixed value.
fn set(model: &Clip) {
    for (i, param) in model.params().iter().enumerate() {
        let size = param.value.size();
        let fan = size.last().copied().unwrap_or(1).max(1) as f64;
        let norm = param.name.contains("norm") && param.name.ends_with("weight");
        let centre = if norm { 1.0 } else { 0.0 };
        let value = wave(&size, i as f64 / 7.0) * (1.5 / fan.sqrt()) + centre;
        tch::no_grad(|| {
            param.exact().shallow_clone().copy_(&value);
            param.value.shallow_clone().copy_(param.exact());
        });
    }
}

/// Pictures and captions of different lengths; two products on two rows each; weights.
pub fn batch() -> Batch {
    let rows = ROWS as i64;
    let pixels = ((wave(&[rows, 16, 16, 3], 0.3) + 1.0) * 127.0).to_kind(Kind::Uint8);
    let ids = ((wave(&[rows, 9], 0.9) + 1.0) * 28.0).to_kind(Kind::Int64);
    for row in 0..rows {
        let _ = ids.get(row).narrow(0, 3 + row % 6, 1).fill_(59);
    }
    let shard: Arc<Path> = Arc::from(Path::new("tiny.parquet"));
    Batch {
        pixels: Vec::<u8>::try_from(pixels.flatten(0, -1)).unwrap().into(),
        size: 16,
        token_ids: Vec::try_from(ids.flatten(0, -1)).unwrap(),
        length: 9,
        products: vec![1, 2, 3, 4, 1, 6, 7, 8, 3, 10, 11, 12],
        captions: (0..ROWS as u64).collect(),
        weights: vec![1.0, 1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        samples: (0..rows.unsigned_abs())
            .map(|row| SampleId { shard: shard.clone(), row, product: None })
            .collect(),
        numbers: (0..ROWS as u64).collect(),
        epoch: 0,
    }
}

/// The batch as the towers take it.
pub fn inputs() -> Inputs {
    Inputs::new(&batch(), &Uploader::new(Device::Cpu).unwrap()).unwrap()
}

/// Adds the gradients of a batch to the model's, in f32, `micro` rows at a time, in one process.
pub fn accumulate(
    model: &Clip,
    inputs: &Inputs,
    rows: &Rows,
    micro: usize,
    cfg: &Loss,
) -> (LossGrad, Pair) {
    accumulate_in(Precision::F32, None, model, inputs, rows, micro, cfg)
}

/// The same in another precision, with gradients multiplied by `grad_scale`.
pub fn accumulate_in(
    precision: Precision,
    grad_scale: Option<&Tensor>,
    model: &Clip,
    inputs: &Inputs,
    rows: &Rows,
    micro: usize,
    cfg: &Loss,
) -> (LossGrad, Pair) {
    let group = Group::alone();
    Gradients::new(model, *cfg, precision, micro, &group, GradientDtype::F32)
        .unwrap()
        .accumulate(model, inputs, rows, grad_scale)
        .unwrap()
}

/// The batch's products and weights.
pub fn rows(kind: Kind) -> Rows {
    let (batch, like) = (batch(), Tensor::zeros([1], (kind, Device::Cpu)));
    let captions: Vec<u64> = (0..ROWS as u64).collect();
    let cfg = configs::Loss::default();
    Rows::new(&batch.products, &captions, &batch.weights, 0..ROWS, &cfg, &like)
}
