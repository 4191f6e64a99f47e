//! Builds an index from a file of embeddings: streams them into graphs, measures, and tunes the
//! search to the recall that is wanted.

use crate::IndexError;
use crate::graph::{Graph, Shape};
use crate::info::{GraphFile, INFO, IndexInfo, Measured, SCHEMA, SCHEMA_VERSION, Scalar};
use crate::items::Items;
use crate::measure::{self, Queries};
use eval::{StoreReader, Unfinished};
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

/// The candidates kept while searching that are tried, until one reaches the recall wanted.
const EXPANSIONS: [usize; 5] = [64, 128, 256, 512, 1024];

/// A gain in recall that is not worth more candidates.
const NO_MORE: f64 = 0.001;

/// How an index is built.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// How vectors are stored.
    pub scalar: Scalar,
    /// One graph for each group.
    pub grouped: bool,
    /// The mean recall at 10 that every kind of query is to reach, in [0, 1].
    pub recall: f64,
    /// Neighbours of an item in the graph: more find more, and take more memory.
    pub connectivity: usize,
    /// Candidates kept while an item is added: more find more, and take longer to build.
    pub expansion_add: usize,
    /// Items that are taken as queries to measure with.
    pub sample: usize,
    /// Worker threads; `None` for one per available core. With more than one, the order in which
    /// items are added, and with it the graph, may change from build to build.
    pub threads: Option<usize>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            scalar: Scalar::F16,
            grouped: false,
            recall: 0.95,
            connectivity: 16,
            expansion_add: 128,
            sample: 500,
            threads: None,
        }
    }
}

/// A graph under construction, or built, and its group.
pub struct Part {
    pub group: Option<String>,
    pub graph: Graph,
}

/// Whether an index may be written to `dir`: where nothing is, or an empty folder, or an index.
///
/// # Errors
/// Anything else is there.
pub fn replaceable(dir: &Path) -> Result<(), IndexError> {
    let empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    match !dir.exists() || dir.join(INFO).is_file() || (dir.is_dir() && empty()) {
        true => Ok(()),
        false => Err(IndexError::Occupied { path: dir.to_owned() }),
    }
}

/// Builds an index of the embeddings in `store` in the folder `dir`, replacing an index there.
/// Recall is measured on a sample of the items and on `queries` (others, such as texts for an index
/// of pictures). `progress` is told the number of items added.
///
/// # Errors
/// Embeddings that cannot be read or, where groups are wanted, have none; a folder that is something
/// else; and what the file system refuses.
pub fn build(
    store: &Path,
    dir: &Path,
    queries: &[Queries],
    options: &IndexOptions,
    mut progress: impl FnMut(u64),
) -> Result<IndexInfo, IndexError> {
    replaceable(dir)?;
    let write = |source| IndexError::Io { action: "write", path: dir.to_owned(), source };
    let partial = Unfinished::new(dir).map_err(write)?;
    std::fs::create_dir(partial.path()).map_err(write)?;

    let mut reader = StoreReader::open(store)?;
    let origin = reader.origin().cloned();
    let group = reader.group().filter(|_| options.grouped).map(str::to_owned);
    if options.grouped && group.is_none() {
        return Err(IndexError::NoGroups { path: store.to_owned() });
    }
    let threads =
        options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let mut shape = Shape {
        width: 0,
        scalar: options.scalar,
        connectivity: options.connectivity,
        expansion_add: options.expansion_add,
        expansion_search: EXPANSIONS[0],
    };
    let mut parts: BTreeMap<Option<String>, Graph> = BTreeMap::new();
    let mut items = Items::default();
    for block in reader.by_ref() {
        let block = block?;
        shape.width = block.values.len() / block.ids.len().max(1);
        let mut of_group: BTreeMap<&Option<String>, Vec<(u64, &[f32])>> = BTreeMap::new();
        let rows = block.values.chunks_exact(shape.width.max(1)).zip(&block.groups);
        for (key, (vector, group)) in (block.first_row..).zip(rows) {
            let group = if options.grouped { group } else { &None };
            of_group.entry(group).or_default().push((key, vector));
        }
        for (group, rows) in of_group {
            if !parts.contains_key(group) {
                let path = partial.path().join(format!("{:05}.usearch", parts.len()));
                parts.insert(group.clone(), Graph::new(&shape, &path)?);
            }
            if let Some(graph) = parts.get(group) {
                graph.add(&rows, threads.max(1))?;
            }
        }
        items.ids.extend(block.ids);
        items.groups.extend(block.groups);
        progress(items.ids.len() as u64);
    }
    if items.ids.is_empty() {
        return Err(IndexError::Measure(eval::EvalError::Empty { what: "items" }));
    }
    let parts: Vec<Part> = parts.into_iter().map(|(group, graph)| Part { group, graph }).collect();

    let (expansion_search, measured) = tune(store, &parts, &items, queries, options)?;
    let mut graphs = Vec::new();
    for part in &parts {
        let (name, items) = (part.graph.name(), part.graph.len() as u64);
        graphs.push(GraphFile { group: part.group.clone(), name, items, file: part.graph.save()? });
    }
    let info = IndexInfo {
        schema: SCHEMA.into(),
        schema_version: SCHEMA_VERSION,
        origin,
        width: shape.width,
        items: items.ids.len() as u64,
        scalar: options.scalar,
        connectivity: options.connectivity,
        expansion_add: options.expansion_add,
        expansion_search,
        group,
        graphs,
        items_file: items.write(partial.path())?,
        measured,
        usearch: usearch::version().into(),
    };
    let json = serde_json::to_string_pretty(&info).map_err(std::io::Error::other).map_err(write)?;
    std::fs::write(partial.path().join(INFO), json + "\n").map_err(write)?;
    drop(parts);
    partial.finish().map_err(write)?;
    Ok(info)
}

/// Measures with more and more candidates until all kinds of queries reach the recall wanted. Where none
/// do, for what stored vectors round away no search finds, the fewest that find as much as the most.
fn tune(
    store: &Path,
    parts: &[Part],
    items: &Items,
    queries: &[Queries],
    options: &IndexOptions,
) -> Result<(usize, Vec<Measured>), IndexError> {
    let mut kinds = vec![measure::sample(store, items, parts, options.sample)?];
    kinds.extend(queries.iter().cloned());
    kinds.retain(|queries| !queries.is_empty());
    let exact = kinds
        .iter()
        .map(|queries| measure::exact(store, parts, queries))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tried = Vec::new();
    for expansion in EXPANSIONS {
        parts.iter().for_each(|part| part.graph.set_expansion_search(expansion));
        let measured = kinds.iter().zip(&exact);
        let measured = measured.map(|(queries, exact)| measure::approximate(parts, queries, exact));
        let measured = measured.collect::<Result<Vec<_>, _>>()?;
        let reached = measured.iter().all(|measured| measured.recall >= options.recall);
        tried.push((expansion, measured));
        if reached {
            return Ok(tried.swap_remove(tried.len() - 1));
        }
    }
    let recalls = |measured: &[Measured]| measured.iter().map(|m| m.recall).collect::<Vec<_>>();
    let most = tried.last().map(|(_, measured)| recalls(measured)).unwrap_or_default();
    let as_good = |measured: &[Measured]| {
        recalls(measured).iter().zip(&most).all(|(recall, most)| recall + NO_MORE >= *most)
    };
    let chosen = tried.iter().position(|(_, measured)| as_good(measured));
    Ok(tried.swap_remove(chosen.unwrap_or(0)))
}
