//! The stages that a block of products goes through.
//!
//! ```text
//! products ──► fetch ──► decode ──► ground ──► crop ──► refine ──► entries of the journal
//!              network    threads    detector   threads   network
//! ```

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use configs::prepare::{Grounding as GroundingConfig, GroundingKind, PrepareConfig};
use data::{Picture, PictureError, PictureFile};
use futures_util::future::join_all;

use super::cpu_pool::CpuPool;
use super::crop::{Crop, CropStyle};
use super::entry::{RejectMeta, RowMeta};
use super::progress::Progress;
use super::sheet::Sampler;
use crate::grounding::{Cut, Detector, Query, choose, given};
use crate::refine::{self, Agent, Listing, RefineError};
use crate::{Cause, Fault, Fetcher, Grounding, PrepareError, Product, Reject};

/// All that the stages share.
pub(super) struct Stages {
    pub grounding: GroundingConfig,
    pub style: CropStyle,
    /// Whether whole pictures are kept beside the crops.
    pub keep_raw: bool,
    pub fetcher: Fetcher,
    /// One batch at a time.
    pub detector: Option<Mutex<Box<dyn Detector>>>,
    pub agent: Agent,
    /// Says whose whole picture is kept for the contact sheet.
    pub sampler: Sampler,
    pub progress: Arc<Progress>,
    cropping: CpuPool,
}

/// A finished product.
pub(super) enum Done {
    Row { meta: Box<RowMeta>, crop: Bytes, raw: Bytes },
    Reject(RejectMeta),
}

/// A product with its picture.
struct Seen {
    product: Product,
    bytes: Bytes,
    picture: Picture,
}

/// A product with its crop.
struct Cropped {
    product: Product,
    bytes: Bytes,
    cut: Cut,
    crop: Crop,
}

impl Stages {
    /// # Errors
    /// The system gives no threads.
    pub fn new(
        cfg: &PrepareConfig,
        fetcher: Fetcher,
        detector: Option<Box<dyn Detector>>,
        agent: Agent,
        progress: Arc<Progress>,
    ) -> Result<Self, PrepareError> {
        Ok(Self {
            grounding: cfg.grounding.clone(),
            style: CropStyle::new(&cfg.output, cfg.duplicates.enabled),
            keep_raw: cfg.output.image_raw,
            fetcher,
            detector: detector.map(Mutex::new),
            agent,
            sampler: Sampler::default(),
            progress,
            cropping: CpuPool::new()?,
        })
    }

    /// Brings a block through all stages, its order kept.
    ///
    /// # Errors
    /// What must stop the run: of a product alone, its rejection is the outcome.
    pub async fn run(
        self: Arc<Self>,
        block: Vec<Result<Product, Reject>>,
    ) -> Result<Vec<Done>, PrepareError> {
        let fetched = join_all(block.into_iter().map(|product| self.fetch(product))).await;
        let this = self.clone();
        let cropped = self.cropping.run(move || this.crop_all(fetched)).await?;
        let refined = join_all(cropped.into_iter().map(|product| self.refine(product))).await;
        refined.into_iter().collect::<Result<_, _>>().map_err(PrepareError::Refine)
    }

    async fn fetch(&self, product: Result<Product, Reject>) -> Result<(Product, Bytes), Reject> {
        let product = product?;
        let bytes = self.fetcher.get(&product).await?;
        self.progress.fetched.fetch_add(1, Ordering::Relaxed);
        Ok((product, bytes))
    }

    /// Decodes, grounds and crops the products of a block.
    fn crop_all(
        &self,
        block: Vec<Result<(Product, Bytes), Reject>>,
    ) -> Vec<Result<Cropped, Reject>> {
        match (&self.detector, self.grounding.kind) {
            (Some(detector), GroundingKind::GroundingDino) => self.detect_all(detector, block),
            // One picture after the other, so that one at a time is in memory.
            _ => block
                .into_iter()
                .map(|fetched| {
                    let (product, bytes) = fetched?;
                    match self.cut_given(&product, &bytes) {
                        Ok((cut, crop)) => {
                            self.progress.grounded.fetch_add(1, Ordering::Relaxed);
                            Ok(Cropped { product, bytes, cut, crop })
                        }
                        Err(fault) => Err(rejected(fault, &product)),
                    }
                })
                .collect(),
        }
    }

    /// The crop of a box that the catalogue gives, or of the whole picture: only what it needs is
    /// decoded.
    fn cut_given(&self, product: &Product, bytes: &Bytes) -> Result<(Cut, Crop), Fault> {
        let unreadable =
            |error: PictureError| Fault::new(Cause::UnreadablePicture, error.to_string());
        let file = PictureFile::open(bytes).map_err(unreadable)?;
        let (width, height) = file.size();
        let cut = match (&self.grounding.given, self.grounding.kind) {
            (Some(columns), GroundingKind::Given) => {
                given(product.given_box, columns, &self.grounding, (width, height))?
            }
            _ => Cut::whole(Grounding::NoBox, width, height),
        };
        let crop = self.style.of_file(bytes, file, &cut)?;
        Ok((cut, crop))
    }

