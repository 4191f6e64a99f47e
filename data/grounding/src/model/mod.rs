//! GroundingDINO (arXiv 2303.05499) as Hugging Face writes it: Swin and BERT, an encoder that fuses
//! both, boxes chosen by the prompt, a decoder that refines them. Tensors keep the names of the
//! checkpoint.
//!
//! Legend of shape suffixes: b pictures, s places over all levels, l levels, t tokens, q queries,
//! h heads, d width; c channels; n windows and w places in a window.

mod bert;
mod decoder;
mod deformable;
mod encoder;
mod fusion;
mod layers;
mod levels;
mod projection;
mod queries;
mod sine;
mod swin;
mod text;
mod window;

pub(crate) use text::Prompts;

use crate::Config;
use crate::weights::Weights;
use bert::Bert;
use decoder::Decoder;
use encoder::Encoder;
use layers::Linear;
use levels::Levels;
use projection::Projection;
use queries::QuerySelection;
use swin::Swin;
use tch::{Kind, Tensor};

/// A GroundingDINO on one device.
pub(crate) struct Model {
    swin: Swin,
    bert: Bert,
    text_projection: Linear,
    input_projection: Projection,
    level_embed_ld: Tensor,
    encoder: Encoder,
    selection: QuerySelection,
    decoder: Decoder,
    temperature: f64,
    max_text_len: i64,
}

/// What the model says about each query.
#[derive(Debug)]
pub struct Outputs {
    /// How much the box is each token, [B, Q, max_text_len], before the sigmoid; minus infinity
    /// where there is no token. f32, or f64 in a model of f64.
    pub logits: Tensor,
    /// Centre x, centre y, width and height in 0..1 of the picture without its padding, [B, Q, 4].
    /// Of the same dtype.
    pub boxes: Tensor,
}

/// Pictures as the model sees them.
#[derive(Debug)]
pub struct Pixels {
    /// Normalised, [B, 3, height, width].
    pub values: Tensor,
    /// 1 in the picture and 0 in its padding, [B, height, width] i64.
    pub mask: Tensor,
    /// Whether any picture is padded.
    pub padded: bool,
}

impl Model {
    pub fn new(w: &mut Weights, c: &Config) -> Self {
        let (swin, width) = (&c.backbone_config, c.d_model);
        let outputs = swin.outputs().unwrap_or_default();
        let widths: Vec<i64> = outputs.iter().map(|&stage| swin.width(stage)).collect();
        let text_width = c.text_config.hidden_size;
        Self {
            swin: Swin::new(w, "model.backbone.conv_encoder.model", swin, &outputs),
            bert: Bert::new(w, "model.text_backbone", &c.text_config),
            text_projection: Linear::new(w, "model.text_projection", text_width, width),
            input_projection: Projection::new(w, "model.input_proj_vision", c, &widths),
            level_embed_ld: w.take("model.level_embed", &[c.num_feature_levels, width]),
            encoder: Encoder::new(w, "model.encoder", c),
            selection: QuerySelection::new(w, "model", c),
            decoder: Decoder::new(w, c),
            temperature: c.positional_embedding_temperature,
            max_text_len: c.max_text_len,
        }
    }

    /// Finds boxes of what each prompt names in the picture at its place. Panics as tch does.
    pub fn forward(&self, pixels: &Pixels, prompts: &Prompts) -> Outputs {
        let kind = self.level_embed_ld.kind();
        let exact = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let features =
            self.bert.forward(&prompts.ids_bt, &prompts.positions_bt, &prompts.phrases_b1tt);
        let text_btd = self.text_projection.forward(&features);

        let maps = self.swin.forward(&pixels.values.to_kind(kind));
        let maps = self.input_projection.forward(&maps);
        let mask_bhw = pixels.mask.to_kind(Kind::Float);
        let levels = Levels::new(
            &maps,
            &mask_bhw,
            pixels.padded,
            &self.level_embed_ld,
            self.temperature,
            exact,
        );
        let (vision_bsd, text_btd) = self.encoder.forward(&levels, text_btd, prompts);
        let tokens_bt = &prompts.tokens_bt;
        let boxes_bq4 = self.selection.boxes(&vision_bsd, &text_btd, tokens_bt, &levels);
        let (logits_bqt, boxes) =
            self.decoder.forward(boxes_bq4, &vision_bsd, &text_btd, tokens_bt, &levels);
        let missing = self.max_text_len - logits_bqt.size()[2];
        let logits = logits_bqt.pad([0, missing], "constant", f64::NEG_INFINITY);
        Outputs { logits, boxes }
    }
}
