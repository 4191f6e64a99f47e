//! `vlclip eval`.

use anyhow::{Context, Result, bail, ensure};
use checkpoints::{MANIFEST, Manifest};
use clap::ValueEnum;
use configs::{Clean, Columns, Device, Precision, Workers};
use eval::Subject;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::{CLEAN, EvalSet, ModelDir, device, dist::Group, evaluate};

/// Measure retrieval of a model over held-out products: text->image and image->text over all
/// distinct products.
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
    /// Cut-offs of the metrics.
    #[arg(long, value_delimiter = ',', default_value = "1,5,10")]
    k: Vec<usize>,
    /// Folder for report.json, report.md, run.trec and qrels.trec.
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
    let files = manifest.into_iter().flat_map(|manifest| manifest.files);
    let hashes = files.map(|(name, file)| (name, file.sha256)).collect();
    let model_dir = ModelDir::open(&dir, clean)?;
    let model = model_dir.load(device)?;

    let subject = Subject {
        model: dir.display().to_string(),
        data: args.items.join(", "),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        hashes,
        ..Subject::default()
    };
    let bar = super::bar(None, "products");
    let done = |products: usize| bar.set_position(products as u64);
    let found = evaluate(&model, &model_dir, &set, subject, &Group::alone(), done)?
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
