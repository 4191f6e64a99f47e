//! Where the benchmark's batches come from.

use crate::Args;
use anyhow::{Context, Result};
use checkpoints::TensorFile;
use configs::prepare::PrepareConfig;
use configs::{Clean, Data, Loss};
use data::{Batch, Cursor, Loader, PadId, Preprocessor, Shard, Tokenizer};
use native::Uploader;
use prepare::pipeline;
use prepare::{SampleSpec, write_sample};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tch::{Device, Kind, Tensor};
use train::dist::Group;
use train::loss::Rows;
use train::model::ClipSpec;
use train::step::{self, Inputs};
use train::tensors;

/// Batches of one size, for ever.
pub struct Feed {
    from: From,
    batch_size: usize,
}

enum From {
    /// In the device's memory, round and round.
    Memory { batches: Vec<Inputs>, next: usize },
    /// From shards, with their wait and their upload.
    Shards { loader: Box<Loader>, uploader: Uploader, group: Group },
}

/// A batch that has been waited for and not yet uploaded.
pub enum Taken {
    Memory(Inputs),
    Shards(Box<Batch>),
}

impl Feed {
    /// As the arguments say.
    pub fn open(
        args: &Args,
        spec: &ClipSpec,
        picture: &Preprocessor,
        device: Device,
    ) -> Result<Self> {
        if let Some(folder) = &args.shards {
            let loader = Box::new(open_shards(folder, spec, picture, args.batch)?);
            let (uploader, group) = (Uploader::new(device)?, Group::alone());
            let from = From::Shards { loader, uploader, group };
            return Ok(Self { from, batch_size: args.batch });
        }
        let batches = match &args.inputs {
            Some(path) => read(path, device)?,
            None => vec![drawn(spec, args.batch, args.tokens, device)?],
        };
        let batch_size = usize::try_from(batches[0].ids_BT.size()[0])?;
        Ok(Self { from: From::Memory { batches, next: 0 }, batch_size })
    }

    /// Pairs of each batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Whether batches are copied to the device as they come.
    pub fn uploads(&self) -> bool {
        matches!(self.from, From::Shards { .. })
    }

    /// The model that fits the captions: a catalogue may have another tokenizer than `spec`, and
    /// its end token is the greatest id then (2 says so, as in the first published configurations).
    pub fn fitted(&self, mut spec: ClipSpec) -> ClipSpec {
        if self.uploads() {
            spec.text.eos_token_id = 2;
        }
        spec
    }

    /// The next batch, waited for.
    pub fn next_batch(&mut self) -> Result<Taken> {
        Ok(match &mut self.from {
            From::Memory { batches, next } => {
                let batch = &batches[*next % batches.len()];
                *next += 1;
                Taken::Memory(batch.rows(0, batch.ids_BT.size()[0]))
            }
            From::Shards { loader, .. } => Taken::Shards(Box::new(loader.next()?)),
        })
    }

    /// A batch on the device, with what the loss knows of its rows. Drawn pairs are all distinct.
    pub fn prepare(&self, batch: Taken, like: &Tensor) -> Result<(Inputs, Rows)> {
        let cfg = Loss::default();
        match (batch, &self.from) {
            (Taken::Shards(batch), From::Shards { uploader, group, .. }) => {
                let rows = step::rows(&batch, &cfg, like, group)?;
                Ok((Inputs::new(&batch, uploader)?, rows))
            }
            (Taken::Memory(inputs), _) => {
                let distinct: Vec<u64> = (0..self.batch_size as u64).collect();
                let (weights, own) = (vec![1.0; self.batch_size], 0..self.batch_size);
                Ok((inputs, Rows::new(&distinct, &distinct, &weights, own, &cfg, like)))
            }
            (Taken::Shards(_), From::Memory { .. }) => unreachable!("a feed is of one kind"),
        }
    }
}

/// One batch of random pictures and captions of `tokens` tokens, on `device`.
fn drawn(spec: &ClipSpec, batch: usize, tokens: Option<i64>, device: Device) -> Result<Inputs> {
    let (rows, side) = (i64::try_from(batch)?, spec.vision.image_size);
    let context = spec.text.max_position_embeddings;
    let length = tokens.unwrap_or(context).clamp(2, context);
    // The two ids after the words are those of the start and the end token.
    let (end, words) = (spec.text.vocab_size - 1, spec.text.vocab_size - 2);
    let ids = Tensor::randint(words, [rows, length], (Kind::Int64, device));
    let _ = ids.narrow(1, 0, 1).fill_(words);
    let _ = ids.narrow(1, length - 1, 1).fill_(end);
    Ok(Inputs {
        pixels_BHWC: Tensor::randint(256, [rows, side, side, 3], (Kind::Uint8, device)),
        ids_BT: ids,
        patches_BK: None,
    })
}

/// The batches that `bench_step.py --write-inputs` wrote.
fn read(path: &Path, device: Device) -> Result<Vec<Inputs>> {
    let file = TensorFile::open(path)?;
    let read = |name: &str| -> Result<Tensor> { Ok(tensors::from_stored(&file.tensor(name)?)?) };
    let (pixels, ids, lengths) = (read("pixels")?, read("ids")?, read("lengths")?);
    let batch = |n: i64| Inputs {
        pixels_BHWC: pixels.get(n).to_device(device),
        // The loader stops at a batch's longest caption.
        ids_BT: ids.get(n).narrow(1, 0, lengths.get(n).max().int64_value(&[])).to_device(device),
        patches_BK: None,
    };
    Ok((0..ids.size()[0]).map(batch).collect())
}

/// The loader of a run over `folder`/train, with `folder`/tokenizer.json.
fn open_shards(
    folder: &Path,
    spec: &ClipSpec,
    picture: &Preprocessor,
    batch: usize,
) -> Result<Loader> {
    if !folder.exists() {
        draw_shards(folder)?;
    }
    let context = usize::try_from(spec.text.max_position_embeddings)?;
    let path = folder.join("tokenizer.json");
    let tokenizer = Arc::new(Tokenizer::open(path, context, Clean::Hf, PadId::End)?);
    let cfg = Data::deserialize(json!({"train": [folder.join("train")]}))?;
    Loader::open(&cfg, tokenizer, picture, batch, 0, Shard::WHOLE, Cursor::default())
        .with_context(|| format!("--shards {}", folder.display()))
}

/// The sample, drawn and prepared as in the quick start.
fn draw_shards(folder: &Path) -> Result<()> {
    let drawn = folder.with_extension("catalogue");
    write_sample(&drawn, &SampleSpec::default(), |_, _| {})?;
    let overrides = [
        format!("catalogue.paths={}/catalogue.parquet", drawn.display()),
        format!("output.dir={}", folder.display()),
    ];
    let cfg = PrepareConfig::load(Path::new("configs/prepare/sample.yaml"), &overrides)?;
    let inputs = pipeline::Inputs::offline(cfg.to_yaml()?);
    pipeline::prepare(&cfg, inputs, &Arc::default(), &AtomicBool::new(false))?;
    std::fs::copy(drawn.join("tokenizer.json"), folder.join("tokenizer.json"))?;
    Ok(())
}
