//! Reading safetensors: headers first, then each tensor's own bytes.

use crate::error::At;
use crate::{CheckpointError, Dtype, Result};
use safetensors::tensor::Metadata;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// The format's own limit on a header.
const MAX_HEADER: u64 = 100_000_000;

/// Type and dimensions of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<usize>,
}

/// A tensor read from disk: contiguous, row-major, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTensor {
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements: product of `shape` x `dtype.size()` bytes.
    pub bytes: Vec<u8>,
}

/// The tensors of a safetensors file or of a sharded model. Only headers are kept in memory.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    shards: Vec<Shard>,
    /// Shard of each tensor.
    names: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    /// Where the data begins: 8 bytes and the header.
    start: u64,
    header: Metadata,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl TensorFile {
    /// Opens a safetensors file, an index of shards (`*.index.json`), or a model directory that
    /// holds `model.safetensors` or `model.safetensors.index.json` (the former wins, as in
    /// `transformers`).
    ///
    /// # Errors
    /// Nothing of this kind is at `path`; a header is damaged; a file is cut short or too long; a
    /// shard is missing or lacks a tensor that the index places there.
    pub fn open(path: &Path) -> Result<Self> {
        let (single, index) = (path.join(SINGLE), path.join(INDEX));
        if path.is_dir() {
            return match (single.exists(), index.exists()) {
                (true, _) => Self::single(&single),
                (false, true) => Self::sharded(&index),
                (false, false) => Err(CheckpointError::NoWeights { path: path.to_owned() }),
            };
        }
        if path.to_string_lossy().ends_with(".index.json") {
            return Self::sharded(path);
        }
        Self::single(path)
    }

    fn single(path: &Path) -> Result<Self> {
        let shard = Shard::open(path)?;
        let names = shard.header.offset_keys().into_iter().map(|name| (name, 0)).collect();
        Ok(Self { path: path.to_owned(), shards: vec![shard], names })
    }

    fn sharded(index: &Path) -> Result<Self> {
        let text = std::fs::read(index).at("read", index)?;
        let bad = |reason: String| CheckpointError::BadIndex { path: index.to_owned(), reason };
        let listed: Index = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut shards, mut names) = (Vec::new(), BTreeMap::new());
        for (tensor, file) in &listed.weight_map {
            let position = match opened.get(file.as_str()) {
                Some(position) => *position,
                None => {
                    let mut parts = Path::new(file).components();
                    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                        return Err(bad(format!(
                            "expected the name of a file beside it for `{tensor}`, found {file:?}"
                        )));
                    }
                    let shard = index.with_file_name(file);
                    if !shard.exists() {
                        let index = index.to_owned();
                        return Err(CheckpointError::MissingShard { index, shard });
                    }
                    shards.push(Shard::open(&shard)?);
                    opened.insert(file, shards.len() - 1);
                    shards.len() - 1
                }
            };
            let holder = shards.get(position).filter(|s| s.header.info(tensor).is_some());
            if holder.is_none() {
                return Err(CheckpointError::NotInShard {
                    tensor: tensor.clone(),
                    index: index.to_owned(),
                    shard: index.with_file_name(file),
                });
            }
            names.insert(tensor.clone(), position);
        }
        Ok(Self { path: index.to_owned(), shards, names })
    }

    /// The file or index that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Whether a tensor of this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The free-form metadata of the file; of a sharded model, all shards' together.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let pairs = self.shards.iter().filter_map(|s| s.header.metadata().as_ref()).flatten();
        pairs.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Type and dimensions of the tensor `name`, from the header alone.
    ///
    /// # Errors
    /// No such tensor, or a dtype that [`Dtype`] does not list.
    pub fn info(&self, name: &str) -> Result<TensorInfo> {
        let (shard, info) = self.find(name)?;
        let dtype =
            Dtype::from_file(info.dtype).ok_or_else(|| CheckpointError::UnsupportedDtype {
                tensor: name.to_owned(),
                path: shard.path.clone(),
                found: info.dtype.to_string(),
            })?;
        Ok(TensorInfo { dtype, shape: info.shape.clone() })
    }

    /// Reads the tensor `name`, and nothing else of the file.
    ///
    /// # Errors
    /// As [`TensorFile::info`], and failures to read.
    pub fn tensor(&self, name: &str) -> Result<OwnedTensor> {
        let TensorInfo { dtype, shape } = self.info(name)?;
        let (shard, info) = self.find(name)?;
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end - begin];
        let offset = shard.start + begin as u64;
        shard.file.read_exact_at(&mut bytes, offset).at("read", &shard.path)?;
        Ok(OwnedTensor { dtype, shape, bytes })
    }

    fn find(&self, name: &str) -> Result<(&Shard, &safetensors::tensor::TensorInfo)> {
        let shard = self.names.get(name).and_then(|position| self.shards.get(*position));
        shard.and_then(|s| Some((s, s.header.info(name)?))).ok_or_else(|| {
            CheckpointError::NoTensor { tensor: name.to_owned(), path: self.path.clone() }
        })
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("read", path)?;
        let found = file.metadata().at("read", path)?.len();
        let bad = |reason: String| CheckpointError::BadHeader { path: path.to_owned(), reason };
        let mut length = [0; 8];
        file.read_exact_at(&mut length, 0).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                bad(format!("expected 8 bytes of header length, the file has {found} bytes"))
            }
            _ => CheckpointError::io("read", path, error),
        })?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(bad(format!(
                "its header claims {length} bytes, the format allows {MAX_HEADER}; \
                 is this a safetensors file?"
            )));
        }
        let start = 8 + length;
        if start > found {
            return Err(bad(format!(
                "its header claims {length} bytes, the file has {found} in all; it is cut short"
            )));
        }
        let size = usize::try_from(length).map_err(|e| bad(e.to_string()))?;
        let mut header = vec![0; size];
        file.read_exact_at(&mut header, 8).at("read", path)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|e| bad(format!("its header says: {e}")))?;
        let expected = start + header.data_len() as u64;
        if expected != found {
            return Err(CheckpointError::WrongLength { path: path.to_owned(), expected, found });
        }
        Ok(Self { path: path.to_owned(), file, start, header })
    }
}
