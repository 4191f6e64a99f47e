//! A task made ready: its queries, its pool, and what is relevant. One function per kind.

use super::columns::query_columns;
use super::faces::Faces;
use super::products::Products;
use super::{EvalSet, Gathered};
use crate::encoder::{Encoder, unit};
use anyhow::{Context, Result, bail};
use configs::{CaptionsUsed, Sides, Task, TaskKind};
use eval::{Candidates, Embeddings, Labels, Qrels, SelfMatch};
use prepare::Query;
use std::path::Path;

/// A task whose queries are embedded.
pub struct Posed {
    /// The queries.
    pub queries: Embeddings,
    /// The pool.
    pub pool: Pool,
    /// What is relevant.
    pub qrels: Qrels,
    /// What becomes of a query's own item.
    pub self_match: SelfMatch,
    /// Who competes with whom, in words.
    pub candidates: Candidates,
    /// The same by query and item: equal labels; `None` where all items are candidates.
    pub within: Option<[Vec<String>; 2]>,
    /// The parts of the queries that are reported each.
    pub slices: Vec<Labels>,
    /// The queries' classes, where the items are classes.
    pub classes: Option<Labels>,
    /// One line for the report.
    pub description: String,
    /// What queries and items look like.
    pub faces: Faces,
}

/// Where the items are.
pub enum Pool {
    /// On all ranks: what these embedded.
    Gathered(Gathered),
    /// On the first rank alone.
    Given(Embeddings),
}

impl Pool {
    /// Number of items.
    pub fn len(&self, products: &Products) -> usize {
        match self {
            Self::Given(items) => items.len(),
            Self::Gathered(Gathered::Products(_)) => products.len(),
            Self::Gathered(Gathered::Captions) => products.captions.iter().map(Vec::len).sum(),
        }
    }
}

/// A prompt that needs no grammar: our choice.
const TEMPLATE: &str = "a photo of a {} product";

impl Posed {
    /// Makes `task` ready over `products`.
    ///
    /// # Errors
    /// A file that cannot be read; queries, judgements or labels that do not fit the products.
    pub fn new(task: &Task, products: &Products, set: &EvalSet, encoder: &Encoder) -> Result<Self> {
        let posed = match task.kind {
            TaskKind::TextToImage => Self::text_to_image(task, products),
            TaskKind::ImageToText => Self::image_to_text(task, products),
            TaskKind::QueryToItem => return Self::query_to_item(task, products, set, encoder),
            TaskKind::ItemToItem => Self::item_to_item(task, products),
            TaskKind::ZeroShot => Self::zero_shot(task, products, encoder),
        };
        let mut posed = posed?;
        let (owners, texts) = posed.faces.of_queries(products);
        posed.slices = set.slices.iter().map(|s| products.slice(s, &owners, &texts)).collect();
        if let Some(column) = &task.within {
            let items = posed.faces.item_owners(products);
            posed.confine(column, products.labels_of(column, &owners), products, &items);
        }
        Ok(posed)
    }

    fn text_to_image(task: &Task, products: &Products) -> Result<Self> {
        let used = task.captions.unwrap_or_default();
        let (queries, owners) = products.captions(used)?;
        let relevant = queries.ids().iter().zip(&owners);
        let qrels =
            Qrels::new(relevant.map(|(id, owner)| (&**id, &*products.listing.ids[*owner], 1)))?;
        let description = format!("{} -> picture", described(used));
        let faces = Faces::captions_to_products(owners);
        let pool = Pool::Gathered(Gathered::Products(Sides::IMAGE));
        Ok(Self::over(queries, pool, qrels, description, faces))
    }

    fn image_to_text(task: &Task, products: &Products) -> Result<Self> {
        let used = task.captions.unwrap_or_default();
        let (captions, owners) = products.captions(used)?;
        let relevant = captions.ids().iter().zip(&owners);
        let qrels =
            Qrels::new(relevant.map(|(id, owner)| (&*products.listing.ids[*owner], &**id, 1)))?;
        let description = format!("picture -> {}", described(used));
        let faces = Faces::products_to_captions(owners);
        let pool = Pool::Gathered(match used {
            CaptionsUsed::First => Gathered::Products(Sides::TEXT),
            CaptionsUsed::All => Gathered::Captions,
        });
        let queries = products.embeddings(Sides::IMAGE)?;
        Ok(Self::over(queries, pool, qrels, description, faces))
    }

