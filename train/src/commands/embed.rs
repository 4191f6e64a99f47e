//! `vlclip embed`.

use super::Bar;
use super::model::{ModelArgs, Opened};
use anyhow::{Result, ensure};
use clap::ValueEnum;
use configs::{Sides, Workers};
use eval::{Embeddings, ORIGIN_VERSION, Origin, SelfMatch, StoreWriter, StoredDtype};
use index::{IndexInfo, IndexOptions, Queries, Scalar};
use process::StopSignal;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use train::embed::{EmbedSet, embed};

/// Captions that recall is measured with.
const SAMPLE_CAPTIONS: u64 = 500;

/// Embed products into a Parquet file and, on request, an index that `vlclip search` answers from.
///
/// One row for each product, in the order of the shards: the first usable row of each.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip embed --model checkpoints/runs/quickstart/best \\\n               \
                  --items checkpoints/sample-shards/test --group product_type --dtype f16 \\\n               \
                  --out items.parquet --index items.index\n\n\
                  With --index, recall@10 against exact search and the time of a query are measured \
                  on sampled products and captions, and stored with the index."
)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Parquet files, folders or globs; may be repeated.
    #[arg(long, required = true, num_args = 1..)]
    items: Vec<String>,
    /// `image`, `text`, or weights of both, such as `image=0.7,text=0.3`.
    #[arg(long, default_value = "image")]
    side: Sides,
    /// The Parquet file to write: `id`, `embedding`, and the column of --group.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How embeddings are stored.
    #[arg(long, default_value = "f32")]
    dtype: DtypeArg,
    /// A column of the shards to write too, such as `product_type`; the index then has a graph for
    /// each of its values.
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Folder for an index; an index that is there is replaced.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// How vectors are stored in the index.
    #[arg(long, default_value = "f16", requires = "index")]
    index_dtype: ScalarArg,
    /// The recall@10 that searches in the index are tuned to.
    #[arg(long, default_value_t = 0.95, requires = "index", value_name = "SHARE", value_parser = share)]
    recall: f64,
    /// Columns by role: image, captions, product_id.
    #[arg(long, value_delimiter = ',', value_name = "ROLE=COLUMN")]
    columns: Vec<String>,
    /// Products embedded at once.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// The share of rows that may be unusable before embedding stops.
    #[arg(long, default_value_t = 0.01)]
    max_bad_fraction: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DtypeArg {
    F32,
    F16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScalarArg {
    F32,
    F16,
    I8,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    ensure!(args.batch >= 1, "--batch: expected at least 1, found 0");
    if let Some(dir) = &args.index {
        index::replaceable(dir)?; // before hours of embedding
    }
    let columns = super::eval::columns(&args.columns)?;
    let opened = args.model.open(None)?;
    let set = EmbedSet {
        items: args.items.clone(),
        columns,
        side: args.side,
        group: args.group.clone(),
        every: 1,
        batch: args.batch,
        precision: opened.precision,
        workers: Workers::Auto,
        max_bad_fraction: args.max_bad_fraction,
    };
    let stop = StopSignal::listen("stopping; nothing is kept")?;
    let rows = write(args, &opened, &set, &stop)?;
    let width = opened.model.spec.projection_dim;
    let dtype = match args.dtype {
        DtypeArg::F32 => "f32",
        DtypeArg::F16 => "f16",
    };
    let mut text = format!(
        "embeddings: {}: {rows} products, width {width}, {dtype}, side {}\n",
        args.out.display(),
        args.side
    );
    if let Some(dir) = &args.index {
        let captions = captions(&opened, &set, rows)?;
        let options = IndexOptions {
            scalar: match args.index_dtype {
                ScalarArg::F32 => Scalar::F32,
                ScalarArg::F16 => Scalar::F16,
                ScalarArg::I8 => Scalar::I8,
            },
            grouped: args.group.is_some(),
            recall: args.recall,
            ..IndexOptions::default()
        };
        let bar = Bar::new(Some(rows), "products indexed");
        let info =
            index::build(&args.out, dir, &captions, &options, |done| bar.set_position(done))?;
        bar.finish_and_clear();
        describe(&mut text, dir, &info)?;
        warn(&info, args.recall);
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the file of embeddings; the number of products.
fn write(args: &Args, opened: &Opened, set: &EmbedSet, stop: &StopSignal) -> Result<u64> {
    let origin = Origin {
        schema_version: ORIGIN_VERSION,
        model: opened.files.clone(),
        side: args.side.to_string(),
        clean: opened.clean.clone(),
        data: args.items.clone(),
        normalised: true,
        group: args.group.clone(),
    };
    let dtype = match args.dtype {
        DtypeArg::F32 => StoredDtype::F32,
        DtypeArg::F16 => StoredDtype::F16,
    };
    let width = usize::try_from(opened.model.spec.projection_dim)?;
    let mut store = StoreWriter::create(&args.out, width, dtype, &origin)?;
    let bar = Bar::new(None, "products embedded");
    let warnings = embed(&opened.model, &opened.dir, set, |batch| {
        ensure!(!stop.asked(), "stopped by a signal after {} products", store.rows());
        let groups = args.group.is_some().then_some(batch.groups.as_slice());
        store.push(&batch.ids, groups, &batch.vectors)?;
        bar.set_position(store.rows());
        Ok(())
    })?;
    bar.finish_and_clear();
    warnings.iter().for_each(|line| eprintln!("warning: {line}"));
    let rows = store.rows();
    store.finish()?;
    Ok(rows)
}

/// Captions of a sample of the products, to measure recall with where pictures are indexed: texts are
/// what people ask with, and lie elsewhere in the space.
fn captions(opened: &Opened, set: &EmbedSet, rows: u64) -> Result<Vec<Queries>> {
    if set.side == Sides::TEXT {
        return Ok(vec![]); // the items are captions themselves
    }
    let set = EmbedSet { side: Sides::TEXT, every: (rows / SAMPLE_CAPTIONS).max(1), ..set.clone() };
    let (mut ids, mut groups, mut values) = (vec![], vec![], vec![]);
    let embedded = embed(&opened.model, &opened.dir, &set, |batch| {
        ids.extend(batch.ids);
        groups.extend(batch.groups);
        values.extend(batch.vectors);
        Ok(())
    });
    if let Err(error) = embedded {
        eprintln!("note: recall is measured without captions: {error:#}");
        return Ok(vec![]);
    }
    let vectors =
        Embeddings::normalised(ids, usize::try_from(opened.model.spec.projection_dim)?, values)?;
    Ok(vec![Queries { name: "captions".into(), vectors, groups, self_match: SelfMatch::Keep }])
}

fn describe(text: &mut String, dir: &std::path::Path, info: &IndexInfo) -> Result<()> {
    let graphs = match (&info.group, info.graphs.len()) {
        (None, _) => "one graph".into(),
        (Some(column), count) => format!("{count} graphs by {column}"),
    };
    writeln!(text, "index: {}: {} items, {graphs}, {}", dir.display(), info.items, info.scalar)?;
    for found in &info.measured {
        writeln!(
            text,
            "  recall@{} {:.4} (worst query {:.2}) against exact search, {} {} as queries",
            found.k, found.recall, found.recall_min, found.num_queries, found.queries
        )?;
        writeln!(
            text,
            "  latency p50 {:.0} us, p95 {:.0} us, mean {:.0} us, {:.0} queries/s on one thread",
            found.p50_us, found.p95_us, found.mean_us, found.queries_per_s
        )?;
    }
    Ok(())
}

fn warn(info: &IndexInfo, wanted: f64) {
    for found in info.measured.iter().filter(|found| found.recall < wanted) {
        eprintln!(
            "warning: recall@{} is {:.4} with {} as queries, below --recall {wanted}, with {} \
             candidates; --index-dtype f32 may raise it",
            found.k, found.recall, found.queries, info.expansion_search
        );
    }
}