    /// Grounds a block in batches of pictures of similar size.
    fn detect_all(
        &self,
        detector: &Mutex<Box<dyn Detector>>,
        block: Vec<Result<(Product, Bytes), Reject>>,
    ) -> Vec<Result<Cropped, Reject>> {
        let seen: Vec<Result<Seen, Reject>> = block.into_iter().map(decoded).collect();
        let mut order: Vec<usize> = (0..seen.len()).filter(|&i| seen[i].is_ok()).collect();
        // By aspect ratio: the detector brings every picture to about the same area.
        let aspect = |i: &usize| match &seen[*i] {
            Ok(seen) => seen.picture.width as f64 / seen.picture.height as f64,
            Err(_) => 0.0,
        };
        order.sort_by(|a, b| aspect(a).total_cmp(&aspect(b)).then(a.cmp(b)));
        let mut cuts: Vec<Option<Cut>> = seen.iter().map(|_| None).collect();
        for batch in order.chunks(self.grounding.batch.max(1)) {
            let found = self.detect(detector, batch, &seen);
            for (&i, cut) in batch.iter().zip(found) {
                cuts[i] = Some(cut);
            }
        }
        seen.into_iter()
            .zip(cuts)
            .map(|(seen, cut)| {
                let seen = seen?;
                let (width, height) = (seen.picture.width, seen.picture.height);
                let cut = cut.unwrap_or_else(|| Cut::whole(Grounding::Error, width, height));
                self.cropped(seen, cut)
            })
            .collect()
    }

    /// What to cut out of each picture of a batch. Where the detector fails on all of them, they are
    /// tried one by one; one that it fails on stays whole, marked as an error.
    fn detect(
        &self,
        detector: &Mutex<Box<dyn Detector>>,
        batch: &[usize],
        seen: &[Result<Seen, Reject>],
    ) -> Vec<Cut> {
        let sound: Vec<&Seen> = batch.iter().filter_map(|&i| seen[i].as_ref().ok()).collect();
        let queries: Vec<Query<'_>> = sound
            .iter()
            .map(|seen| Query {
                rgb: &seen.picture.pixels,
                width: seen.picture.width,
                height: seen.picture.height,
                phrase: &seen.product.phrase,
            })
            .collect();
        let detector = detector.lock().unwrap_or_else(PoisonError::into_inner);
        let together = detector.detect(&queries).ok().filter(|all| all.len() == queries.len());
        let found = together.map_or_else(
            || {
                let one = |query: &Query<'_>| match detector.detect(&[*query]) {
                    Ok(mut found) if found.len() == 1 => Ok(found.remove(0)),
                    Ok(found) => Err(format!("{} answers for one picture", found.len())),
                    Err(error) => Err(error.to_string()),
                };
                queries.iter().map(one).collect::<Vec<_>>()
            },
            |found| found.into_iter().map(Ok).collect(),
        );
        found
            .into_iter()
            .zip(&sound)
            .map(|(found, seen)| {
                let (width, height) = (seen.picture.width, seen.picture.height);
                match found {
                    Ok(found) => choose(&found, &self.grounding, (width, height)),
                    Err(error) => {
                        self.progress
                            .warn(format!("{}: the detector failed: {error}", seen.product.row));
                        Cut::whole(Grounding::Error, width, height)
                    }
                }
            })
            .collect()
    }

    fn cropped(&self, seen: Seen, cut: Cut) -> Result<Cropped, Reject> {
        let Seen { product, bytes, picture } = seen;
        let crop = self.style.of_decoded(&bytes, &picture, &cut);
        let crop = crop.map_err(|fault| rejected(fault, &product))?;
        self.progress.grounded.fetch_add(1, Ordering::Relaxed);
        Ok(Cropped { product, bytes, cut, crop })
    }

    async fn refine(&self, cropped: Result<Cropped, Reject>) -> Result<Done, RefineError> {
        let Cropped { product, bytes, cut, crop } = match cropped {
            Ok(cropped) => cropped,
            Err(reject) => return Ok(Done::Reject(RejectMeta::from(&reject))),
        };
        let listing = Listing {
            product_id: &product.product_id,
            title: &product.title,
            description: product.description.as_deref(),
            product_type: &product.product_type,
            attributes: &product.attributes,
        };
        let shown = refine::Crop { bytes: &crop.bytes, media_type: media_type(&crop.bytes) };
        let refined = self.agent.refine(listing, Some(shown)).await?;
        self.progress.refined.fetch_add(1, Ordering::Relaxed);
        self.progress.set_spent(self.agent.spent());
        if let Some(why) = &refined.failure {
            let line = format!(
                "{} (product `{}`): kept its title: {why}",
                product.row, product.product_id
            );
            self.progress.warn(line);
        }
        let mut captions = vec![refined.caption.clone()];
        captions.extend(refined.further);
        let meta = RowMeta {
            product_id: product.product_id,
            group: product.group,
            captions,
            caption_raw: product.title,
            caption_refined: refined.caption,
            product_type: product.product_type,
            attributes: product.attributes,
            weight: product.weight,
            grounding: cut.grounding,
            box_px: cut.box_px,
            box_score: cut.score,
            caption_rounds: refined.rounds,
            caption_stop: refined.stop.name().to_owned(),
            caption_model: refined.model,
            phash: crop.phash,
        };
        let drawn = self.sampler.takes(&meta.product_id);
        let raw = if self.keep_raw || drawn { bytes } else { Bytes::new() };
        Ok(Done::Row { meta: Box::new(meta), crop: crop.bytes, raw })
    }
}

fn rejected(fault: Fault, product: &Product) -> Reject {
    fault.at(product.row.clone(), Some(product.product_id.clone()))
}

fn decoded(fetched: Result<(Product, Bytes), Reject>) -> Result<Seen, Reject> {
    let (product, bytes) = fetched?;
    match Picture::decode(&bytes) {
        Ok(picture) => Ok(Seen { product, bytes, picture }),
        Err(error) => {
            Err(rejected(Fault::new(Cause::UnreadablePicture, error.to_string()), &product))
        }
    }
}

/// What encodes a picture that could be decoded.
fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        _ => "image/jpeg",
    }
}
