//! What every part of the model is made of: linear layers, LayerNorm, attention, box heads.

use crate::config::Activation;
use crate::weights::Weights;
use native::matrix_product;
use tch::Tensor;

/// y = x Wᵀ + b.
pub(super) struct Linear {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Its tensors are `name.weight` [output, input] and `name.bias`.
    pub fn new(w: &mut Weights, name: &str, input: i64, output: i64) -> Self {
        Self::with_bias(w, &[name], input, output, true)
    }

    /// With or without a bias, under the first of `names` that the checkpoint has.
    pub fn with_bias(w: &mut Weights, names: &[&str], input: i64, output: i64, bias: bool) -> Self {
        let mut take = |tensor: &str, shape: &[i64]| {
            let names: Vec<String> = names.iter().map(|name| format!("{name}.{tensor}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            w.take_one_of(&names, shape)
        };
        let weight = take("weight", &[output, input]);
        let bias = bias.then(|| take("bias", &[output]));
        Self { weight, bias }
    }

    /// One layer whose output is that of all `parts` side by side: one product instead of several.
    pub fn side_by_side(parts: &[Self]) -> Self {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases: Option<Vec<&Tensor>> = parts.iter().map(|part| part.bias.as_ref()).collect();
        Self {
            weight: Tensor::cat(&weights, 0),
            bias: biases.map(|biases| Tensor::cat(&biases, 0)),
        }
    }

    /// Applies it to the last axis of `x`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        matrix_product(x, &self.weight, self.bias.as_ref())
    }
}

/// Layer normalisation over the last axis.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

/// Where transformers states no eps, it is PyTorch's.
pub(super) const DEFAULT_EPS: f64 = 1e-5;

impl LayerNorm {
    pub fn new(w: &mut Weights, name: &str, width: i64, eps: f64) -> Self {
        let weight = w.take(&format!("{name}.weight"), &[width]);
        Self { weight, bias: w.take(&format!("{name}.bias"), &[width]), eps }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.weight.size();
        x.layer_norm(&width, Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}

/// Two linear layers with an activation between them.
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    pub fn new(fc1: Linear, fc2: Linear, activation: Activation) -> Self {
        Self { fc1, fc2, activation }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.fc2.forward(&self.activation.apply(self.fc1.forward(x)))
    }
}

/// Linear layers with ReLU between them: the heads that make boxes and query positions.
pub(super) struct Head {
    layers: Vec<Linear>,
}

impl Head {
    /// Tensors `name.layers.0`, `name.layers.1`, …, of the widths in between.
    pub fn new(w: &mut Weights, name: &str, widths: &[i64]) -> Self {
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(i, ends)| Linear::new(w, &format!("{name}.layers.{i}"), ends[0], ends[1]))
            .collect();
        Self { layers }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let Some((last, rest)) = self.layers.split_last() else { return x.shallow_clone() };
        let hidden = rest
            .iter()
            .fold(x.shallow_clone(), |x, layer| Activation::Relu.apply(layer.forward(&x)));
        last.forward(&hidden)
    }
}

/// Attention with several heads, as `torch.nn.MultiheadAttention`.
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: i64,
}

impl Attention {
    /// Tensors `name.query`, `name.key`, `name.value` and `name.out_proj`.
    pub fn new(w: &mut Weights, name: &str, width: i64, heads: i64) -> Self {
        let mut linear = |part: &str| Linear::new(w, &format!("{name}.{part}"), width, width);
        Self {
            query: linear("query"),
            key: linear("key"),
            value: linear("value"),
            out: linear("out_proj"),
            heads,
        }
    }

    /// Attention of `query` [B, Q, D] over the positions of `key` and `value` [B, T, D] that
    /// `mask` [B, 1, 1 or Q, T] (bool) shows.
    pub fn forward(
        &self,
        query_bqd: &Tensor,
        key_btd: &Tensor,
        value_btd: &Tensor,
        mask: Option<&Tensor>,
    ) -> Tensor {
        let attended = attend(
            &self.query.forward(query_bqd),
            &self.key.forward(key_btd),
            &self.value.forward(value_btd),
            mask,
            self.heads,
        );
        self.out.forward(&attended)
    }
}

/// Attention between projected queries, keys and values [B, T, D], whose heads lie side by side.
pub(super) fn attend(
    query_bqd: &Tensor,
    key_btd: &Tensor,
    value_btd: &Tensor,
    mask: Option<&Tensor>,
    heads: i64,
) -> Tensor {
    let split = |x: &Tensor| {
        let (b, t, width) = (x.size()[0], x.size()[1], x.size()[2]);
        x.view([b, t, heads, width / heads]).transpose(1, 2)
    };
    let (q, k, v) = (split(query_bqd), split(key_btd), split(value_btd));
    let out_bhqd = Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, false, None, false);
    out_bhqd.transpose(1, 2).flatten(2, 3)
}
