//! A model as evaluation uses it: texts and pictures in, unit vectors out.

use crate::model::Clip;
use crate::model_dir::ModelDir;
use crate::step::{pixels, token_ids, with_precision};
use anyhow::Result;
use configs::Precision;
use data::{EvalBatch, Picture};
use tch::{Kind, Tensor};

/// A model, what belongs to it, and the arithmetic of its towers.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// The weights.
    pub model: &'a Clip,
    /// Tokenizer and picture transform.
    pub dir: &'a ModelDir,
    /// Arithmetic of the towers.
    pub precision: Precision,
    /// Texts or pictures that go through a tower at once.
    pub batch: usize,
}

impl Encoder<'_> {
    /// Components of an embedding.
    pub fn width(&self) -> Result<usize> {
        Ok(usize::try_from(self.model.spec.projection_dim)?)
    }

    /// The pictures and the captions of a batch: rows of [`Encoder::width`] values each.
    pub fn pairs(&self, batch: &EvalBatch) -> Result<[Vec<f32>; 2]> {
        let device = self.model.device();
        let pixels_bhwc = pixels(&batch.pixels, batch.len(), batch.size, device);
        let ids_ct = token_ids(&batch.token_ids, batch.length, device);
        let sides =
            self.run(|model| [model.encode_image(&pixels_bhwc, None), model.encode_text(&ids_ct)])?;
        let [image, text] = sides.map(unit_rows);
        Ok([image?, text?])
    }

    /// Texts: one row each, in their order.
    pub fn texts(&self, texts: &[&str]) -> Result<Vec<f32>> {
        let (tokenizer, device) = (&self.dir.tokenizer, self.model.device());
        let mut rows = Vec::new();
        for texts in texts.chunks(self.batch) {
            let encoded = texts.iter().map(|text| tokenizer.encode(text));
            let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
            let length = encoded.iter().map(|text| text.ids.len()).max().unwrap_or(1);
            let mut ids = Vec::with_capacity(length * encoded.len());
            for text in encoded {
                let end = ids.len() + length;
                ids.extend(text.ids);
                ids.resize(end, tokenizer.pad_id());
            }
            let ids_bt = token_ids(&ids, length, device);
            rows.extend(unit_rows(self.run(|model| model.encode_text(&ids_bt))?)?);
        }
        Ok(rows)
    }

    /// Encoded pictures: one row each, in their order.
    ///
    /// # Errors
    /// The index of a picture that cannot be decoded, with the reason.
    pub fn pictures(&self, pictures: &[&[u8]]) -> Result<Vec<f32>, (usize, anyhow::Error)> {
        let (transform, device) = (&self.dir.picture, self.model.device());
        let mut rows = Vec::new();
        for (chunk, pictures) in pictures.chunks(self.batch).enumerate() {
            let mut bytes = Vec::new();
            for (index, picture) in pictures.iter().enumerate() {
                let seen =
                    Picture::decode(picture).and_then(|picture| transform.evaluate(&picture));
                let seen = seen.map_err(|error| (chunk * self.batch + index, error.into()))?;
                bytes.extend(seen);
            }
            let pixels_bhwc = pixels(&bytes, pictures.len(), transform.size, device);
            let side = self.run(|model| model.encode_image(&pixels_bhwc, None));
            rows.extend(side.and_then(unit_rows).map_err(|error| (chunk * self.batch, error))?);
        }
        Ok(rows)
    }

    /// A decoded picture: one row.
    pub fn picture(&self, picture: &Picture) -> Result<Vec<f32>> {
        let transform = &self.dir.picture;
        let bytes = transform.evaluate(picture)?;
        let pixels_bhwc = pixels(&bytes, 1, transform.size, self.model.device());
        unit_rows(self.run(|model| model.encode_image(&pixels_bhwc, None))?)
    }

    fn run<T>(&self, body: impl FnOnce(&Clip) -> T) -> Result<T> {
        let device = self.model.device();
        Ok(tch::no_grad(|| with_precision(self.precision, device, || body(self.model)))?)
    }
}

/// The rows of [B, D], each divided by its norm once more: that of 16-bit towers is not quite 1.
fn unit_rows(side_bd: Tensor) -> Result<Vec<f32>> {
    let width = usize::try_from(side_bd.size()[1])?;
    let mut rows = Vec::<f32>::try_from(side_bd.to_kind(Kind::Float).flatten(0, -1))?;
    rows.chunks_exact_mut(width).for_each(unit);
    Ok(rows)
}

/// Brings a row to unit norm, taken in f64. A row of zeros, or one that is not finite, stays as it is
/// for [`eval::Embeddings`] to name.
pub fn unit(row: &mut [f32]) {
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 && norm.is_finite() {
        for value in row {
            *value = (f64::from(*value) / norm) as f32;
        }
    }
}
