//! The activations of the MLPs, by their names in `config.json`.

use serde::Deserialize;
use tch::Tensor;

/// An activation of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x · Φ(x), with the exact normal distribution function.
    Gelu,
    /// The same with an approximation by tanh.
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// x · sigmoid(1.702 x).
    QuickGelu,
    /// x · sigmoid(x).
    #[serde(alias = "swish")]
    Silu,
}

impl Activation {
    /// Applies it to a tensor that nothing else needs.
    pub(crate) fn apply(self, mut x: Tensor) -> Tensor {
        match self {
            Self::Relu => x.relu_(),
            Self::Gelu => x.gelu("none"),
            Self::GeluNew => x.gelu("tanh"),
            Self::QuickGelu => (&x * 1.702).sigmoid() * x,
            Self::Silu => x.silu(),
        }
    }
}
