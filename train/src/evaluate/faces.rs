//! What queries and items look like: whose picture and which text stands behind each embedding, and
//! the cards of those that a report shows.

use super::EvalSet;
use super::products::Products;
use crate::model_dir::ModelDir;
use anyhow::Result;
use configs::Columns;
use data::{Captions, Picture, Scan, ScanOptions, encode_jpeg};
use eval::{Card, Embeddings, Gallery, Shown};
use prepare::Query;
use std::collections::{BTreeMap, BTreeSet};

/// Side of a thumbnail in pixels, at most.
const THUMBNAIL_PX: usize = 160;
const QUALITY: u8 = 80;

/// What stands behind one side of a task, by index.
enum Side {
    /// Captions: the product of each.
    Captions(Vec<usize>),
    /// Products.
    Products(usize),
    /// Queries of a file.
    Queries(Vec<Query>),
    /// Classes.
    Names(Vec<String>),
}

/// What stands behind the queries and the items of a task.
pub struct Faces {
    queries: Side,
    items: Side,
}

/// What one embedding stands for.
struct Face {
    text: Option<String>,
    product: Option<usize>,
    picture: Option<Vec<u8>>,
}

impl Faces {
    pub fn captions_to_products(owners: Vec<usize>) -> Self {
        let num_products = owners.last().map_or(0, |last| last + 1);
        Self { queries: Side::Captions(owners), items: Side::Products(num_products) }
    }

    pub fn products_to_captions(owners: Vec<usize>) -> Self {
        let num_products = owners.last().map_or(0, |last| last + 1);
        Self { queries: Side::Products(num_products), items: Side::Captions(owners) }
    }

    pub fn queries_to_products(queries: Vec<Query>) -> Self {
        Self { queries: Side::Queries(queries), items: Side::Products(0) }
    }

    pub fn products_to_products(count: usize) -> Self {
        Self { queries: Side::Products(count), items: Side::Products(count) }
    }

    pub fn products_to_names(count: usize, names: Vec<String>) -> Self {
        Self { queries: Side::Products(count), items: Side::Names(names) }
    }

    /// The product behind each query, and its caption.
    pub fn of_queries<'a>(&self, products: &'a Products) -> (Vec<usize>, Vec<&'a str>) {
        let owners = self.queries.owners();
        let mut nth = NthCaption::default();
        let texts = owners.iter().map(|owner| {
            let at = match self.queries {
                Side::Captions(_) => nth.of(*owner),
                _ => 0,
            };
            products.captions[*owner].get(at).map_or("", String::as_str)
        });
        let texts = texts.collect();
        (owners, texts)
    }

    /// The product behind each item.
    pub fn item_owners(&self, products: &Products) -> Vec<usize> {
        match &self.items {
            Side::Products(_) => (0..products.len()).collect(),
            side => side.owners(),
        }
    }

    /// The cards of what the report shows of a task: `queries` and `items` as they were searched.
    ///
    /// # Errors
    /// When the shards cannot be read again.
    pub fn gallery(
        &self,
        shown: &Shown,
        queries: &Embeddings,
        item_ids: &[String],
        products: &Products,
        thumbnails: &mut Thumbnails,
    ) -> Result<Gallery> {
        let queries = self.queries.faces(queries.ids(), &shown.queries, products);
        let items = self.items.faces(item_ids, &shown.items, products);
        let all = queries.values().chain(items.values());
        thumbnails.add(all.filter_map(|face| face.product), products)?;
        let cards = |faces: BTreeMap<String, Face>| {
            let card = |(id, face): (String, Face)| {
                let picture = match (face.product, face.picture) {
                    (Some(product), _) => thumbnails.by_product.get(&product).cloned(),
                    (None, Some(bytes)) => thumbnails.of_file(&bytes),
                    (None, None) => None,
                };
                (id, Card { text: face.text, picture })
            };
            faces.into_iter().map(card).collect()
        };
        Ok(Gallery { queries: cards(queries), items: cards(items) })
    }
}

/// Counts captions of equal owners in a row.
#[derive(Default)]
struct NthCaption {
    owner: Option<usize>,
    nth: usize,
}

