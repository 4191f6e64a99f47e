//! One row made into a sample: its caption drawn and tokenised, its picture decoded and
//! transformed, or the cause why not.

use crate::bad::{BadRow, Cause};
use crate::batch::SampleId;
use crate::picture::{Picture, PictureError};
use crate::rng::{Purpose, Rng, hash};
use crate::row::{RawImage, RawRow};
use crate::stages::{Stage, StageClock};
use crate::text::Dropout;
use crate::{DataError, Encoded, PixelSlot, Preprocessor, Tokenizer};
use configs::Augment;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// How rows become training samples.
pub(crate) struct Recipe {
    pub tokenizer: Arc<Tokenizer>,
    pub picture: Preprocessor,
    pub augment: Augment,
    pub dropout: Dropout,
    pub seed: u64,
    pub clock: Arc<StageClock>,
}

/// The rows of a shuffle window, and the order in which slots take them.
pub(crate) struct WindowRows {
    pub rows: Vec<RawRow>,
    pub order: Vec<usize>,
    /// The window's own rows, where none of them can be used; `rows` are then another's.
    pub lost: Vec<RawRow>,
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
    /// The source that the window belongs to.
    pub source: usize,
    /// Where the pixels go: size x size x 3.
    pub pixels: Box<dyn PixelSlot>,
}

/// A finished sample.
pub(crate) struct Sample {
    pub pixels: Box<dyn PixelSlot>,
    pub text: Encoded,
    pub weight: f32,
    pub product: u64,
    pub id: SampleId,
    /// [`Slot::number`], [`Slot::epoch`] and [`Slot::source`].
    pub number: u64,
    pub epoch: u64,
    pub source: usize,
    /// Unusable rows met before a usable one.
    pub bad: Vec<BadRow>,
}

impl Recipe {
    /// Fills a slot from its row, or, when that is unusable, from the next usable row of the
    /// window's order. Crop, flip and caption follow from (seed, epoch, number) alone.
    pub fn fill(&self, slot: Slot) -> Result<Sample, DataError> {
        let Slot { window, index, epoch, number, source, mut pixels } = slot;
        let WindowRows { rows, order, lost } = window.as_ref();
        let mut bad = Vec::new();
        let key = [self.seed, epoch, number];
        if let Some(row) = lost.get(index)
            && let Err((cause, detail)) = self.make(row, &key, pixels.bytes())
        {
            bad.push(BadRow { cause, detail, id: row.id.clone(), row: row.number });
        }
        for step in 0..order.len() {
            let row = &rows[order[(index + step) % order.len()]];
            match self.make(row, &key, pixels.bytes()) {
                Ok((weight, text)) => {
                    let (product, id) = (product_hash(&row.id), row.id.clone());
                    let sample =
                        Sample { pixels, text, weight, product, id, number, epoch, source, bad };
                    return Ok(sample);
                }
                Err((cause, detail)) => {
                    bad.push(BadRow { cause, detail, id: row.id.clone(), row: row.number });
                }
            }
        }
        let example = bad.first().map(BadRow::to_string).unwrap_or_default();
        Err(DataError::NoUsableRow { rows: rows.len(), example })
    }

    fn make(
        &self,
        row: &RawRow,
        key: &[u64; 3],
        pixels: &mut [u8],
    ) -> Result<(f32, Encoded), Unusable> {
        usable_row(row)?;
        let weight = usable_weight(row.weight)?;
        let mut rng = Rng::new(Purpose::Sample, key);
        let text = self.clock.time(Stage::Tokenise, || self.caption(row, key, &mut rng))?;
        let bytes = self.clock.time(Stage::Read, || encoded_picture(row))?;
        self.clock.picture(bytes.len());
        let start = Instant::now();
        let decoding = self.picture.train_into(&bytes, &self.augment, &mut rng, pixels);
        let decoding = decoding.map_err(unusable_picture)?;
        self.clock.add(Stage::Decode, decoding);
        self.clock.add(Stage::Transform, start.elapsed().saturating_sub(decoding));
        Ok((weight, text))
    }

    fn caption(&self, row: &RawRow, key: &[u64; 3], rng: &mut Rng) -> Result<Encoded, Unusable> {
        let mut words = Rng::new(Purpose::Caption, key);
        let caption = row.captions.draw(rng, &mut words);
        let caption = caption.ok_or_else(|| (Cause::NoCaption, row.captions.missing()))?;
        let caption = self.dropout.apply(caption, &mut words);
        self.tokenizer.encode(&caption).map_err(|error| (Cause::NoCaption, error.to_string()))
    }
}

/// Says why a row could not be read, if it could not.
pub(crate) fn usable_row(row: &RawRow) -> Result<(), Unusable> {
    row.unreadable.as_ref().map_or(Ok(()), |reason| Err((Cause::UnreadableRow, reason.clone())))
}

/// Why a row is unusable, and more about it.
pub(crate) type Unusable = (Cause, String);

/// The weight as it is used. 1e300 is finite only until it becomes an f32.
pub(crate) fn usable_weight(weight: Option<f64>) -> Result<f32, Unusable> {
    let weight = weight.ok_or_else(|| (Cause::BadWeight, "null".to_owned()))?;
    let used = weight as f32;
    match used.is_finite() && weight >= 0.0 {
        true => Ok(used),
        false => Err((Cause::BadWeight, weight.to_string())),
    }
}

/// Decodes a row's picture.
pub(crate) fn decode_row(row: &RawRow) -> Result<Picture, Unusable> {
    Picture::decode(&encoded_picture(row)?).map_err(unusable_picture)
}

/// A row's picture as it is stored.
pub(crate) fn encoded_picture(row: &RawRow) -> Result<Cow<'_, [u8]>, Unusable> {
    match &row.image {
        RawImage::Bytes(bytes) => Ok(bytes.into()),
        RawImage::File(path) => std::fs::read(path)
            .map(Cow::from)
            .map_err(|error| (Cause::UndecodableImage, format!("`{}`: {error}", path.display()))),
        RawImage::None => Err((Cause::NoImage, String::new())),
    }
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
