//! `vlclip eval`.

use anyhow::{Context, Result, bail, ensure};
use checkpoints::{MANIFEST, Manifest};
use clap::ValueEnum;
use configs::{Checked, Clean, Columns, Device, EvalTasks, Precision, Task, TaskKind, Workers};
use eval::{Report, Subject};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::{CLEAN, EvalSet, ModelDir, device, dist::Group, evaluate};

/// Measure retrieval of a model over held-out products: text->image and image->text over all
/// distinct products, or the tasks that you name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  vlclip eval --model checkpoints/runs/quickstart/best \\\n              \
                        --items checkpoints/sample-shards/test --out checkpoints/runs/quickstart/eval/test"
)]
pub struct Args {
    /// A Hugging Face CLIP directory, a step folder of a run, or a run's `best` or `latest`.
    #[arg(long)]
    model: PathBuf,
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
    /// How captions are cleaned before tokenising; left out, as in the run that made the
    /// checkpoint, or `hf` for a model from elsewhere.
    #[arg(long)]
    clean: Option<CleanArg>,
    /// Where the model runs.
    #[arg(long, default_value = "auto")]
    device: DeviceArg,
    /// Arithmetic of the towers.
    #[arg(long, default_value = "f32")]
    precision: PrecisionArg,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CleanArg {
    Hf,
    #[value(name = "open_clip")]
    OpenClip,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeviceArg {
    Auto,
    Cpu,
    Cuda,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionArg {
    F32,
    Bf16,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    ensure!(args.batch >= 1, "--batch: expected at least 1, found 0");
    ensure!(!args.k.contains(&0), "--k: expected cut-offs of at least 1, found 0");
    let EvalTasks { tasks, slices } = tasks(args)?;
    let set = EvalSet {
        items: args.items.clone(),
        columns: columns(&args.columns)?,
        k: args.k.clone(),
        batch: args.batch,
        precision: match args.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Bf16 => Precision::Bf16,
        },
        workers: Workers::Auto,
        max_bad_fraction: args.max_bad_fraction,
        run_depth: None,
        tasks,
        slices,
        bootstrap: Default::default(),
    };
    let device = match args.device {
        DeviceArg::Auto => Device::Auto,
        DeviceArg::Cpu => Device::Cpu,
        DeviceArg::Cuda => Device::Cuda,
    };
    let device = device::pick(device, 0)?;
    let (dir, manifest) = model_folder(&args.model)?;
    let trained_with = manifest.as_ref().and_then(|manifest| manifest.meta.get(CLEAN));
    let clean = match (args.clean, trained_with) {
        (Some(CleanArg::Hf), _) | (None, None) => Clean::Hf,
        (Some(CleanArg::OpenClip), _) => Clean::OpenClip,
        (None, Some(stated)) => Clean::deserialize(stated)
            .with_context(|| format!("`{}`, meta.{CLEAN}", dir.join(MANIFEST).display()))?,
    };
    let model_dir = ModelDir::open(&dir, clean)?;
    let hashes = model_hashes(&dir, manifest)?;
    let model = model_dir.load(device)?;

    let baseline = args.baseline.as_deref().map(read_report).transpose()?;
    let subject = Subject {
        model: dir.display().to_string(),
        data: args.items.join(", "),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        hashes,
        data_hashes: data_hashes(&set.tasks)?,
        ..Subject::default()
    };
    let bar = super::bar(None, "products");
    let done = |products: usize| bar.set_position(products as u64);
    let found =
        evaluate(&model, &model_dir, &set, subject, baseline.as_ref(), &Group::alone(), done)?
            .context("one process leads itself")?;
    bar.finish_and_clear();
    found.warnings.iter().for_each(|line| eprintln!("warning: {line}"));
    found.report.write(&args.out, &found.rankings, &std::collections::BTreeMap::new())?;
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

/// SHA-256 of a model's files: as its manifest states them, or taken anew.
fn model_hashes(dir: &Path, manifest: Option<Manifest>) -> Result<BTreeMap<String, String>> {
    if let Some(manifest) = manifest {
        return Ok(manifest.files.into_iter().map(|(name, file)| (name, file.sha256)).collect());
    }
    let mut hashes = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("`{}`", dir.display()))? {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if path.is_file() && matches!(kind, Some("json" | "safetensors")) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            hashes.insert(name, checkpoints::measure(&path)?.sha256);
        }
    }
    Ok(hashes)
}

/// The report that lies at `path` or in the folder there.
fn read_report(path: &Path) -> Result<Report> {
    let file = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    Report::from_json(&text).with_context(|| format!("`{}`", file.display()))
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

/// The model's folder behind a run's `best` or `latest`, and its manifest if it is a checkpoint,
/// verified.
fn model_folder(path: &Path) -> Result<(PathBuf, Option<Manifest>)> {
    let dir = behind(path)?;
    if !dir.join(MANIFEST).is_file() {
        return Ok((dir, None)); // a model from elsewhere
    }
    let manifest = checkpoints::verify(&dir)?;
    Ok((dir, Some(manifest)))
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
