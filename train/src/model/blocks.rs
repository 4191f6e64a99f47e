//! What both towers are made of: LayerNorm, linear layers and the pre-norm transformer block.

use super::spec::{Activation, BlocksSpec};
use super::weights::{Draw, Weights};
use crate::guard::guarded;
use configs::Recompute;
use native::{matrix_product, or_panic};
use tch::{Kind, Tensor};

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

    /// Another handle to the same parameters.
    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        matrix_product(x, &self.weight, Some(&self.bias))
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

    /// Another handle to the same parameters.
    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone(), eps: self.eps }
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

    /// Another handle to the same parameters.
    fn share(&self) -> Self {
        Self {
            q_proj: self.q_proj.share(),
            k_proj: self.k_proj.share(),
            v_proj: self.v_proj.share(),
            out_proj: self.out_proj.share(),
            layer_norm1: self.layer_norm1.share(),
            fc1: self.fc1.share(),
            fc2: self.fc2.share(),
            layer_norm2: self.layer_norm2.share(),
        }
    }

    /// Whether one of its parameters gets a gradient: parts of a block never learn alone.
    fn learns(&self) -> bool {
        self.fc1.weight.requires_grad()
    }

    /// [`Block::forward`], of which only the input is kept for the backward pass.
    fn recomputed(&self, x_btd: &Tensor, heads: i64, causal: bool, act: Activation) -> Tensor {
        // Handles of its own: the backward pass may run on another thread.
        let block = self.share();
        or_panic(native::recompute(x_btd, move |x_btd| {
            guarded("run a transformer block", || block.forward(x_btd, heads, causal, act))
        }))
    }

    /// All positions [B, T, width].
    fn forward(&self, x_btd: &Tensor, heads: i64, causal: bool, act: Activation) -> Tensor {
        let normed_btd = self.layer_norm1.forward(x_btd);
        let x_btd = x_btd + self.attend(&normed_btd, &normed_btd, None, causal, heads);
        &x_btd + self.mlp(&x_btd, act)
    }

    /// One position of each row, [B, 1, width]: `pool_b1` [B, 1] says which. The others matter
    /// only as keys and values.
    fn forward_at(
        &self,
        x_btd: &Tensor,
        pool_b1: &Tensor,
        heads: i64,
        causal: bool,
        act: Activation,
    ) -> Tensor {
        let normed_btd = self.layer_norm1.forward(x_btd);
        let seen_b11t = causal.then(|| {
            let t = x_btd.size()[1];
            let position_t = Tensor::arange(t, (Kind::Int64, x_btd.device()));
            position_t.le_tensor(pool_b1).view([-1, 1, 1, t])
        });
        let query_b1d = at(&normed_btd, pool_b1);
        let attended_b1d = self.attend(&query_b1d, &normed_btd, seen_b11t, false, heads);
        let x_b1d = at(x_btd, pool_b1) + attended_b1d;
        &x_b1d + self.mlp(&x_b1d, act)
    }

    fn mlp(&self, x_btd: &Tensor, act: Activation) -> Tensor {
        let hidden = self.fc1.forward(&self.layer_norm2.forward(x_btd));
        let hidden = match act {
            Activation::Gelu => hidden.gelu("none"),
            Activation::QuickGelu => (&hidden * 1.702).sigmoid() * &hidden,
        };
        self.fc2.forward(&hidden)
    }

    /// Attention of the positions of `query_bqd` over those of `x_btd`, both normalised.
    fn attend(
        &self,
        query_bqd: &Tensor,
        x_btd: &Tensor,
        mask: Option<Tensor>,
        causal: bool,
        heads: i64,
    ) -> Tensor {
        let split = |x: Tensor| {
            let (b, t, width) = (x.size()[0], x.size()[1], x.size()[2]);
            x.view([b, t, heads, width / heads]).transpose(1, 2)
        };
        let q_bhqd = split(self.q_proj.forward(query_bqd));
        let k_bhtd = split(self.k_proj.forward(x_btd));
        let v_bhtd = split(self.v_proj.forward(x_btd));
        let out_bhqd = Tensor::scaled_dot_product_attention(
            &q_bhqd, &k_bhtd, &v_bhtd, mask, 0.0, causal, None, false,
        );
        self.out_proj.forward(&out_bhqd.transpose(1, 2).flatten(2, 3))
    }
}

/// The vectors of `x_btd` at one position of each row: [B, 1, width].
fn at(x_btd: &Tensor, pool_b1: &Tensor) -> Tensor {
    let index = pool_b1.unsqueeze(2).expand([-1, -1, x_btd.size()[2]], false);
    x_btd.gather(1, &index, false)
}

/// A stack of blocks.
#[derive(Debug)]
pub struct Encoder {
    layers: Vec<Block>,
    heads: i64,
    causal: bool,
    recompute: Recompute,
}

impl Encoder {
    /// Parameters `name.layers.0`, `name.layers.1`, …; `causal` hides later positions.
    pub fn new(w: &mut Weights, name: &str, spec: &BlocksSpec, causal: bool) -> Self {
        let layers = (0..spec.num_hidden_layers)
            .map(|i| Block::new(w, &format!("{name}.layers.{i}"), spec))
            .collect();
        Self { layers, heads: spec.num_attention_heads, causal, recompute: Recompute::None }
    }

    /// Which activations are computed again in the backward pass.
    pub fn set_recompute(&mut self, recompute: Recompute) {
        self.recompute = recompute;
    }

    /// Runs `x` [B, T, width] through all blocks and returns one position of each row,
    /// [B, width]: `pool_b` [B] says which. The last block computes nothing else, which saves most
    /// of its work and changes no number.
    pub fn forward(&self, x_btd: Tensor, pool_b: &Tensor, act: Activation) -> Tensor {
        let (heads, causal) = (self.heads, self.causal);
        let pool_b1 = pool_b.unsqueeze(1);
        let Some((last, rest)) = self.layers.split_last() else {
            return at(&x_btd, &pool_b1).squeeze_dim(1);
        };
        // Without a graph nothing is kept anyway. The last block's activations are the first that
        // the backward pass needs: keeping them adds nothing to the peak.
        let again = self.recompute == Recompute::Blocks && native::grad_is_enabled();
        let x_btd = rest.iter().fold(x_btd, |x, block| {
            if again && (x.requires_grad() || block.learns()) {
                block.recomputed(&x, heads, causal, act)
            } else {
                block.forward(&x, heads, causal, act)
            }
        });
        last.forward_at(&x_btd, &pool_b1, heads, causal, act).squeeze_dim(1)
    }
}