    fn query_to_item(
        task: &Task,
        products: &Products,
        set: &EvalSet,
        encoder: &Encoder,
    ) -> Result<Self> {
        let (Some(path), Some(qrels)) = (&task.queries, &task.qrels) else {
            bail!("it needs `queries` and `qrels`");
        };
        let columns = query_columns(task, set);
        let within = task.within.as_ref().and_then(|column| known(&columns, column));
        let listed = prepare::queries(path, &columns)?;
        let (qrels, said) = products.listing.judgements(qrels, task)?;
        let sides = task.items.unwrap_or(Sides::IMAGE);
        let queries = embed_queries(&listed, path, encoder)?;
        let description = format!("query of `{}` -> {}; {said}", path.display(), item(sides));
        let label = |at: usize| listed.iter().map(|query| query.labels[at].clone()).collect();
        let slices = set.slices.iter().map(|column| match known(&columns, column) {
            Some(at) => Labels { column: column.clone(), values: label(at) },
            None => {
                let words = |text: &str| text.split_whitespace().count() as f64;
                let words = listed.iter().map(|query| query.text.as_deref().map(words));
                Labels::binned(column, &words.collect::<Vec<_>>())
            }
        });
        let slices = slices.collect();
        let labels = within.map(label);
        let faces = Faces::queries_to_products(listed);
        let pool = Pool::Gathered(Gathered::Products(sides));
        let mut posed = Self::over(queries, pool, qrels, description, faces);
        posed.slices = slices;
        if let (Some(column), Some(labels)) = (&task.within, labels) {
            let items: Vec<usize> = (0..products.len()).collect();
            posed.confine(column, labels, products, &items);
        }
        Ok(posed)
    }

    fn item_to_item(task: &Task, products: &Products) -> Result<Self> {
        let sides = task.items.unwrap_or(Sides::IMAGE);
        let (qrels, what) = match (&task.relevant, &task.qrels) {
            (Some(column), _) => {
                (alike(column, products)?, format!("equal `{column}` is relevant"))
            }
            (None, Some(path)) => products.listing.judgements(path, task)?,
            (None, None) => bail!("it needs `relevant` or `qrels`"),
        };
        let queries = products.embeddings(sides)?;
        let description = format!("{} -> similar ones; {what}", item(sides));
        let pool = Pool::Gathered(Gathered::Products(sides));
        let faces = Faces::products_to_products(products.len());
        let mut posed = Self::over(queries, pool, qrels, description, faces);
        posed.self_match = SelfMatch::Exclude;
        Ok(posed)
    }

