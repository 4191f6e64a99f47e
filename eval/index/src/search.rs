//! An index opened for queries.

use crate::IndexError;
use crate::graph::{Graph, Shape};
use crate::info::{GraphFile, IndexInfo};
use crate::items::Items;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Groups named in an error.
const NAMED_GROUPS: usize = 12;

/// How the nearest items are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Along the graph: fast, and now and then one of them is missed.
    Graph,
    /// By comparing with every stored vector.
    Exact,
}

/// An item that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its group, where the embeddings had groups.
    pub group: Option<String>,
    /// Inner product of the query with the stored vector.
    pub score: f32,
}

/// An index opened for queries. Graphs are mapped when they are first searched.
pub struct Index {
    dir: PathBuf,
    info: IndexInfo,
    items: Items,
    graphs: Vec<OnceCell<Graph>>,
}

impl Index {
    /// Opens the index in the folder `dir`.
    ///
    /// # Errors
    /// No index, one of another version, or one whose list of items is damaged.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let info = IndexInfo::read(dir)?;
        let items = Items::read(dir, &info.items_file)?;
        let graphs = info.graphs.iter().map(|_| OnceCell::new()).collect();
        Ok(Self { dir: dir.to_owned(), info, items, graphs })
    }

    /// What the index is.
    pub fn info(&self) -> &IndexInfo {
        &self.info
    }

    /// The `k` items nearest to a unit vector, best first: of one group, or of all.
    ///
    /// # Errors
    /// A query of another width, an unknown group, k of 0 or beyond the items, a damaged graph.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        group: Option<&str>,
        how: How,
    ) -> Result<Vec<Found>, IndexError> {
        if query.len() != self.info.width {
            let (expected, found) = (self.info.width, query.len());
            return Err(IndexError::Width { expected, found });
        }
        if let Some(at) = query.iter().position(|value| !value.is_finite()) {
            return Err(IndexError::NotFinite { at, value: query[at] });
        }
        let searched = self.of(group)?;
        let items = searched.iter().map(|(_, graph)| graph.items).sum();
        if k == 0 {
            return Err(IndexError::KZero);
        }
        if k as u64 > items {
            return Err(IndexError::KBeyondItems { k, items });
        }
        let mut hits = Vec::new();
        for (number, file) in searched {
            hits.extend(self.graph(number, file)?.search(query, k, how == How::Exact)?);
        }
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits.truncate(k);
        hits.into_iter().map(|(key, score)| self.item(key, score)).collect()
    }

    /// The graphs to search, by number.
    fn of(&self, group: Option<&str>) -> Result<Vec<(usize, &GraphFile)>, IndexError> {
        let all = self.info.graphs.iter().enumerate();
        let Some(group) = group else { return Ok(all.collect()) };
        let Some(column) = &self.info.group else {
            return Err(IndexError::NotGrouped { path: self.dir.clone(), group: group.into() });
        };
        let found: Vec<_> =
            all.filter(|(_, graph)| graph.group.as_deref() == Some(group)).collect();
        if found.is_empty() {
            let names: Vec<&str> =
                self.info.graphs.iter().filter_map(|graph| graph.group.as_deref()).collect();
            let more = names.len().saturating_sub(NAMED_GROUPS);
            let mut present = names[..names.len() - more].join(", ");
            if more > 0 {
                present += &format!(" and {more} more");
            }
            return Err(IndexError::UnknownGroup {
                path: self.dir.clone(),
                column: column.clone(),
                group: group.into(),
                present,
            });
        }
        Ok(found)
    }

    fn graph(&self, number: usize, file: &GraphFile) -> Result<&Graph, IndexError> {
        let cell = &self.graphs[number];
        if let Some(graph) = cell.get() {
            return Ok(graph);
        }
        let shape = Shape {
            width: self.info.width,
            scalar: self.info.scalar,
            connectivity: self.info.connectivity,
            expansion_add: self.info.expansion_add,
            expansion_search: self.info.expansion_search,
        };
        let path = self.dir.join(&file.name);
        let graph = Graph::view(&shape, &path, &file.file)?;
        if graph.len() as u64 != file.items {
            let reason = format!("it has {} items, index.json says {}", graph.len(), file.items);
            return Err(IndexError::Damaged { path, reason });
        }
        Ok(cell.get_or_init(|| graph))
    }

    fn item(&self, key: u64, score: f32) -> Result<Found, IndexError> {
        let row = usize::try_from(key).ok();
        let id = row.and_then(|row| Some((self.items.ids.get(row)?, self.items.groups.get(row)?)));
        let Some((id, group)) = id else {
            let reason = format!("it names item {key} of {}", self.items.ids.len());
            return Err(IndexError::Damaged { path: self.dir.clone(), reason });
        };
        Ok(Found { id: id.clone(), group: group.clone(), score })
    }
}
