//! Retrieval over held-out products, by tasks: embeds the products with the model on all ranks, makes
//! each task ready, and hands matrices and judgements to `eval`.
//!
//! ```text
//! shards ──► part (per rank) ──► products (first rank) ──► posed (per task) ──► ranked ──► report
//! ```

mod check;
mod columns;
mod faces;
mod listing;
mod part;
mod posed;
mod products;
mod ranked;

pub use check::check_task;
pub use columns::label_columns;
pub use listing::Listing;

use crate::dist::Group;
use crate::encoder::Encoder;
use crate::model::Clip;
use crate::model_dir::ModelDir;
use anyhow::{Context, Result};
use configs::{Columns, Precision, RunConfig, Sides, Task, TaskKind, Workers};
use eval::{
    Bootstrap, CompareOptions, EvalError, EvaluateOptions, Gallery, Qrels, Ranking, Report, Side,
    Subject, TaskReport,
};
use faces::Thumbnails;
use part::Part;
use posed::Posed;
use products::{Products, Starts};
use ranked::{Lead, ranked};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What to evaluate on.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// Parquet files, folders or globs.
    pub items: Vec<String>,
    /// Column names by role.
    pub columns: Columns,
    /// Cut-offs of the metrics.
    pub k: Vec<usize>,
    /// Pairs embedded at once.
    pub batch: usize,
    /// Arithmetic of the towers.
    pub precision: Precision,
    /// Threads that decode and tokenise.
    pub workers: Workers,
    /// The share of rows that may be unusable, in [0, 1].
    pub max_bad_fraction: f64,
    /// Items listed per query in `run.trec`; left out: all of them in a pool of moderate size.
    /// Every metric but MRR follows from a list that reaches the greatest k.
    pub run_depth: Option<usize>,
    /// What is to be found for what.
    pub tasks: Vec<Task>,
    /// Columns whose values part the queries.
    pub slices: Vec<String>,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
}

/// Queries that the report shows of the worst, and of the best.
const EXAMPLES: usize = 8;
/// Items listed per query in the reports of a run, which may be many.
const TRAINING_RUN_DEPTH: usize = 100;

impl EvalSet {
    /// What a run's `eval` section asks for.
    pub fn of(cfg: &RunConfig) -> Option<Self> {
        cfg.eval.as_ref().map(|eval| Self {
            items: eval.items.clone(),
            columns: Columns { weight: None, ..cfg.data.columns.clone() },
            workers: cfg.data.workers,
            max_bad_fraction: cfg.data.max_bad_fraction,
            k: eval.k.clone(),
            batch: eval.batch,
            precision: cfg.precision,
            run_depth: Some(TRAINING_RUN_DEPTH),
            tasks: eval.tasks.clone(),
            slices: eval.slices.clone(),
            bootstrap: Bootstrap::default(),
        })
    }
}

/// A report and what it was computed from.
#[derive(Debug)]
pub struct Evaluation {
    /// The report.
    pub report: Report,
    /// The ranking of each task.
    pub rankings: BTreeMap<String, Ranking>,
    /// What the queries and items that the report shows look like, by task.
    pub galleries: BTreeMap<String, Gallery>,
    /// Why the report is not compared with the baseline that was given, if so.
    pub incomparable: Option<EvalError>,
    /// Rows that could not be used, a few lines per cause.
    pub warnings: Vec<String>,
}

/// What an evaluation is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// This rank has embedded so many products of its share.
    Embedded {
        /// Number of products.
        products: usize,
    },
    /// A task's search begins.
    Ranking {
        /// The task's name.
        task: &'a str,
        /// Number of its queries.
        queries: usize,
        /// Number of items in the pool.
        items: usize,
    },
}

/// Rows of a pool that all ranks hold a share of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Gathered {
    /// Products, by picture, first caption or both.
    Products(Sides),
    /// Every caption.
    Captions,
}

/// What the first rank has of the set.
struct Whole {
    products: Products,
    starts: Starts,
    warnings: Vec<String>,
}

/// The tasks of `set` over all its distinct products, which the ranks embed and search together,
/// compared with `baseline` where there is one and the two compare. `None` on all ranks but the first. A collective:
/// every rank must call it.
///
/// # Errors
/// When the shards cannot be read or hold no product, when queries or judgements do not fit them,
/// when a cut-off exceeds a pool, or when another rank cannot go on.
pub fn evaluate(
    model: &Clip,
    model_dir: &ModelDir,
    set: &EvalSet,
    subject: Subject,
    baseline: Option<&Report>,
    group: &Group,
    mut progress: impl FnMut(Stage),
) -> Result<Option<Evaluation>> {
    let encoder = Encoder { model, dir: model_dir, precision: set.precision, batch: set.batch };
    let (columns, width) = (label_columns(set), encoder.width()?);
    let embedded = |products| progress(Stage::Embedded { products });
    let part = Part::embed(&encoder, set, &columns, group.shard(), embedded)?;
    let whole = gather(&part, set, &columns, width, group)?;
    // All before the first search, which may take long: what does not fit should be known at once.
    let pose = |task: &Task| match &whole {
        Some(whole) => Posed::new(task, &whole.products, set, &encoder)
            .with_context(|| format!("task `{}`", task.name()))
            .map(Some),
        None => Ok(None),
    };
    let posed = set.tasks.iter().map(pose).collect::<Result<Vec<_>>>()?;
    let mut found = Found::default();
    for (task, posed) in set.tasks.iter().zip(posed) {
        let lead = whole.as_ref().zip(posed.as_ref()).map(|(whole, posed)| Lead {
            posed,
            products: &whole.products,
            starts: &whole.starts,
            depth: depth(set, posed.queries.len(), posed.pool.len(&whole.products)),
        });
        if let Some(lead) = &lead {
            let (queries, items) = (lead.posed.queries.len(), lead.posed.pool.len(lead.products));
            progress(Stage::Ranking { task: task.name(), queries, items });
        }
        let ranking = ranked(group, lead.as_ref(), &part, &encoder)
            .with_context(|| format!("task `{}`", task.name()))?;
        if let (Some(lead), Some(ranking)) = (lead, ranking) {
            let report = measure(task, set, &lead, &ranking)
                .with_context(|| format!("task `{}`", task.name()))?;
            found.tasks.insert(task.name().into(), report);
            found.rankings.insert(task.name().into(), ranking);
            found.posed.extend(posed.map(|posed| (task.name().to_owned(), posed)));
        }
    }
    let Some(whole) = whole else { return Ok(None) };
    found.report(&whole, &encoder, set, subject, baseline).map(Some)
}

