//! A training set: one or several sources of shards, found and their footers read.

use crate::columns::Roles;
use crate::pixels::Pool;
use crate::rng::{Purpose, Rng, fingerprint};
use crate::shards::{Memo, Shards, save};
use crate::source::{Access, DiskCache};
use crate::{DataError, PixelMemory};
use bytes::Bytes;
use configs::{Data, Shuffle, Source, Train};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The shards of a training set.
#[derive(Debug)]
pub struct TrainSet {
    pub(crate) sources: Vec<OpenSource>,
    /// Where the pixels of its batches come to lie.
    pub(crate) pixels: Arc<dyn PixelMemory>,
    /// Set when nobody waits for its data any more.
    pub(crate) stop: Arc<AtomicBool>,
}

/// A source that was found.
#[derive(Debug)]
pub(crate) struct OpenSource {
    /// What metrics call it; empty where there is only one.
    pub name: String,
    /// Its part of the samples, relative to the others.
    pub weight: f64,
    pub shards: Arc<Shards>,
}

/// What is known of shards from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A run goes on: a shard that is another now is an error.
    RunBegan,
    /// A run begins: what is known serves only to save time.
    Now,
}

impl TrainSet {
    /// Finds the shards of `cfg.train` and reads their footers, many at a time. Those that `memo`,
    /// a file beside the run, has already are not read again; the file is brought up to date where
    /// its folder exists.
    ///
    /// # Errors
    /// Shards that are missing, empty, cannot be read, lack a fitting column (more of them than
    /// `max_bad_fraction`), or have changed since the run began.
    pub fn open(cfg: &Data, memo: Option<(&Path, Since)>) -> Result<Self, DataError> {
        let known = memo.map_or_else(Memo::default, |(file, _)| Memo::load(file));
        let cache = cfg.cache.as_ref().map(|cache| {
            let max_bytes = (cache.max_gb * 1e9) as u64;
            DiskCache::open(&cache.dir, max_bytes).map(Arc::new)
        });
        let stop = Arc::new(AtomicBool::new(false));
        let access = Access { cache: cache.transpose()?, stop: stop.clone() };
        let sources = match &cfg.train {
            Train::Sources(sources) => sources.clone(),
            Train::Paths(paths) => {
                let (name, paths) = (String::new(), paths.clone());
                vec![Source { name, paths, weight: 1.0, columns: None }]
            }
        };
        let open = |source: &Source| {
            let columns = source.columns.as_ref().unwrap_or(&cfg.columns);
            let (access, cap) = (access.clone(), cfg.max_bad_fraction);
            let shards = Shards::open(&source.paths, Roles::new(columns), access, &known, cap)?;
            let (name, shards) = (source.name.clone(), Arc::new(shards));
            Ok(OpenSource { name, weight: source.weight, shards })
        };
        let sources = sources.iter().map(open).collect::<Result<Vec<_>, DataError>>()?;
        let set = Self { sources, pixels: Arc::new(Pool::default()), stop };
        if let Some((file, since)) = memo {
            set.remember(&known, file, since)?;
        }
        Ok(set)
    }

    /// Has the pixels of its batches decoded into `memory`.
    #[must_use]
    pub fn decoded_into(self, memory: Arc<dyn PixelMemory>) -> Self {
        Self { pixels: memory, ..self }
    }

    fn remember(&self, known: &Memo, file: &Path, since: Since) -> Result<(), DataError> {
        let files = self.sources.iter().flat_map(|source| &source.shards.files);
        if since == Since::RunBegan {
            for shard in files.clone() {
                known.check_unchanged(&shard.object, &shard.footer)?;
            }
        }
        if known.covers(files.clone().map(|shard| &shard.object))
            || !file.parent().is_some_and(Path::is_dir)
        {
            return Ok(());
        }
        let mut all: Vec<(_, &Bytes)> = files.map(|shard| (&shard.object, &shard.footer)).collect();
        all.sort_by_key(|(object, _)| &object.path);
        all.dedup_by_key(|(object, _)| &object.path);
        save(file, &all)
    }

    /// Rows of all shards.
    pub fn num_rows(&self) -> u64 {
        self.sources.iter().map(|source| source.shards.num_rows).sum()
    }

    /// Number of shards.
    pub fn num_shards(&self) -> usize {
        self.sources.iter().map(|source| source.shards.files.len()).sum()
    }

    /// Bytes of all shards' files.
    pub fn num_bytes(&self) -> u64 {
        let files = self.sources.iter().flat_map(|source| &source.shards.files);
        files.map(|file| file.object.size).sum()
    }

    /// What metrics call the sources; one empty name where there is only one.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
    }

    /// Rows of a full shuffle window of a source, whose memory `auto` shares among the sources.
    pub fn window_rows(&self, source: usize, shuffle: &Shuffle, num_streams: usize) -> usize {
        let row_bytes = self.sources[source].shards.row_bytes();
        shuffle.window_rows.number(row_bytes, num_streams * self.sources.len())
    }

    /// Shards that were left out, and why.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let left_out = self.sources.iter().flat_map(|source| &source.shards.left_out);
        left_out.map(|error| format!("left out: {error}")).collect()
    }

    /// The seed of a source's order: sources are shuffled each in its own way.
    pub(crate) fn seed(seed: u64, source: usize) -> u64 {
        match source {
            0 => seed,
            _ => Rng::new(Purpose::Mixture, &[seed, source as u64]).bits(),
        }
    }

    /// A hash of the row groups' rows and sizes in file order, and of the sources' weights.
    pub(crate) fn fingerprint(&self, settings: impl IntoIterator<Item = u64>) -> u64 {
        let sources = self.sources.iter().flat_map(|source| {
            let groups = source.shards.groups.iter();
            let weight = (self.sources.len() > 1).then(|| source.weight.to_bits());
            groups.flat_map(|g| [g.shard as u64, g.rows, g.stored_bytes]).chain(weight)
        });
        fingerprint(sources.chain(settings))
    }
}
