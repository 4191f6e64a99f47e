//! The image backbone: Swin, whose attention looks at windows, every other time shifted by half.

use super::layers::{DEFAULT_EPS, LayerNorm, Linear, Mlp};
use super::window::{Window, position_bias};
use crate::config::SwinConfig;
use crate::weights::Weights;
use tch::Tensor;

pub(super) struct Swin {
    patch_weight: Tensor,
    patch_bias: Tensor,
    patch_px: i64,
    embedding_norm: LayerNorm,
    stages: Vec<Stage>,
    /// A norm for the stem and each stage whose feature map is used.
    norms: Vec<Option<LayerNorm>>,
}

struct Stage {
    blocks: Vec<Block>,
    window: i64,
    /// Between this stage and the next.
    merging: Option<Merging>,
}

/// Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)).
struct Block {
    norm_before: LayerNorm,
    norm_after: LayerNorm,
    qkv: Linear,
    out: Linear,
    /// [1, H, W², W²]: what a head adds between two places of a window.
    bias: Tensor,
    heads: i64,
    shifted: bool,
    mlp: Mlp,
}

/// Four neighbours become one, twice as wide.
struct Merging {
    norm: LayerNorm,
    reduction: Linear,
}

impl Swin {
    /// `outputs` are the stages whose feature maps are used, 0 being the stem.
    pub fn new(w: &mut Weights, name: &str, c: &SwinConfig, outputs: &[usize]) -> Self {
        let at = |part: &str| format!("{name}.{part}");
        let patch = at("embeddings.patch_embeddings.projection");
        let num_stages = c.depths.len();
        let norms = (0..=num_stages).map(|stage| {
            let label = if stage == 0 { "stem".into() } else { format!("stage{stage}") };
            let name = at(&format!("hidden_states_norms.{label}"));
            let used = outputs.contains(&stage);
            used.then(|| LayerNorm::new(w, &name, c.width(stage), DEFAULT_EPS))
        });
        Self {
            norms: norms.collect(),
            patch_weight: w.take(
                &format!("{patch}.weight"),
                &[c.embed_dim, c.num_channels, c.patch_size, c.patch_size],
            ),
            patch_bias: w.take(&format!("{patch}.bias"), &[c.embed_dim]),
            patch_px: c.patch_size,
            embedding_norm: LayerNorm::new(w, &at("embeddings.norm"), c.embed_dim, DEFAULT_EPS),
            stages: (0..num_stages)
                .map(|i| Stage::new(w, &at(&format!("encoder.layers.{i}")), c, i))
                .collect(),
        }
    }

    /// Feature maps [B, width, h, w] of `pixels` [B, 3, height, width], finest first.
    pub fn forward(&self, pixels_bchw: &Tensor) -> Vec<Tensor> {
        let (height, width) = (pixels_bchw.size()[2], pixels_bchw.size()[3]);
        let px = self.patch_px;
        let missing = |side: i64| (px - side % px) % px;
        let patches_bchw = pixels_bchw
            .constant_pad_nd([0, missing(width), 0, missing(height)])
            .conv2d(&self.patch_weight, Some(&self.patch_bias), [px, px], [0, 0], [1, 1], 1);
        let stem = self.embedding_norm.forward(&patches_bchw.permute([0, 2, 3, 1]));
        let mut maps: Vec<Tensor> = self.map(0, &stem).into_iter().collect();
        let mut x_bhwc = stem;
        for (stage, i) in self.stages.iter().zip(1..) {
            x_bhwc = stage.forward(x_bhwc);
            maps.extend(self.map(i, &x_bhwc));
            if let Some(merging) = &stage.merging {
                x_bhwc = merging.forward(&x_bhwc);
            }
        }
        maps
    }

    /// The feature map of a stage, if it is used.
    fn map(&self, stage: usize, x_bhwc: &Tensor) -> Option<Tensor> {
        let norm = self.norms.get(stage)?.as_ref()?;
        // Colour by colour: the GroupNorm behind it loses digits on maps of any other order.
        Some(norm.forward(x_bhwc).permute([0, 3, 1, 2]).contiguous())
    }
}

impl Stage {
    fn new(w: &mut Weights, name: &str, c: &SwinConfig, i: usize) -> Self {
        let (width, heads) = (c.embed_dim << i, c.num_heads[i]);
        let blocks = (0..c.depths[i])
            .map(|b| Block::new(w, &format!("{name}.blocks.{b}"), c, width, heads, b % 2 == 1))
            .collect();
        let merging = (i + 1 < c.depths.len()).then(|| {
            let at = |part: &str| format!("{name}.downsample.{part}");
            let reduction = [at("reduction")];
            Merging {
                norm: LayerNorm::new(w, &at("norm"), 4 * width, DEFAULT_EPS),
                reduction: Linear::with_bias(w, &[&reduction[0]], 4 * width, 2 * width, false),
            }
        });
        Self { blocks, window: c.window_size, merging }
    }