/// What the ranks embedded, in the order of the set. `None` on all ranks but the first.
fn gather(
    part: &Part,
    set: &EvalSet,
    columns: &[String],
    width: usize,
    group: &Group,
) -> Result<Option<Whole>> {
    let headers = group.gather_bytes(serde_json::to_vec(part)?)?;
    let mut sides = Vec::new();
    for vectors in &part.vectors {
        let bytes = vectors.iter().flat_map(|x| x.to_le_bytes()).collect();
        sides.push(group.gather_bytes(bytes)?);
    }
    if !group.leads() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (rank, header) in headers.iter().enumerate() {
        let vectors = [&sides[0][rank], &sides[1][rank]].map(|bytes| {
            let (floats, _) = bytes.as_chunks::<4>();
            floats.iter().map(|x| f32::from_le_bytes(*x)).collect()
        });
        parts.push(Part { vectors, ..serde_json::from_slice(header)? });
    }
    let (products, starts, warnings) = Products::assemble(parts, columns, width, &set.items)?;
    Ok(Some(Whole { products, starts, warnings }))
}

/// Items listed per query, of so many.
fn depth(set: &EvalSet, queries: usize, items: usize) -> usize {
    let max_k = set.k.iter().copied().max().unwrap_or(1);
    match set.run_depth {
        Some(depth) => depth.max(max_k),
        None => eval::run_depth(queries, items, max_k),
    }
}

/// The report of one task.
fn measure(task: &Task, set: &EvalSet, lead: &Lead, ranking: &Ranking) -> Result<TaskReport> {
    let Lead { posed, .. } = lead;
    let mut ks = set.k.clone();
    if task.kind == TaskKind::ZeroShot {
        // There may be fewer classes than the greatest cut-off of other tasks.
        ks.retain(|k| *k <= ranking.item_ids().len());
        ks.push(1);
        ks.sort_unstable();
        ks.dedup();
    }
    let mut description = posed.description.clone();
    let outside: usize = ranking.queries().iter().map(|query| query.outside).sum();
    if outside > 0 {
        description += &format!("; {outside} judgements of items of another group do not count");
    }
    let options = EvaluateOptions {
        description,
        candidates: posed.candidates.clone(),
        slices: posed.slices.clone(),
        classes: posed.classes.clone(),
        bootstrap: set.bootstrap,
        examples: EXAMPLES,
        ..EvaluateOptions::new(&ks)
    };
    let mut report = eval::evaluate(ranking, &options)?;
    let items = lead.items()?;
    let candidate = |query: usize, item: usize| match &posed.within {
        Some([queries, items]) => queries[query] == items[item],
        None => true,
    };
    report.scores = eval::scores(&posed.queries, &items, ranking, candidate, set.bootstrap.seed)?;
    Ok(report)
}

/// What the first rank found, by task.
#[derive(Default)]
struct Found {
    tasks: BTreeMap<String, TaskReport>,
    rankings: BTreeMap<String, Ranking>,
    posed: BTreeMap<String, Posed>,
}

impl Found {
    fn report(
        self,
        whole: &Whole,
        encoder: &Encoder,
        set: &EvalSet,
        subject: Subject,
        baseline: Option<&Report>,
    ) -> Result<Evaluation> {
        let Whole { products, warnings, .. } = whole;
        let mut report = Report::new(subject, &set.bootstrap, self.tasks)?;
        let [image, text] = [Sides::IMAGE, Sides::TEXT].map(|side| products.embeddings(side));
        let (image, text) = (image?, text?);
        let matching =
            Qrels::new(products.listing.ids.iter().map(|id| (id.as_str(), id.as_str(), 1)))?;
        let logit_scale = f64::try_from(encoder.model.logit_scale())?.exp();
        report.space = Some(eval::space(
            Side { name: "image", rows: &image },
            Some(Side { name: "text", rows: &text }),
            &matching,
            Some(logit_scale),
            set.bootstrap.seed,
        )?);
        let mut incomparable = None;
        if let Some(baseline) = baseline {
            let options = CompareOptions::default();
            match eval::compare(baseline, &report, &options) {
                Ok(comparison) => report.baseline = Some(comparison),
                Err(error) => incomparable = Some(error),
            }
        }
        let mut thumbnails = Thumbnails::new(set, encoder.dir);
        let mut galleries = BTreeMap::new();
        for (task, shown) in report.shown() {
            let (posed, ranking) = (&self.posed[&task], &self.rankings[&task]);
            let gallery = posed.faces.gallery(
                &shown,
                &posed.queries,
                ranking.item_ids(),
                products,
                &mut thumbnails,
            )?;
            galleries.insert(task, gallery);
        }
        let warnings = warnings.clone();
        Ok(Evaluation { report, rankings: self.rankings, galleries, incomparable, warnings })
    }
}
