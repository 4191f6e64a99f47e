//! The two towers: pictures to vectors, token ids to vectors.

use super::blocks::{Encoder, LayerNorm};
use super::spec::{Activation, TextSpec, VisionSpec};
use super::weights::{Draw, Weights};
use tch::{Kind, Tensor};

/// ViT: patches, a class token, blocks; the class token is pooled.
#[derive(Debug)]
pub struct VisionTower {
    class_embedding: Tensor,
    patch_embedding: Tensor,
    position_embedding: Tensor,
    pre_layrnorm: LayerNorm, // the checkpoint's spelling
    pub encoder: Encoder,
    post_layernorm: LayerNorm,
    patch_size: i64,
}

impl VisionTower {
    /// Parameters under `vision_model`.
    pub fn new(w: &mut Weights, spec: &VisionSpec) -> Self {
        let b = &spec.blocks;
        let (width, patch) = (b.hidden_size, spec.patch_size);
        let class_std = b.initializer_factor / (width as f64).sqrt();
        let std = b.initializer_range * b.initializer_factor;
        let at = |part: &str| format!("vision_model.{part}");
        Self {
            class_embedding: w.take(
                at("embeddings.class_embedding"),
                &[width],
                Draw::Normal(class_std),
            ),
            patch_embedding: w.take(
                at("embeddings.patch_embedding.weight"),
                &[width, 3, patch, patch],
                Draw::Normal(std),
            ),
            position_embedding: w.take(
                at("embeddings.position_embedding.weight"),
                &[spec.num_patches() + 1, width],
                Draw::Normal(std),
            ),
            pre_layrnorm: LayerNorm::new(w, &at("pre_layrnorm"), width, b.layer_norm_eps),
            encoder: Encoder::new(w, &at("encoder"), b, false),
            post_layernorm: LayerNorm::new(w, &at("post_layernorm"), width, b.layer_norm_eps),
            patch_size: patch,
        }
    }

    /// Normalised pictures [B, H, W, 3] to pooled vectors [B, width]. Where `kept_bk` [B, K] is
    /// given, only those patches of each picture go through the tower, besides the class token.
    pub fn forward(
        &self,
        pictures_bhwc: &Tensor,
        kept_bk: Option<&Tensor>,
        act: Activation,
    ) -> Tensor {
        let (b, p) = (pictures_bhwc.size()[0], self.patch_size);
        let grid = pictures_bhwc.size()[1] / p;
        let width = self.class_embedding.size()[0];
        // Patches do not overlap, so the convolution of the checkpoint is one matrix product over
        // [channel, row, column]-ordered patches. Pixels past the last whole patch are not seen.
        let patches_bpx = pictures_bhwc
            .narrow(1, 0, grid * p)
            .narrow(2, 0, grid * p)
            .reshape([b, grid, p, grid, p, 3])
            .permute([0, 1, 3, 5, 2, 4])
            .reshape([b, grid * grid, 3 * p * p])
            .to_kind(self.patch_embedding.kind());
        // Dropped patches cost nothing from here on; the others keep their positions.
        let patches_bpx = match kept_bk {
            None => patches_bpx,
            Some(kept_bk) => {
                let index = kept_bk.unsqueeze(2).expand([-1, -1, 3 * p * p], false);
                patches_bpx.gather(1, &index, false)
            }
        };
        let patches_bpd =
            native::matrix_product(&patches_bpx, &self.patch_embedding.view([width, -1]), None);
        let class_b1d = self
            .class_embedding
            .to_kind(patches_bpd.kind())
            .view([1, 1, -1])
            .expand([b, 1, -1], false);
        let x = Tensor::cat(&[class_b1d, patches_bpd], 1);
        let x = match kept_bk {
            None => x + &self.position_embedding,
            Some(kept_bk) => {
                let class_b1 = kept_bk.narrow(1, 0, 1).zeros_like();
                let position_bt = Tensor::cat(&[class_b1, kept_bk + 1], 1);
                x + Tensor::embedding(&self.position_embedding, &position_bt, -1, false, false)
            }
        };
        let class_b = Tensor::zeros([b], (Kind::Int64, x.device()));
        self.post_layernorm.forward(&self.encoder.forward(
            self.pre_layrnorm.forward(&x),
            &class_b,
            act,
        ))
    }
}

/// Causal transformer over token ids; the end token is pooled.
#[derive(Debug)]
pub struct TextTower {
    token_embedding: Tensor,
    position_embedding: Tensor,
    pub encoder: Encoder,
    final_layer_norm: LayerNorm,
    eos_token_id: i64,
}

impl TextTower {
    /// Parameters under `text_model`.
    pub fn new(w: &mut Weights, spec: &TextSpec) -> Self {
        let b = &spec.blocks;
        let width = b.hidden_size;
        let draw = Draw::Normal(0.02 * b.initializer_factor);
        let at = |part: &str| format!("text_model.{part}");
        Self {
            token_embedding: w.take(
                at("embeddings.token_embedding.weight"),
                &[spec.vocab_size, width],
                draw,
            ),
            position_embedding: w.take(
                at("embeddings.position_embedding.weight"),
                &[spec.max_position_embeddings, width],
                draw,
            ),
            encoder: Encoder::new(w, &at("encoder"), b, true),
            final_layer_norm: LayerNorm::new(w, &at("final_layer_norm"), width, b.layer_norm_eps),
            eos_token_id: spec.eos_token_id,
        }
    }

    /// Token ids [B, T] to pooled vectors [B, width]. What follows the end token has no influence:
    /// attention is causal. So T may be anything from the longest caption to the context length.
    pub fn forward(&self, ids_bt: &Tensor, act: Activation) -> Tensor {
        let t = ids_bt.size()[1];
        let x = Tensor::embedding(&self.token_embedding, ids_bt, -1, false, false)
            + self.position_embedding.narrow(0, 0, t);
        // 2 marks the first published configurations, whose end token has the highest id.
        let end_b = match self.eos_token_id {
            2 => ids_bt.argmax(1, false),
            eos => ids_bt.eq(eos).to_kind(Kind::Int).argmax(1, false),
        };
        self.final_layer_norm.forward(&self.encoder.forward(x, &end_b, act))
    }
}
