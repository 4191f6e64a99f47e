//! `vlclip eval`.

use super::Bar;
use super::model::ModelArgs;
use anyhow::{Context, Result, bail, ensure};
use configs::{Checked, Columns, EvalTasks, Task, TaskKind, Workers};
use eval::Subject;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::{EvalSet, Listing, Stage, check_task, dist::Group, evaluate};

/// Measure retrieval of a model over held-out products: text->image and image->text over all
/// distinct products, or the tasks that you name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip eval --model checkpoints/runs/quickstart/best \\\n              \
                        --items checkpoints/sample-shards/test --out checkpoints/runs/quickstart/eval/test"
)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Parquet files, folders or globs; may be repeated.
    #[arg(long, required = true, num_args = 1..)]
    items: Vec<String>,
    /// A YAML file with `tasks` and `slices`, as in the `eval` section of a run.
    #[arg(long)]
    tasks: Option<PathBuf>,
    /// Queries to find items for (CSV, TSV, JSON lines or Parquet with `id` and `text`, `image` or
    /// both): adds a task `query_to_item`, or is the only one where there is no `--tasks`.
    #[arg(long, requires = "qrels")]
    queries: Option<PathBuf>,
    /// Judgements of `--queries`: a TREC qrels file, or Parquet with `query_id`, `item_id`, `grade`.
    #[arg(long, requires = "queries")]
    qrels: Option<PathBuf>,
    /// Columns whose values part the queries into slices that are reported each.
    #[arg(long, value_delimiter = ',')]
    slices: Vec<String>,
    /// An earlier report (`report.json` or its folder) to compare with.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Cut-offs of the metrics.
    #[arg(long, value_delimiter = ',', default_value = "1,5,10")]
    k: Vec<usize>,
    /// Folder for report.json, report.md, report.html, run.trec and qrels.trec.
    #[arg(long)]
    out: PathBuf,
    /// Columns by role: image, captions, product_id.
    #[arg(long, value_delimiter = ',', value_name = "ROLE=COLUMN")]
    columns: Vec<String>,
    /// Pairs embedded at once.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// The share of rows that may be unusable before the evaluation stops.
    #[arg(long, default_value_t = 0.01)]
    max_bad_fraction: f64,
    /// Print the report as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    ensure!(args.batch >= 1, "--batch: expected at least 1, found 0");
    ensure!(!args.k.contains(&0), "--k: expected cut-offs of at least 1, found 0");
    let EvalTasks { tasks, slices } = tasks(args)?;
    let opened = args.model.open(None)?;
    let set = EvalSet {
        items: args.items.clone(),
        columns: columns(&args.columns)?,
        k: args.k.clone(),
        batch: args.batch,
        precision: opened.precision,
        workers: Workers::Auto,
        max_bad_fraction: args.max_bad_fraction,
        run_depth: None,
        tasks,
        slices,
        bootstrap: Default::default(),
    };
    let baseline = args.baseline.as_deref().map(super::compare::read).transpose()?;
    let subject = Subject {
        model: opened.files.path,
        data: args.items.join(", "),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        hashes: opened.files.hashes,
        data_hashes: data_hashes(&set.tasks)?,
    };
    let products = Listing::read(&set, &opened.dir)?;
    for task in &set.tasks {
        check_task(task, &set, Some(&products))?;
    }
    let bar = Bar::new(Some(products.len() as u64), "products embedded");
    let show = |stage: Stage| match stage {
        Stage::Embedded { products } => bar.set_position(products as u64),
        Stage::Ranking { task, queries, items } => {
            bar.stage(&format!("{task}: ranking {items} items for {queries} queries"));
        }
    };
    let found = evaluate(
        &opened.model,
        &opened.dir,
        &set,
        subject,
        baseline.as_ref(),
        &Group::alone(),
        show,
    )?
    .context("one process leads itself")?;
    bar.finish_and_clear();
    if let Some(error) = found.incomparable {
        return Err(error).context("--baseline");
    }
    found.warnings.iter().for_each(|line| eprintln!("warning: {line}"));
    found.report.write(&args.out, &found.rankings, &found.galleries)?;
    if args.json {
        super::print(&found.report.to_json()?)?;
    } else {
        let table = eval::comparison_table(&[("model", &found.report)]);
        super::print(&format!("{table}\nreport: {}\n", args.out.join("report.md").display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--tasks`, `--queries`, `--qrels` and `--slices` ask for together.
fn tasks(args: &Args) -> Result<EvalTasks> {
    let mut asked = match &args.tasks {
        Some(path) => (*Checked::<EvalTasks>::load(path, &[])?).clone(),
        None if args.queries.is_some() => EvalTasks { tasks: vec![], slices: vec![] },
        None => EvalTasks::default(),
    };
    if let (Some(queries), Some(qrels)) = (&args.queries, &args.qrels) {
        asked.tasks.push(Task {
            queries: Some(queries.clone()),
            qrels: Some(qrels.clone()),
            ..Task::new(TaskKind::QueryToItem)
        });
    }
    asked.slices.extend(args.slices.iter().cloned());
    asked.slices.dedup();
    let checked = Checked::new(asked).context("--tasks, --queries and --slices together")?;
    Ok((*checked).clone())
}

/// SHA-256 of the files of queries and judgements.
fn data_hashes(tasks: &[Task]) -> Result<BTreeMap<String, String>> {
    let files = tasks.iter().flat_map(|task| {
        let files = [("queries", &task.queries), ("qrels", &task.qrels)];
        files.map(|(role, path)| Some((format!("{}.{role}", task.name()), path.as_deref()?)))
    });
    files.flatten().map(|(name, path)| Ok((name, checkpoints::measure(path)?.sha256))).collect()
}

/// The folder that a run's `best` or `latest` names; any other path as it is.
pub(super) fn behind(path: &Path) -> Result<PathBuf> {
    if !path.is_file() {
        return Ok(path.to_owned());
    }
    let name = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let name = name.trim();
    ensure!(
        name.starts_with("step-") && !name.contains('/'),
        "--model `{}`: expected a model directory, or a run's `best` or `latest`",
        path.display()
    );
    Ok(path.with_file_name(name))
}

/// The default column names with the given ones in their place; without a name, an optional role
/// is switched off.
pub(super) fn columns(given: &[String]) -> Result<Columns> {
    let mut columns = Columns::default();
    let optional = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    for pair in given {
        let (role, name) = pair
            .split_once('=')
            .with_context(|| format!("--columns `{pair}`: expected ROLE=COLUMN"))?;
        match role {
            "image" => columns.image = name.into(),
            "captions" => columns.captions = name.into(),
            "product_id" => columns.product_id = optional(name),
            "weight" => columns.weight = optional(name),
            _ => bail!(
                "--columns `{pair}`: unknown role; roles are image, captions, product_id, weight"
            ),
        }
    }
    Ok(columns)
}
