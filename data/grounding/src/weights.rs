//! The tensors of a checkpoint, handed to the model one by one and checked once, by name.

use checkpoints::{Dtype, TensorFile};
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

/// Hands the model its tensors and remembers what did not fit.
pub(crate) struct Weights<'a> {
    file: &'a TensorFile,
    device: Device,
    kind: Kind,
    used: BTreeSet<String>,
    problems: Vec<String>,
}

impl<'a> Weights<'a> {
    /// Tensors of `file` in dtype `kind` on `device`.
    pub fn new(file: &'a TensorFile, device: Device, kind: Kind) -> Self {
        Self { file, device, kind, used: BTreeSet::new(), problems: Vec::new() }
    }

    /// The tensor `name` of `shape`. A missing or misshapen one is noted and replaced by zeros, so
    /// that all of them can be reported at once by [`Weights::finish`].
    pub fn take(&mut self, name: &str, shape: &[i64]) -> Tensor {
        self.take_one_of(&[name], shape)
    }

    /// The first of `names` that the checkpoint has: a tensor that versions of transformers write
    /// under different names.
    pub fn take_one_of(&mut self, names: &[&str], shape: &[i64]) -> Tensor {
        let name = names.iter().copied().find(|name| self.file.contains(name));
        let found = match name {
            Some(name) => {
                self.used.insert(name.to_owned());
                stored(self.file, name, shape)
            }
            None => Err(format!("missing tensor `{}` {shape:?}", names[0])),
        };
        let tensor = found.unwrap_or_else(|problem| {
            self.problems.push(problem);
            Tensor::zeros(shape, (self.kind, Device::Cpu))
        });
        tensor.to_kind(self.kind).to_device(self.device)
    }

    /// Whether the checkpoint has the tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.file.contains(name)
    }

    /// What did not fit: tensors that were missing or misshapen, and those of the checkpoint that
    /// the model did not ask for.
    pub fn finish(mut self) -> Vec<String> {
        let extra = self.file.names().filter(|&name| !self.used.contains(name) && !spare(name));
        self.problems.extend(extra.map(|name| format!("extra tensor `{name}`")));
        self.problems
    }
}

/// What released checkpoints store and no model reads: constants, copies of the shared box heads,
/// and what belongs to the backbones' own tasks.
fn spare(name: &str) -> bool {
    let suffixes = ["relative_position_index", "position_ids", "token_type_ids"];
    let parts = [".model.swin.layernorm.", ".model.layernorm.", "text_backbone.pooler."];
    let copies = ["bbox_embed.", "model.decoder.bbox_embed."];
    suffixes.iter().any(|suffix| name.ends_with(suffix))
        || parts.iter().any(|part| name.contains(part))
        || copies.iter().any(|copy| name.starts_with(copy))
}

fn stored(file: &TensorFile, name: &str, shape: &[i64]) -> Result<Tensor, String> {
    let found = file.tensor(name).map_err(|error| error.to_string())?;
    let found_shape: Vec<i64> =
        found.shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
    if found_shape != shape {
        return Err(format!("tensor `{name}`: expected shape {shape:?}, found {found_shape:?}"));
    }
    let kind = match found.dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        other => return Err(format!("tensor `{name}`: expected floats, found {other:?}")),
    };
    Tensor::f_from_data_size(&found.bytes, &found_shape, kind)
        .map_err(|error| format!("tensor `{name}`: {error}"))
}
