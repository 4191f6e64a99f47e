//! CLIP as Hugging Face writes it: two towers, two projections, one temperature.
//!
//! Legend of shape suffixes: b samples, t tokens, p patches, h heads, d width.

mod blocks;
mod spec;
mod towers;
mod weights;

pub use spec::{Activation, BlocksSpec, ClipSpec, SpecError};
pub use weights::{Param, Source, Weights, WeightsError};

use configs::{Freeze, FreezeTower, Recompute};
use data::Preprocessor;
use tch::{Device, Kind, Tensor};
use towers::{TextTower, VisionTower};
use weights::{Draw, exact_kind};

/// The greatest `logit_scale`: ln 100, as in the CLIP paper (arXiv 2103.00020, section 2.5).
pub const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// A CLIP model on one device.
#[derive(Debug)]
pub struct Clip {
    /// Its shape.
    pub spec: ClipSpec,
    params: Vec<Param>,
    vision: VisionTower,
    text: TextTower,
    visual_projection: Tensor,
    text_projection: Tensor,
    logit_scale: Tensor,
    logit_bias: Option<Tensor>,
    activation: Activation,
    pixel_scale: Tensor,
    pixel_shift: Tensor,
}

impl Clip {
    /// Builds the model and fills it from `source`. Pixels are normalised with the mean and
    /// standard deviation of `picture`.
    ///
    /// # Errors
    /// Names every tensor of a checkpoint that is missing, extra or misshapen.
    pub fn new(
        spec: ClipSpec,
        source: Source,
        picture: &Preprocessor,
        device: Device,
        kind: Kind,
    ) -> Result<Self, WeightsError> {
        let mut w = Weights::new(source, device, kind);
        let (text_width, width) = (spec.text.blocks.hidden_size, spec.vision.blocks.hidden_size);
        let std = |width: i64, factor: f64| Draw::Normal(factor / (width as f64).sqrt());
        let logit_scale = w.take("logit_scale", &[], Draw::Constant(spec.logit_scale_init_value));
        let text = TextTower::new(&mut w, &spec.text);
        let vision = VisionTower::new(&mut w, &spec.vision);
        let visual_projection = w.take(
            "visual_projection.weight",
            &[spec.projection_dim, width],
            std(width, spec.vision.blocks.initializer_factor),
        );
        let text_projection = w.take(
            "text_projection.weight",
            &[spec.projection_dim, text_width],
            std(text_width, spec.text.blocks.initializer_factor),
        );
        let logit_bias = w.take_stored("logit_bias", &[]);
        let constant = |f: &dyn Fn(f64, f64) -> f64| {
            let values: Vec<f64> = picture
                .mean
                .iter()
                .zip(&picture.std)
                .map(|(&m, &s)| f(m.into(), s.into()))
                .collect();
            Tensor::from_slice(&values).to_kind(exact_kind(kind)).to_device(device)
        };
        Ok(Self {
            activation: spec.activation(),
            pixel_scale: constant(&|_, std| 1.0 / (255.0 * std)),
            pixel_shift: constant(&|mean, std| -mean / std),
            spec,
            params: w.finish()?,
            vision,
            text,
            visual_projection,
            text_projection,
            logit_scale,
            logit_bias,
        })
    }

    /// Adds the bias that a sigmoid loss needs, unless the checkpoint had it.
    pub fn add_logit_bias(&mut self, init: f64) {
        if self.logit_bias.is_none() {
            let like = &self.logit_scale;
            let value = Tensor::full([0i64; 0], init, (like.kind(), like.device()));
            let value = value.set_requires_grad(true);
            self.params.push(Param {
                name: "logit_bias".into(),
                value: value.shallow_clone(),
                master: None,
            });
            self.logit_bias = Some(value);
        }
    }

    /// Pictures, u8 [B, H, W, 3], to unit vectors [B, D]. Where `patches_bk` [B, K] is given, the
    /// tower sees only those patches of each.
    pub fn encode_image(&self, pixels_bhwc: &Tensor, patches_bk: Option<&Tensor>) -> Tensor {
        let pixels = pixels_bhwc.to_kind(self.pixel_scale.kind());
        self.embed_pictures(&(pixels * &self.pixel_scale + &self.pixel_shift), patches_bk)
    }