impl NthCaption {
    fn of(&mut self, owner: usize) -> usize {
        self.nth = if self.owner == Some(owner) { self.nth + 1 } else { 0 };
        self.owner = Some(owner);
        self.nth
    }
}

impl Side {
    fn owners(&self) -> Vec<usize> {
        match self {
            Self::Captions(owners) => owners.clone(),
            Self::Products(count) => (0..*count).collect(),
            Self::Queries(_) | Self::Names(_) => Vec::new(),
        }
    }

    fn faces(
        &self,
        ids: &[String],
        shown: &BTreeSet<String>,
        products: &Products,
    ) -> BTreeMap<String, Face> {
        let mut nth = NthCaption::default();
        let mut faces = BTreeMap::new();
        for (index, id) in ids.iter().enumerate() {
            let at = match self {
                Self::Captions(owners) => nth.of(owners[index]),
                _ => 0,
            };
            if shown.contains(id) {
                faces.insert(id.clone(), self.face(index, at, products));
            }
        }
        faces
    }

    fn face(&self, index: usize, nth: usize, products: &Products) -> Face {
        let caption = |owner: usize, at: usize| products.captions[owner].get(at).cloned();
        match self {
            Self::Captions(owners) => {
                Face { text: caption(owners[index], nth), product: None, picture: None }
            }
            Self::Products(_) => {
                Face { text: caption(index, 0), product: Some(index), picture: None }
            }
            Self::Queries(queries) => {
                let Query { text, image, .. } = &queries[index];
                Face {
                    text: text.clone(),
                    product: None,
                    picture: image.as_deref().map(<[u8]>::to_vec),
                }
            }
            Self::Names(names) => {
                Face { text: Some(names[index].clone()), product: None, picture: None }
            }
        }
    }
}

/// Small pictures of products as the model sees them, read when they are first asked for.
pub struct Thumbnails<'a> {
    set: &'a EvalSet,
    dir: &'a ModelDir,
    by_product: BTreeMap<usize, Vec<u8>>,
}

impl<'a> Thumbnails<'a> {
    /// Of the products of `set`.
    pub fn new(set: &'a EvalSet, dir: &'a ModelDir) -> Self {
        Self { set, dir, by_product: BTreeMap::new() }
    }

    fn add(&mut self, wanted: impl Iterator<Item = usize>, products: &Products) -> Result<()> {
        let missing = wanted.filter(|product| !self.by_product.contains_key(product));
        let missing: BTreeMap<u64, usize> =
            missing.map(|product| (products.rows[product], product)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let options = ScanOptions {
            captions: Captions::None,
            workers: self.set.workers,
            rows: missing.keys().copied().collect(),
            max_bad_fraction: 1.0,
            ..ScanOptions::default()
        };
        let columns = Columns { weight: None, ..self.set.columns.clone() };
        let tokenizer = self.dir.tokenizer.clone();
        let scan = Scan::open(&self.set.items, &columns, tokenizer, &self.dir.picture, &options)?;
        for batch in scan {
            let batch = batch?;
            let pixels = batch.pixels.chunks_exact(batch.size * batch.size * 3);
            for (pixels, row) in pixels.zip(&batch.rows) {
                if let (Some(product), Some(jpeg)) =
                    (missing.get(row), thumbnail(pixels, batch.size))
                {
                    self.by_product.insert(*product, jpeg);
                }
            }
        }
        Ok(())
    }

    fn of_file(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let picture = Picture::decode(bytes).ok()?;
        let pixels = self.dir.picture.evaluate(&picture).ok()?;
        thumbnail(&pixels, self.dir.picture.size)
    }
}

/// A square picture as a JPEG of at most [`THUMBNAIL_PX`]; `None` where it cannot be made, which no
/// report should fail for.
fn thumbnail(pixels: &[u8], size: usize) -> Option<Vec<u8>> {
    let picture = Picture { width: size, height: size, pixels: pixels.to_vec() };
    let Picture { width, height, pixels } =
        picture.shrunk((0, 0, size, size), THUMBNAIL_PX).ok()?;
    encode_jpeg(&pixels, width * 3, width, height, QUALITY).ok()
}
