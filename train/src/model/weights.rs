//! Named parameters: drawn at random or taken from a checkpoint, checked once, by name.

use checkpoints::TensorFile;
use tch::{Device, Kind, Tensor};

/// A parameter's name, as Hugging Face writes it, and its value.
#[derive(Debug)]
pub struct Param {
    /// Dotted name, such as `text_model.encoder.layers.0.mlp.fc1.weight`.
    pub name: String,
    /// The leaf tensor that learns: what the towers compute with.
    pub value: Tensor,
    /// The same in f32, where `value` is bfloat16: updates go here, and are rounded into `value`.
    pub master: Option<Tensor>,
}

impl Param {
    /// The value in full: what the optimiser updates and a checkpoint stores.
    pub fn exact(&self) -> &Tensor {
        self.master.as_ref().unwrap_or(&self.value)
    }
}

/// How a parameter is drawn when there is no checkpoint.
#[derive(Clone, Copy, Debug)]
pub enum Draw {
    /// Every element has this value.
    Constant(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// Where parameters come from.
#[derive(Debug)]
pub enum Source<'a> {
    /// Drawn from libtorch's CPU generator, in the order in which the model asks.
    Random,
    /// A checkpoint.
    Stored(&'a TensorFile),
}

/// Hands the model its parameters one by one and remembers what did not fit.
#[derive(Debug)]
pub struct Weights<'a> {
    source: Source<'a>,
    device: Device,
    kind: Kind,
    params: Vec<Param>,
    problems: Vec<String>,
}

/// A checkpoint that is not a checkpoint of this model.
#[derive(Debug, thiserror::Error)]
#[error(
    "the weights do not fit `config.json`:\n  {}\ncheck that both files belong to one model",
    problems.join("\n  ")
)]
pub struct WeightsError {
    /// One line per tensor that is missing, extra or misshapen.
    pub problems: Vec<String>,
}

impl<'a> Weights<'a> {
    /// Parameters of the given dtype on `device`. In bfloat16 each has an f32 master, but for
    /// scalars (the temperature), which the loss takes in f32.
    pub fn new(source: Source<'a>, device: Device, kind: Kind) -> Self {
        Self { source, device, kind, params: Vec::new(), problems: Vec::new() }
    }

    /// The parameter `name` of `shape`. A missing or misshapen one is noted and replaced by zeros,
    /// so that all of them can be reported at once by [`Weights::finish`].
    pub fn take(&mut self, name: impl Into<String>, shape: &[i64], draw: Draw) -> Tensor {
        let name = name.into();
        // Drawn on the CPU and in full, so that a seed gives the same weights everywhere.
        let exact = exact_kind(self.kind);
        let mut value = Tensor::zeros(shape, (exact, Device::Cpu));
        match (&self.source, draw) {
            (Source::Random, Draw::Constant(c)) => value = value.fill_(c),
            (Source::Random, Draw::Normal(std)) => value = value.normal_(0.0, std),
            (Source::Stored(file), _) => match stored(file, &name, shape) {
                Ok(tensor) => value = tensor.to_kind(exact),
                Err(problem) => self.problems.push(problem),
            },
        }
        let mut value = value.to_device(self.device);
        let mut master = None;
        if self.kind != exact && !shape.is_empty() {
            let rounded = value.to_kind(self.kind);
            master = Some(std::mem::replace(&mut value, rounded));
        }
        let value = value.set_requires_grad(true);
        self.params.push(Param { name, value: value.shallow_clone(), master });
        value
    }

    /// The parameter `name` if the checkpoint has it.
    pub fn take_stored(&mut self, name: &str, shape: &[i64]) -> Option<Tensor> {
        let Source::Stored(file) = self.source else { return None };
        file.contains(name).then(|| self.take(name, shape, Draw::Constant(0.0)))
    }

    /// All parameters in the order in which the model asked for them.
    ///
    /// # Errors
    /// Names every tensor that was missing or misshapen, and every tensor of the checkpoint that
    /// the model did not ask for.
    pub fn finish(mut self) -> Result<Vec<Param>, WeightsError> {
        if let Source::Stored(file) = self.source {
            for name in file.names() {
                let known = self.params.iter().any(|p| p.name == name);
                // Old checkpoints store the constant 0, 1, 2, … beside the position embeddings.
                if !known && !name.ends_with(".position_ids") {
                    self.problems.push(format!("extra tensor `{name}`"));
                }
            }
        }
        if self.problems.is_empty() {
            return Ok(self.params);
        }
        Err(WeightsError { problems: self.problems })
    }
}

/// The dtype of what must not be rounded, beside parameters of dtype `kind`.
pub fn exact_kind(kind: Kind) -> Kind {
    if kind == Kind::BFloat16 { Kind::Float } else { kind }
}

fn stored(file: &TensorFile, name: &str, shape: &[i64]) -> Result<Tensor, String> {
    if !file.contains(name) {
        return Err(format!("missing tensor `{name}` {shape:?}"));
    }
    let found = file.tensor(name).map_err(|e| e.to_string())?;
    let found_shape: Vec<i64> =
        found.shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
    if found_shape != shape {
        return Err(format!("tensor `{name}`: expected shape {shape:?}, found {found_shape:?}"));
    }
    crate::tensors::from_stored(&found).map_err(|e| format!("tensor `{name}`: {e}"))
}