    /// Pictures already normalised, [B, H, W, 3], to unit vectors [B, D].
    pub fn encode_normalised(&self, pictures_bhwc: &Tensor) -> Tensor {
        self.embed_pictures(pictures_bhwc, None)
    }

    fn embed_pictures(&self, pictures_bhwc: &Tensor, patches_bk: Option<&Tensor>) -> Tensor {
        let pooled = self.vision.forward(pictures_bhwc, patches_bk, self.activation);
        self.unit(&pooled.linear(&self.visual_projection, None::<Tensor>))
    }

    /// Token ids, i64 [B, T], to unit vectors [B, D].
    pub fn encode_text(&self, ids_bt: &Tensor) -> Tensor {
        let pooled = self.text.forward(ids_bt, self.activation);
        self.unit(&pooled.linear(&self.text_projection, None::<Tensor>))
    }

    /// Divides rows by their length, in the dtype of the weights also under autocast.
    fn unit(&self, x_bd: &Tensor) -> Tensor {
        let x_bd = x_bd.to_kind(self.logit_scale.kind());
        // The temperature's dtype is f32 also where the towers are in 16 bits throughout.
        let norm_b1 = x_bd.square().sum_dim_intlist([-1i64].as_slice(), true, None).sqrt();
        x_bd / norm_b1
    }

    /// The natural logarithm of the inverse temperature: a scalar parameter.
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }

    /// The bias of a sigmoid loss, a scalar parameter, where the model has one.
    pub fn logit_bias(&self) -> Option<&Tensor> {
        self.logit_bias.as_ref()
    }

    /// The parameters of both towers that learn, in the order of the forward pass.
    pub fn tower_params(&self) -> Vec<Tensor> {
        let of = |part: &'static str| self.params.iter().filter(move |p| p.name.starts_with(part));
        ["vision_model.", "visual_projection.", "text_model.", "text_projection."]
            .into_iter()
            .flat_map(of)
            .filter(|param| param.value.requires_grad())
            .map(|param| param.value.shallow_clone())
            .collect()
    }

    /// Holds `logit_scale` at or below [`MAX_LOGIT_SCALE`].
    pub fn clamp_logit_scale(&self) {
        tch::no_grad(|| {
            let _ = self.logit_scale.shallow_clone().clamp_max_(MAX_LOGIT_SCALE);
        });
    }

    /// All parameters, in the fixed order in which they were made.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The device that the parameters live on.
    pub fn device(&self) -> Device {
        self.logit_scale.device()
    }

    /// Runs the towers with another activation than `config.json` states.
    pub fn set_activation(&mut self, activation: Activation) {
        self.activation = activation;
    }

    /// Which activations of the towers are computed again in the backward pass.
    pub fn set_recompute(&mut self, recompute: Recompute) {
        self.vision.encoder.set_recompute(recompute);
        self.text.encoder.set_recompute(recompute);
    }

    /// Holds parts of the towers at their values: they get no gradient.
    pub fn freeze(&self, freeze: &Freeze) {
        for param in &self.params {
            let (tower, projection, blocks) = if param.name.starts_with("vision_model.")
                || param.name.starts_with("visual_projection.")
            {
                (freeze.image, "visual_projection.", "vision_model.")
            } else {
                (freeze.text, "text_projection.", "text_model.")
            };
            let in_tower = param.name.starts_with(blocks) || param.name.starts_with(projection);
            let frozen = in_tower
                && match tower {
                    FreezeTower::None => false,
                    FreezeTower::All => true,
                    FreezeTower::Blocks(n) => in_first_blocks(&param.name, n),
                };
            if frozen {
                let _ = param.value.set_requires_grad(false);
            }
        }
    }
}

/// Whether `name` belongs to the embeddings, the norm after them, or one of the first `n` blocks.
fn in_first_blocks(name: &str, n: usize) -> bool {
    match name.split_once(".encoder.layers.") {
        Some((_, rest)) => {
            rest.split('.').next().and_then(|i| i.parse::<usize>().ok()).is_some_and(|i| i < n)
        }
        None => name.contains(".embeddings.") || name.contains(".pre_layrnorm."),
    }
}