    fn zero_shot(task: &Task, products: &Products, encoder: &Encoder) -> Result<Self> {
        let column = task.attribute.as_deref().context("a column of classes")?;
        let classes = products.listing.classes(column)?;
        let values = products.listing.label(column);
        let default = [TEMPLATE.to_owned()];
        let templates = task.templates.as_deref().unwrap_or(&default);
        let prompts: Vec<String> = classes
            .iter()
            .flat_map(|class| templates.iter().map(|template| template.replace("{}", class)))
            .collect();
        let rows = encoder.texts(&prompts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let width = encoder.width()?;
        let mut means = Vec::with_capacity(classes.len() * width);
        for rows in rows.chunks_exact(templates.len() * width) {
            let sum =
                |at: usize| -> f64 { rows.chunks_exact(width).map(|row| f64::from(row[at])).sum() };
            let mut mean: Vec<f32> = (0..width).map(|at| sum(at) as f32).collect();
            unit(&mut mean);
            means.extend(mean);
        }
        let ids = classes.iter().map(|class| (*class).to_owned()).collect();
        let pool = Pool::Given(Embeddings::new(ids, width, means).context("the prompts")?);
        let named = products.listing.ids.iter().zip(values);
        let labelled = named.filter_map(|(id, class)| Some((id.as_str(), class.as_deref()?, 1)));
        let qrels = Qrels::new(labelled)?;
        let description = format!(
            "picture -> `{column}`; a class is the mean over its prompts `{}`",
            templates.join("`, `")
        );
        let names = classes.into_iter().map(str::to_owned).collect();
        let faces = Faces::products_to_names(products.len(), names);
        let queries = products.embeddings(Sides::IMAGE)?;
        let mut posed = Self::over(queries, pool, qrels, description, faces);
        posed.classes = Some(Labels { column: column.into(), values: values.to_vec() });
        Ok(posed)
    }

    fn over(
        queries: Embeddings,
        pool: Pool,
        qrels: Qrels,
        description: String,
        faces: Faces,
    ) -> Self {
        Self {
            queries,
            pool,
            qrels,
            self_match: SelfMatch::Keep,
            candidates: Candidates::All,
            within: None,
            slices: Vec::new(),
            classes: None,
            description,
            faces,
        }
    }

    /// Makes only those items candidates of a query that have its value of `column`.
    fn confine(
        &mut self,
        column: &str,
        queries: Vec<Option<String>>,
        products: &Products,
        items: &[usize],
    ) {
        let text = |label: Option<String>| label.unwrap_or_default();
        let queries: Vec<String> = queries.into_iter().map(text).collect();
        let items: Vec<String> = products.labels_of(column, items).into_iter().map(text).collect();
        self.within = Some([queries, items]);
        self.candidates = Candidates::Within { column: column.into() };
    }
}

fn known(columns: &[String], name: &str) -> Option<usize> {
    columns.iter().position(|column| column == name)
}

fn described(used: CaptionsUsed) -> &'static str {
    match used {
        CaptionsUsed::First => "first caption",
        CaptionsUsed::All => "every caption",
    }
}

fn item(sides: Sides) -> String {
    match sides {
        Sides { text: 0.0, .. } => "item by picture".into(),
        Sides { image: 0.0, .. } => "item by caption".into(),
        Sides { image, text } => format!("item by {image} x picture + {text} x caption"),
    }
}

/// All pairs of products with equal values of `column`.
fn alike(column: &str, products: &Products) -> Result<Qrels> {
    let groups = products.listing.alike(column)?;
    let pairs = groups.iter().flat_map(|group| {
        group
            .iter()
            .flat_map(move |a| group.iter().filter(move |b| *b != a).map(move |b| (*a, *b, 1)))
    });
    Ok(Qrels::new(pairs)?)
}

/// Texts and pictures of the queries; where one has both, their sum brought to unit norm.
fn embed_queries(listed: &[Query], path: &Path, encoder: &Encoder) -> Result<Embeddings> {
    let width = encoder.width()?;
    let texts: Vec<&str> = listed.iter().filter_map(|query| query.text.as_deref()).collect();
    let (of_picture, pictures): (Vec<&Query>, Vec<&[u8]>) =
        listed.iter().filter_map(|query| Some((query, query.image.as_deref()?))).unzip();
    let texts = encoder.texts(&texts).with_context(|| format!("`{}`", path.display()))?;
    let pictures = encoder.pictures(&pictures).map_err(|(index, error)| {
        let query = of_picture[index];
        error.context(format!("{}: the picture of query `{}`", query.row, query.id))
    })?;
    let (mut texts, mut pictures) = (texts.chunks_exact(width), pictures.chunks_exact(width));
    let mut rows = vec![0.0; listed.len() * width];
    for (row, query) in rows.chunks_exact_mut(width).zip(listed) {
        let sides = [
            query.text.as_ref().and_then(|_| texts.next()),
            query.image.as_ref().and_then(|_| pictures.next()),
        ];
        for side in sides.into_iter().flatten() {
            row.iter_mut().zip(side).for_each(|(sum, value)| *sum += value);
        }
        unit(row);
    }
    let ids = listed.iter().map(|query| query.id.clone()).collect();
    Embeddings::new(ids, width, rows).with_context(|| format!("queries of `{}`", path.display()))
}
