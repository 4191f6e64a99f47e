//! One row made into a sample: its caption drawn and tokenised, its picture decoded and
//! transformed, or the cause why not.

use crate::bad::{BadRow, Cause};
use crate::batch::SampleId;
use crate::picture::{Picture, PictureError};
use crate::rng::{Purpose, Rng, hash};
use crate::row::{RawImage, RawRow};
use crate::{DataError, Encoded, Preprocessor, Tokenizer};
use configs::Augment;
use std::borrow::Cow;
use std::sync::Arc;

/// How rows become training samples.
pub(crate) struct Recipe {
    pub tokenizer: Arc<Tokenizer>,
    pub picture: Preprocessor,
    pub augment: Augment,
    pub seed: u64,
}

/// The rows of a shuffle window, and the order in which slots take them.
pub(crate) struct WindowRows {
    pub rows: Vec<RawRow>,
    pub order: Vec<usize>,
}

/// One slot of a training batch.
pub(crate) struct Slot {
    pub window: Arc<WindowRows>,
    /// Position in the window's order.
    pub index: usize,
    /// The epoch.
    pub epoch: u64,
    /// Number of the sample in the epoch, over all ranks.
    pub number: u64,
}

/// A finished sample.
pub(crate) struct Sample {
    pub pixels: Vec<u8>,
    pub text: Encoded,
    pub weight: f32,
    pub product: u64,
    pub id: SampleId,
    /// [`Slot::number`] and [`Slot::epoch`].
    pub number: u64,
    pub epoch: u64,
    /// Unusable rows met before a usable one.
    pub bad: Vec<BadRow>,
}

impl Recipe {
    /// Fills a slot from its row, or, when that is unusable, from the next usable row of the
    /// window's order. Crop, flip and caption follow from (seed, epoch, number) alone.
    pub fn fill(&self, slot: &Slot) -> Result<Sample, DataError> {
        let WindowRows { rows, order } = slot.window.as_ref();
        let mut bad = Vec::new();
        for step in 0..order.len() {
            let row = &rows[order[(slot.index + step) % order.len()]];
            let mut rng = Rng::new(Purpose::Sample, &[self.seed, slot.epoch, slot.number]);
            match self.make(row, &mut rng) {
                Ok((weight, text, pixels)) => {
                    let (product, id) = (product_hash(&row.id), row.id.clone());
                    let (number, epoch) = (slot.number, slot.epoch);
                    return Ok(Sample { pixels, text, weight, product, id, number, epoch, bad });
                }
                Err((cause, detail)) => {
                    bad.push(BadRow { cause, detail, id: row.id.clone(), row: row.number });
                }
            }
        }
        let example = bad.first().map(BadRow::to_string).unwrap_or_default();
        Err(DataError::NoUsableRow { rows: rows.len(), example })
    }

    fn make(&self, row: &RawRow, rng: &mut Rng) -> Result<(f32, Encoded, Vec<u8>), Unusable> {
        let weight = usable_weight(row.weight)?;
        let captions = usable_captions(&row.captions);
        if captions.is_empty() {
            return Err((Cause::NoCaption, String::new()));
        }
        let caption = captions[rng.below(captions.len() as u64) as usize];
        let text = self.tokenizer.encode(caption).map_err(|e| (Cause::NoCaption, e.to_string()))?;
        let encoded = encoded(row)?;
        let mut pixels = vec![0; self.picture.size * self.picture.size * 3];
        self.picture
            .train_into(&encoded, &self.augment, rng, &mut pixels)
            .map_err(unusable_picture)?;
        Ok((weight, text, pixels))
    }
}

/// Why a row is unusable, and more about it.
pub(crate) type Unusable = (Cause, String);

/// The weight as it is used. 1e300 is finite only until it becomes an f32.
fn usable_weight(weight: Option<f64>) -> Result<f32, Unusable> {
    let weight = weight.ok_or_else(|| (Cause::BadWeight, "null".to_owned()))?;
    let used = weight as f32;
    match used.is_finite() && weight >= 0.0 {
        true => Ok(used),
        false => Err((Cause::BadWeight, weight.to_string())),
    }
}

/// The captions that say anything.
pub(crate) fn usable_captions(captions: &[String]) -> Vec<&str> {
    captions.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect()
}

/// A row's picture as its file has it.
fn encoded(row: &RawRow) -> Result<Cow<'_, [u8]>, Unusable> {
    match &row.image {
        RawImage::Bytes(bytes) => Ok(bytes.into()),
        RawImage::File(path) => std::fs::read(path)
            .map(Cow::from)
            .map_err(|error| (Cause::UndecodableImage, format!("`{}`: {error}", path.display()))),
        RawImage::None => Err((Cause::NoImage, String::new())),
    }
}

/// Decodes a row's picture.
pub(crate) fn decode_row(row: &RawRow) -> Result<Picture, Unusable> {
    Picture::decode(&encoded(row)?).map_err(unusable_picture)
}

/// The cause that a picture's error is counted as.
pub(crate) fn unusable_picture(error: PictureError) -> Unusable {
    let cause = match error {
        PictureError::TooLarge { .. } | PictureError::TooNarrow { .. } => Cause::OversizedImage,
        _ => Cause::UndecodableImage,
    };
    (cause, error.to_string())
}

/// A stable hash of the product; a row without one is its own product.
pub(crate) fn product_hash(id: &SampleId) -> u64 {
    match &id.product {
        Some(product) => hash(product),
        None => hash(&format!("{}\n{}", id.shard.display(), id.row)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_finite_as_they_are_used() {
        assert_eq!(usable_weight(Some(0.0)), Ok(0.0));
        assert_eq!(usable_weight(Some(2.5)), Ok(2.5));
        for bad in [None, Some(-1.0), Some(f64::NAN), Some(f64::INFINITY), Some(1e39)] {
            assert_eq!(usable_weight(bad).unwrap_err().0, Cause::BadWeight, "{bad:?}");
        }
    }
}
