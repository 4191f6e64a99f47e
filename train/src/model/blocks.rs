//! What both towers are made of: LayerNorm, linear layers and the pre-norm transformer block.

use super::spec::{Activation, BlocksSpec};
use super::weights::{Draw, Weights};
use tch::Tensor;

/// y = x Wᵀ + b.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(w: &mut Weights, name: &str, out: i64, input: i64, std: f64) -> Self {
        Self {
            weight: w.take(format!("{name}.weight"), &[out, input], Draw::Normal(std)),
            bias: w.take(format!("{name}.bias"), &[out], Draw::Constant(0.0)),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}

/// Layer normalisation over the last axis.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Its two parameters are `name.weight` and `name.bias`.
    pub fn new(w: &mut Weights, name: &str, width: i64, eps: f64) -> Self {
        Self {
            weight: w.take(format!("{name}.weight"), &[width], Draw::Constant(1.0)),
            bias: w.take(format!("{name}.bias"), &[width], Draw::Constant(0.0)),
            eps,
        }
    }

    /// Normalises `x` [.., width].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.weight.size();
        x.layer_norm(&width, Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}

/// Pre-norm block: x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Debug)]
struct Block {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm1: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    layer_norm2: LayerNorm,
}

impl Block {
    /// Standard deviations as `transformers` draws them (CLIPPreTrainedModel._init_weights).
    fn new(w: &mut Weights, name: &str, spec: &BlocksSpec) -> Self {
        let (width, hidden) = (spec.hidden_size, spec.intermediate_size);
        let out_std = spec.initializer_factor / (width as f64).sqrt();
        let in_std = out_std / (2.0 * spec.num_hidden_layers as f64).sqrt();
        let fc1_std = spec.initializer_factor / (2.0 * width as f64).sqrt();
        let at = |part: &str| format!("{name}.{part}");
        Self {
            k_proj: Linear::new(w, &at("self_attn.k_proj"), width, width, in_std),
            v_proj: Linear::new(w, &at("self_attn.v_proj"), width, width, in_std),
            q_proj: Linear::new(w, &at("self_attn.q_proj"), width, width, in_std),
            out_proj: Linear::new(w, &at("self_attn.out_proj"), width, width, out_std),
            layer_norm1: LayerNorm::new(w, &at("layer_norm1"), width, spec.layer_norm_eps),
            fc1: Linear::new(w, &at("mlp.fc1"), hidden, width, fc1_std),
            fc2: Linear::new(w, &at("mlp.fc2"), width, hidden, in_std),
            layer_norm2: LayerNorm::new(w, &at("layer_norm2"), width, spec.layer_norm_eps),
        }
    }

    fn forward(&self, x_btd: &Tensor, heads: i64, causal: bool, act: Activation) -> Tensor {
        let x_btd = x_btd + self.attend(&self.layer_norm1.forward(x_btd), heads, causal);
        let hidden = self.fc1.forward(&self.layer_norm2.forward(&x_btd));
        let hidden = match act {
            Activation::Gelu => hidden.gelu("none"),
            Activation::QuickGelu => (&hidden * 1.702).sigmoid() * &hidden,
        };
        x_btd + self.fc2.forward(&hidden)
    }

    fn attend(&self, x_btd: &Tensor, heads: i64, causal: bool) -> Tensor {
        let shape = x_btd.size();
        let (b, t, width) = (shape[0], shape[1], shape[2]);
        let split = |x: Tensor| x.view([b, t, heads, width / heads]).transpose(1, 2);
        let q_bhtd = split(self.q_proj.forward(x_btd));
        let k_bhtd = split(self.k_proj.forward(x_btd));
        let v_bhtd = split(self.v_proj.forward(x_btd));
        let out = Tensor::scaled_dot_product_attention(
            &q_bhtd,
            &k_bhtd,
            &v_bhtd,
            None::<Tensor>,
            0.0,
            causal,
            None,
            false,
        );
        self.out_proj.forward(&out.transpose(1, 2).reshape([b, t, width]))
    }
}

/// A stack of blocks.
#[derive(Debug)]
pub struct Encoder {
    layers: Vec<Block>,
    heads: i64,
    causal: bool,
}

impl Encoder {
    /// Parameters `name.layers.0`, `name.layers.1`, …; `causal` hides later positions.
    pub fn new(w: &mut Weights, name: &str, spec: &BlocksSpec, causal: bool) -> Self {
        let layers = (0..spec.num_hidden_layers)
            .map(|i| Block::new(w, &format!("{name}.layers.{i}"), spec))
            .collect();
        Self { layers, heads: spec.num_attention_heads, causal }
    }

    /// Runs `x` [B, T, width] through all blocks.
    pub fn forward(&self, x_btd: Tensor, act: Activation) -> Tensor {
        self.layers.iter().fold(x_btd, |x, block| block.forward(&x, self.heads, self.causal, act))
    }
}
