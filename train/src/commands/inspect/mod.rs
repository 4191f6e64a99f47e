//! `vlclip inspect`.

mod model;
mod table;

use anyhow::{Context, Result, ensure};
use configs::{Clean, RunConfig};
use data::inspect::{Column, InspectOptions, Sheet, columns_of, contact_sheet, inspect};
use data::{DataError, PadId, Tokenizer};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use train::ModelDir;

/// Show what is in shards, with advice, or what a model or checkpoint is.
///
/// Figures that need the rows are taken on a sample, spread evenly over the row groups and the same
/// every time; each says over how many rows it was taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  vlclip inspect shards/train --columns image=jpg,captions=title --tokenizer clip/tokenizer.json
  vlclip inspect --config configs/quickstart.yaml --contact-sheet rows.png
  vlclip inspect checkpoints/runs/quickstart/best")]
pub struct Args {
    /// Parquet files, folders or globs, or one model directory, step folder, or a run's `best` or
    /// `latest`.
    #[arg(required_unless_present = "config")]
    paths: Vec<String>,
    /// Take columns, cleaning, window and model from a run's configuration, and its data.train
    /// where no paths are given.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Columns by role: image, captions, product_id, weight.
    #[arg(long, value_delimiter = ',', value_name = "ROLE=COLUMN", conflicts_with = "config")]
    columns: Vec<String>,
    /// A model directory: counts tokens by its tokenizer and context, compares pictures with its
    /// input.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A tokenizer.json: counts tokens.
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    tokenizer: Option<PathBuf>,
    /// The most tokens that the model reads, with --tokenizer.
    #[arg(long, default_value_t = 77, value_name = "TOKENS")]
    context: usize,
    /// Rows whose pictures and captions are looked at: a number or `all`. Products, captions and
    /// slices are compared over 200 times as many, for they are read without pictures.
    #[arg(long, default_value = "1000", value_name = "N|all", value_parser = sample_size)]
    rows: SampleSize,
    /// Count rows by this column; left out, by `product_type` if there is one.
    #[arg(long, value_name = "COLUMN")]
    slice: Option<String>,
    /// Print JSON; its keys are the fields of `data::inspect::Inspection`.
    #[arg(long)]
    json: bool,
    /// Draw rows as the model sees them, with captions and product ids, into a PNG.
    #[arg(long, value_name = "PNG")]
    contact_sheet: Option<PathBuf>,
}

/// Text rows for each row with its picture.
const TEXT_ROWS: u64 = 200;

/// Rows of a sample; none for all.
#[derive(Clone, Copy, Debug)]
struct SampleSize(Option<u64>);

fn sample_size(text: &str) -> Result<SampleSize, String> {
    match text {
        "all" => Ok(SampleSize(None)),
        text => match text.parse() {
            Ok(rows) if rows > 0 => Ok(SampleSize(Some(rows))),
            _ => Err("expected a number of rows of at least 1, or `all`".into()),
        },
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let [path] = args.paths.as_slice()
        && let Some(found) = model::describe(Path::new(path))?
    {
        ensure!(
            args.contact_sheet.is_none(),
            "--contact-sheet: expected shards, found a model directory (`{path}`)"
        );
        let text = if args.json { json(&found)? } else { found.to_string() };
        super::print(&text)?;
        return Ok(if found.is_valid() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let config = args.config.as_deref().map(|path| RunConfig::load(path, &[])).transpose()?;
    let mut options = options(args, config.as_ref())?;
    let paths = match &config {
        Some(config) if args.paths.is_empty() => config.data.train.paths(),
        _ => args.paths.clone(),
    };
    let found = match inspect(&paths, &options) {
        // A product column that nobody named is looked for, but need not be there.
        Err(DataError::MissingColumn { role: "product_id", .. }) if !names_product(args) => {
            options.columns.product_id = None;
            inspect(&paths, &options)
        }
        found => found,
    };
    let found = found.map_err(|error| misfit(error, args))?;
    if let Some(path) = &args.contact_sheet {
        let png = contact_sheet(&paths, &options, Sheet::default())?;
        std::fs::write(path, png).with_context(|| format!("cannot write `{}`", path.display()))?;
        eprintln!("contact sheet: {}", path.display());
    }
    super::print(&if args.json { json(&found)? } else { table::table(&found) })?;
    Ok(ExitCode::SUCCESS)
}

fn json(found: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(found)? + "\n")
}

fn options(args: &Args, config: Option<&RunConfig>) -> Result<InspectOptions> {
    let clean = config.map_or(Clean::default(), |config| config.data.text.clean);
    let model = match (&args.model, config) {
        (Some(dir), _) => Some(ModelDir::open(&super::eval::behind(dir)?, clean)?),
        (None, Some(config)) if args.tokenizer.is_none() => {
            Some(ModelDir::initial(&config.model.init, clean)?)
        }
        _ => None,
    };
    let tokenizer = match (&args.tokenizer, &model) {
        (Some(path), _) => Some(Arc::new(Tokenizer::open(path, args.context, clean, PadId::End)?)),
        (None, model) => model.as_ref().map(|model| model.tokenizer.clone()),
    };
    let SampleSize(rows) = args.rows;
    let mut options = InspectOptions {
        columns: super::eval::columns(&args.columns)?,
        rows,
        text_rows: rows.map(|rows| rows.saturating_mul(TEXT_ROWS)),
        slice: args.slice.clone(),
        tokenizer,
        picture: model.map(|model| model.picture),
        ..InspectOptions::default()
    };
    if let Some(config) = config {
        options.columns = config.data.columns.clone();
        options.window_rows = config.data.shuffle.window_rows;
    }
    Ok(options)
}

fn names_product(args: &Args) -> bool {
    args.config.is_some() || args.columns.iter().any(|pair| pair.starts_with("product_id="))
}

/// An error of a role without its column, with the columns that would fit; lists all of them.
fn misfit(error: DataError, args: &Args) -> anyhow::Error {
    let (path, role) = match &error {
        DataError::MissingColumn { path, role, .. } | DataError::ColumnType { path, role, .. } => {
            (path, *role)
        }
        _ => return error.into(),
    };
    let Ok(columns) = columns_of(path) else { return error.into() };
    let fitting = |column: &&Column| column.fits.contains(&role);
    let names: Vec<&str> = columns.iter().filter(fitting).map(|c| c.name.as_str()).collect();
    let option = if args.config.is_some() { "data.columns" } else { "--columns" };
    let help = match names.as_slice() {
        [] => format!("no column's type fits `{role}`"),
        names => format!("set {option} {role} to one that fits: {}", names.join(", ")),
    };
    eprint!("columns of `{}`:\n{}", path.display(), table::columns(&columns));
    anyhow::anyhow!("{error}; {help}")
}
