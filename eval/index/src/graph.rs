//! One HNSW graph: usearch's index, its errors with the file's name.

use crate::{IndexError, Scalar};
use checkpoints::FileEntry;
use std::path::{Path, PathBuf};
use std::thread;
use usearch::ffi::{IndexOptions as Options, MetricKind, ScalarKind};

/// What makes a graph.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub width: usize,
    pub scalar: Scalar,
    pub connectivity: usize,
    pub expansion_add: usize,
    pub expansion_search: usize,
}

/// A graph in memory, or mapped from its file.
pub struct Graph {
    inner: usearch::Index,
    path: PathBuf,
    scalar: Scalar,
}

/// What components are multiplied by to become whole numbers.
const I8_SCALE: f32 = 127.0;

/// A vector as it is stored in 8 bits. usearch would cut digits off, which shortens vectors by several
/// parts in a hundred.
fn rounded(vector: &[f32]) -> Vec<i8> {
    vector.iter().map(|x| (x * I8_SCALE).round().clamp(-I8_SCALE, I8_SCALE) as i8).collect()
}

impl Graph {
    /// An empty graph, to be saved at `path`.
    pub fn new(shape: &Shape, path: &Path) -> Result<Self, IndexError> {
        let inner = usearch::Index::new(&Options {
            dimensions: shape.width,
            metric: MetricKind::IP,
            quantization: match shape.scalar {
                Scalar::F32 => ScalarKind::F32,
                Scalar::F16 => ScalarKind::F16,
                Scalar::I8 => ScalarKind::I8,
            },
            connectivity: shape.connectivity,
            expansion_add: shape.expansion_add,
            expansion_search: shape.expansion_search,
            multi: false,
        });
        let inner = inner.map_err(|error| failed(path, "make a graph", &error))?;
        Ok(Self { inner, path: path.to_owned(), scalar: shape.scalar })
    }

    /// A graph as it lies in its file, which must be the one that was written: usearch trusts what it
    /// maps.
    pub fn view(shape: &Shape, path: &Path, expected: &FileEntry) -> Result<Self, IndexError> {
        let damaged = |reason| IndexError::Damaged { path: path.to_owned(), reason };
        if !path.is_file() {
            return Err(damaged("it is missing".into()));
        }
        let found = checkpoints::measure(path)?;
        if found.size != expected.size {
            let (found, expected) = (found.size, expected.size);
            return Err(damaged(format!("it has {found} bytes, index.json says {expected}")));
        }
        if found.sha256 != expected.sha256 {
            let (found, expected) = (found.sha256, &expected.sha256);
            return Err(damaged(format!("its sha256 is {found}, index.json says {expected}")));
        }
        let graph = Self::new(shape, path)?;
        graph.inner.view(utf8(path)?).map_err(|error| failed(path, "read the graph", &error))?;
        graph.inner.change_expansion_search(shape.expansion_search);
        let width = graph.inner.dimensions();
        if width != shape.width {
            return Err(damaged(format!("it has width {width}, index.json says {}", shape.width)));
        }
        Ok(graph)
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn len(&self) -> usize {
        self.inner.size()
    }

    pub fn set_expansion_search(&self, expansion: usize) {
        self.inner.change_expansion_search(expansion);
    }

    /// Adds vectors under their keys, on `threads` threads.
    pub fn add(&self, rows: &[(u64, &[f32])], threads: usize) -> Result<(), IndexError> {
        let needed = self.len() + rows.len();
        if needed > self.inner.capacity() {
            let capacity = needed.next_power_of_two();
            let reserved = self.inner.reserve_capacity_and_threads(capacity, threads);
            reserved.map_err(|error| failed(&self.path, "reserve memory", &error))?;
        }
        let add = |rows: &[(u64, &[f32])]| {
            rows.iter().try_for_each(|(key, vector)| match self.scalar {
                Scalar::I8 => self.inner.add(*key, &rounded(vector)),
                Scalar::F32 | Scalar::F16 => self.inner.add(*key, vector),
            })
        };
        let share = rows.len().div_ceil(threads).max(1);
        let added = thread::scope(|scope| {
            let parts: Vec<_> =
                rows.chunks(share).map(|part| scope.spawn(move || add(part))).collect();
            parts.into_iter().try_for_each(|part| match part.join() {
                Ok(added) => added.map_err(|error| error.to_string()),
                Err(_) => Err("a thread panicked".into()),
            })
        });
        added.map_err(|reason| failed(&self.path, "add a vector", &reason))
    }

    /// The keys and inner products of the `k` nearest items, or of all if there are fewer, best first,
    /// lower keys first among equals. `exact`: compared with every stored vector.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        exact: bool,
    ) -> Result<Vec<(u64, f32)>, IndexError> {
        let k = k.min(self.len());
        let whole = rounded(query);
        let eight_bits = self.scalar == Scalar::I8;
        let scan = || match eight_bits {
            true => self.inner.exact_search(&whole, k),
            false => self.inner.exact_search(query, k),
        };
        let walk = || match eight_bits {
            true => self.inner.search(&whole, k),
            false => self.inner.search(query, k),
        };
        let found = if exact { scan() } else { walk() };
        let failed = |error: &dyn std::fmt::Display| failed(&self.path, "search", error);
        let mut found = found.map_err(|error| failed(&error))?;
        if found.keys.len() < k {
            // Some items cannot be reached along the graph's edges.
            found = scan().map_err(|error| failed(&error))?;
        }
        let scale = if eight_bits { I8_SCALE * I8_SCALE } else { 1.0 };
        let scores = found.distances.iter().map(|distance| (1.0 - distance) / scale);
        let mut hits: Vec<(u64, f32)> = found.keys.iter().copied().zip(scores).collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(hits)
    }

    pub fn save(&self) -> Result<FileEntry, IndexError> {
        let saved = self.inner.save(utf8(&self.path)?);
        saved.map_err(|error| failed(&self.path, "write the graph", &error))?;
        Ok(checkpoints::measure(&self.path)?)
    }
}

fn utf8(path: &Path) -> Result<&str, IndexError> {
    path.to_str().ok_or_else(|| failed(path, "open the graph", &"its path is not UTF-8"))
}

fn failed(path: &Path, action: &'static str, reason: &dyn std::fmt::Display) -> IndexError {
    IndexError::Usearch { path: path.to_owned(), action, reason: reason.to_string() }
}