    fn forward(&self, x_bhwc: Tensor) -> Tensor {
        let (size, device) = (x_bhwc.size(), x_bhwc.device());
        let plain = Window::new(size[1], size[2], self.window, false, x_bhwc.kind(), device);
        let shifted = (self.blocks.len() > 1)
            .then(|| Window::new(size[1], size[2], self.window, true, x_bhwc.kind(), device));
        self.blocks.iter().fold(x_bhwc, |x_bhwc, block| {
            let window = shifted.as_ref().filter(|_| block.shifted).unwrap_or(&plain);
            block.forward(&x_bhwc, window)
        })
    }
}

impl Block {
    fn new(
        w: &mut Weights,
        name: &str,
        c: &SwinConfig,
        width: i64,
        heads: i64,
        shifted: bool,
    ) -> Self {
        let at = |part: &str| format!("{name}.{part}");
        let mut linear = |stored: &str, renamed: &str, input, output, bias| {
            Linear::with_bias(w, &[&at(stored), &at(renamed)], input, output, bias)
        };
        // Files have the first of these names; the second is what transformers 5 calls them.
        let mut project =
            |stored: &str, renamed: &str| linear(stored, renamed, width, width, c.qkv_bias);
        let qkv = Linear::side_by_side(&[
            project("attention.self.query", "attention.q_proj"),
            project("attention.self.key", "attention.k_proj"),
            project("attention.self.value", "attention.v_proj"),
        ]);
        let out = linear("attention.output.dense", "attention.o_proj", width, width, true);
        let hidden = (c.mlp_ratio * width as f64) as i64;
        let fc1 = linear("intermediate.dense", "mlp.fc1", width, hidden, true);
        let fc2 = linear("output.dense", "mlp.fc2", hidden, width, true);
        let table = w.take_one_of(
            &[
                &at("attention.self.relative_position_bias_table"),
                &at("attention.relative_position_bias.relative_position_bias_table"),
            ],
            &[(2 * c.window_size - 1).pow(2), heads],
        );
        Self {
            norm_before: LayerNorm::new(w, &at("layernorm_before"), width, c.layer_norm_eps),
            norm_after: LayerNorm::new(w, &at("layernorm_after"), width, c.layer_norm_eps),
            qkv,
            out,
            bias: position_bias(&table, c.window_size),
            heads,
            shifted,
            mlp: Mlp::new(fc1, fc2, c.hidden_act),
        }
    }

    fn forward(&self, x_bhwc: &Tensor, window: &Window) -> Tensor {
        let x_bhwc = x_bhwc + self.attend(&self.norm_before.forward(x_bhwc), window);
        &x_bhwc + self.mlp.forward(&self.norm_after.forward(&x_bhwc))
    }

    fn attend(&self, x_bhwc: &Tensor, window: &Window) -> Tensor {
        let size = x_bhwc.size();
        let (batch, width) = (size[0], size[3]);
        let x_nwc = window.cut(x_bhwc);
        let (windows, places) = (x_nwc.size()[0], x_nwc.size()[1]);
        let qkv = self
            .qkv
            .forward(&x_nwc)
            .view([windows, places, 3, self.heads, width / self.heads])
            .permute([2, 0, 3, 1, 4]);
        let bias = match &window.mask {
            Some(mask_n1ww) => {
                let bias_nhww = &self.bias + mask_n1ww;
                bias_nhww.repeat([batch, 1, 1, 1])
            }
            None => self.bias.shallow_clone(),
        };
        let (q, k, v) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let out_nhwd =
            Tensor::scaled_dot_product_attention(&q, &k, &v, Some(&bias), 0.0, false, None, false);
        let out_nwc = self.out.forward(&out_nhwd.transpose(1, 2).flatten(2, 3));
        window.join(&out_nwc, batch)
    }
}

impl Merging {
    fn forward(&self, x_bhwc: &Tensor) -> Tensor {
        let (height, width) = (x_bhwc.size()[1], x_bhwc.size()[2]);
        let x_bhwc = x_bhwc.constant_pad_nd([0, 0, 0, width % 2, 0, height % 2]);
        let every_other =
            |row: i64, column: i64| x_bhwc.slice(1, row, None, 2).slice(2, column, None, 2);
        let four = [every_other(0, 0), every_other(1, 0), every_other(0, 1), every_other(1, 1)];
        self.reduction.forward(&self.norm.forward(&Tensor::cat(&four, 3)))
    }
}
