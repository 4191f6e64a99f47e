//! The detector: pictures and phrases in, boxes out.

use crate::GroundingError;
use crate::config::Config;
use crate::model::{Model, Outputs, Pixels, Prompts};
use crate::picture::{Bucket, Preprocessor, RgbPicture};
use crate::prompt::Tokenizer;
use crate::weights::Weights;
use checkpoints::TensorFile;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A GroundingDINO with its tokenizer and its way to resize pictures, on one device.
pub struct Detector {
    config: Config,
    model: Model,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    device: Device,
}

/// A box in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Left, top, right and bottom edge in pixels of the picture as it was given. Not clamped: a
    /// box may reach over the picture's edge.
    pub xyxy: [f32; 4],
    /// How sure the model is, 0 to 1: that of the best token.
    pub score: f32,
    /// The tokens that the box was found by.
    pub phrase: String,
}

/// A batch as the model sees it.
#[derive(Debug)]
pub struct Inputs {
    /// The pictures.
    pub pixels: Pixels,
    /// The token ids of each picture's prompt, without padding.
    pub token_ids: Vec<Vec<i64>>,
    /// Height and width of each picture before it was resized.
    sizes: Vec<(usize, usize)>,
}

impl Detector {
    /// Loads a Hugging Face directory: `config.json`, `model.safetensors` (or its shards and index),
    /// `tokenizer.json` and `preprocessor_config.json`. `kind` is `Float`, `BFloat16` or `Double`;
    /// in bfloat16 places in the picture are still computed in f32.
    ///
    /// # Errors
    /// When a file is missing, cannot be read, is that of another model or does not fit the others.
    pub fn load(dir: &Path, device: Device, kind: Kind) -> Result<Self, GroundingError> {
        if !matches!(kind, Kind::Float | Kind::BFloat16 | Kind::Double) {
            let problem =
                format!("expected Float, BFloat16 or Double for the weights, found {kind:?}");
            return Err(GroundingError::Argument(problem));
        }
        if !dir.is_dir() {
            return Err(GroundingError::NoDirectory { path: dir.into() });
        }
        let config = Config::read(&dir.join("config.json"))?;
        let text = &config.text_config;
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        let max_tokens = size(config.max_text_len.min(text.max_position_embeddings));
        let tokenizer = Tokenizer::open(dir, size(text.vocab_size), max_tokens)?;
        let preprocessor = Preprocessor::open(dir)?;
        let file = TensorFile::open(dir)?;
        let _no_grad = tch::no_grad_guard();
        let (model, problems) = native::guarded("load the detector", || {
            let mut weights = Weights::new(&file, device, kind);
            (Model::new(&mut weights, &config), weights.finish())
        })?;
        if !problems.is_empty() {
            return Err(GroundingError::Weights { path: dir.into(), problems });
        }
        Ok(Self { config, model, tokenizer, preprocessor, device })
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// In which bucket of similar size a picture falls: batches of one bucket waste little.
    pub fn bucket(&self, width: usize, height: usize) -> Bucket {
        self.preprocessor.bucket(width, height)
    }

    /// Finds in each picture what the phrase at its place names; a phrase may hold several, between
    /// full stops. Boxes of a score above `box_threshold`, best first; their phrase is made of the
    /// tokens above `text_threshold`.
    ///
    /// # Errors
    /// Names a picture or phrase that cannot be used; what libtorch refused, such as memory.
    pub fn detect(
        &self,
        pictures: &[RgbPicture],
        phrases: &[&str],
        box_threshold: f32,
        text_threshold: f32,
    ) -> Result<Vec<Vec<Detection>>, GroundingError> {
        if pictures.is_empty() && phrases.is_empty() {
            return Ok(vec![]);
        }
        let inputs = self.inputs(pictures, phrases)?;
        let outputs = self.run(&inputs)?;
        self.choose(&inputs, &outputs, box_threshold, text_threshold)
    }

    /// The first step of [`Detector::detect`]: pixels and token ids.
    ///
    /// # Errors
    /// Names a picture or phrase that cannot be used.
    pub fn inputs(
        &self,
        pictures: &[RgbPicture],
        phrases: &[&str],
    ) -> Result<Inputs, GroundingError> {
        if pictures.len() != phrases.len() || pictures.is_empty() {
            let problem = format!(
                "expected as many phrases as pictures and at least one, found {} pictures and {} phrases",
                pictures.len(),
                phrases.len()
            );
            return Err(GroundingError::Argument(problem));
        }
        let encode = |(index, phrase): (usize, &&str)| self.tokenizer.encode(index, phrase);
        let token_ids = phrases.iter().enumerate().map(encode).collect::<Result<_, _>>()?;
        let pixels = self.preprocessor.pixels(pictures, self.device)?;
        let size = pixels.values.size();
        let (places, needed) = (self.config.places(size[2], size[3]), self.config.num_queries);
        if places < needed {
            let problem = format!(
                "pictures of {} x {} pixels have {places} places, from which the model chooses \
                 {needed} (num_queries): use a larger size in preprocessor_config.json",
                size[3], size[2]
            );
            return Err(GroundingError::Argument(problem));
        }
        let sizes = pictures.iter().map(|picture| (picture.height, picture.width)).collect();
        Ok(Inputs { pixels, token_ids, sizes })
    }

    /// The second step: the model.
    ///
    /// # Errors
    /// What libtorch refused, such as memory.
    pub fn run(&self, inputs: &Inputs) -> Result<Outputs, GroundingError> {
        let _no_grad = tch::no_grad_guard();
        let pad = self.config.text_config.pad_token_id.unwrap_or(0);
        Ok(native::guarded("search pictures", || {
            let prompts = Prompts::new(&inputs.token_ids, pad, self.device);
            self.model.forward(&inputs.pixels, &prompts)
        })?)
    }

    /// The third step: boxes in pixels, as `post_process_grounded_object_detection` of transformers.
    ///
    /// # Errors
    /// What libtorch refused; tokens that cannot be decoded.
    pub fn choose(
        &self,
        inputs: &Inputs,
        outputs: &Outputs,
        box_threshold: f32,
        text_threshold: f32,
    ) -> Result<Vec<Vec<Detection>>, GroundingError> {
        let (boxes, shares) = native::guarded("choose boxes", || {
            let boxes = corners(&outputs.boxes, &inputs.sizes).to_device(Device::Cpu);
            (rows(&boxes), rows(&outputs.logits.sigmoid().to_device(Device::Cpu)))
        })?;
        let size = |n: i64| usize::try_from(n).unwrap_or(0).max(1);
        let (queries, tokens) = (size(self.config.num_queries), size(self.config.max_text_len));
        let mut found: Vec<Vec<Detection>> = vec![vec![]; inputs.sizes.len()];
        for (i, (xyxy, shares)) in boxes.chunks(4).zip(shares.chunks(tokens)).enumerate() {
            let picture = i / queries;
            let score = shares.iter().copied().fold(0.0, f32::max);
            if score <= box_threshold {
                continue;
            }
            // The first and the last place are never part of a phrase.
            let inner = shares.iter().enumerate().take(tokens - 1).skip(1);
            let named = inner.filter(|&(_, &share)| share > text_threshold);
            let ids: Vec<u32> = named
                .filter_map(|(t, _)| inputs.token_ids[picture].get(t))
                .filter_map(|&id| u32::try_from(id).ok())
                .collect();
            let phrase = self.tokenizer.decode(&ids)?;
            let xyxy = std::array::from_fn(|edge| xyxy[edge]);
            found[picture].push(Detection { xyxy, score, phrase });
        }
        for boxes in &mut found {
            boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(found)
    }
}

/// Boxes as corners in pixels of pictures of `sizes` (height, width).
fn corners(boxes_bq4: &Tensor, sizes: &[(usize, usize)]) -> Tensor {
    let (centre, size) = (boxes_bq4.narrow(2, 0, 2), boxes_bq4.narrow(2, 2, 2));
    let half = size * 0.5;
    let relative = Tensor::cat(&[&centre - &half, &centre + &half], 2);
    let scale: Vec<f32> =
        sizes.iter().flat_map(|&(h, w)| [w as f32, h as f32, w as f32, h as f32]).collect();
    let scale = Tensor::from_slice(&scale).view([-1, 1, 4]).to_device(boxes_bq4.device());
    relative * scale
}

/// All elements in order, as f32.
fn rows(x: &Tensor) -> Vec<f32> {
    let x = x.to_kind(Kind::Float).contiguous().flatten(0, -1);
    let mut values = vec![0.0; x.numel()];
    x.copy_data(&mut values, x.numel());
    values
}
