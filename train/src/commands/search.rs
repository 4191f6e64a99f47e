//! `vlclip search`.

use super::model::{ModelArgs, Opened};
use anyhow::{Context, Result, bail, ensure};
use data::Picture;
use index::{Found, How, Index, IndexInfo};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::embed::{embed_picture, embed_texts};

/// Texts embedded at once.
const BATCH: usize = 128;

/// Answer text or picture queries from an index.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  vlclip search --model checkpoints/runs/quickstart/best --index items.index \
                  \"red leather bag\"\n  vlclip search --model checkpoints/runs/quickstart/best --index \
                  items.index \\\n                --image photo.jpg --k 5 --product-type bag --json"
)]
pub struct Args {
    /// Texts to search for, each by itself.
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// An index that `vlclip embed --index` wrote.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// A picture to search for: JPEG, PNG or WebP; may be repeated.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// A file with a text to search for on each line.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Items to show for each query.
    #[arg(long, default_value_t = 10)]
    k: usize,
    /// Search among the items of this type (of the column that the index is grouped by) alone.
    #[arg(long, value_name = "TYPE")]
    product_type: Option<String>,
    /// Compare with every item of the index instead of following its graph: slower, misses nothing.
    #[arg(long)]
    exact: bool,
    /// Search although the index was made with another model.
    #[arg(long)]
    force: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// A query and what was found.
struct Answer {
    query: String,
    found: Vec<Found>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let texts = texts(args)?;
    ensure!(
        !texts.is_empty() || !args.image.is_empty(),
        "nothing to search for: give a text such as \"red leather bag\", --image FILE or --queries FILE"
    );
    let pictures: Vec<Picture> =
        args.image.iter().map(|path| picture(path)).collect::<Result<_>>()?;
    let index = Index::open(&args.index)?;
    let origin = index.info().origin.as_ref();
    if !args.force {
        same_model(args, index.info())?;
    }
    let opened = args.model.open(origin.map(|origin| origin.clean.as_str()))?;
    let how = if args.exact { How::Exact } else { How::Graph };
    let search = |query: String, vector: &[f32]| -> Result<Answer> {
        let found = index.search(vector, args.k, args.product_type.as_deref(), how)?;
        Ok(Answer { query, found })
    };
    let Opened { dir, model, precision, .. } = &opened;
    let width = usize::try_from(model.spec.projection_dim)?;
    let vectors = embed_texts(model, dir, &texts, BATCH, *precision)?;
    let mut answers = Vec::new();
    for (text, vector) in texts.into_iter().zip(vectors.chunks_exact(width)) {
        answers.push(search(text, vector)?);
    }
    for (path, picture) in args.image.iter().zip(&pictures) {
        let shown = path.display().to_string();
        let vector = embed_picture(model, dir, picture, *precision)
            .with_context(|| format!("picture `{shown}`"))?;
        answers.push(search(shown, &vector)?);
    }
    super::print(&if args.json { as_json(&answers)? } else { as_tables(&answers, index.info())? })?;
    Ok(ExitCode::SUCCESS)
}

/// The texts of the command line, then those of the file; none of them empty.
fn texts(args: &Args) -> Result<Vec<String>> {
    let mut texts = args.texts.clone();
    for (index, text) in texts.iter().enumerate() {
        ensure!(
            !text.trim().is_empty(),
            "text {} is empty: expected one such as \"red leather bag\"",
            index + 1
        );
    }
    if let Some(path) = &args.queries {
        let path_shown = path.display();
        let content =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{path_shown}`"))?;
        for (index, line) in content.lines().enumerate() {
            ensure!(
                !line.trim().is_empty(),
                "`{path_shown}` line {} is empty: expected a text on each line",
                index + 1
            );
            texts.push(line.to_owned());
        }
        ensure!(!content.is_empty(), "`{path_shown}` is empty: expected a text on each line");
    }
    Ok(texts)
}

fn picture(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Picture::decode(&bytes).with_context(|| format!("picture `{}`", path.display()))
}

/// Refuses an index that another model made: its neighbours would mean nothing.
fn same_model(args: &Args, info: &IndexInfo) -> Result<()> {
    let index = args.index.display();
    let Some(origin) = &info.origin else {
        bail!("index `{index}` does not say which model made it; --force searches it all the same");
    };
    let (_, ours, _) = args.model.files()?;
    let differing = origin.model.differing(&ours);
    ensure!(
        differing.is_empty(),
        "index `{index}` was made with the model `{}`, and `{}` is another one ({} differ): give that \
         model, build the index again with `vlclip embed`, or search all the same with --force",
        origin.model.path,
        ours.path,
        differing.join(", ")
    );
    Ok(())
}

fn as_json(answers: &[Answer]) -> Result<String> {
    let answers: Vec<_> = answers
        .iter()
        .map(|answer| {
            let items: Vec<_> = (1..)
                .zip(&answer.found)
                .map(|(rank, found)| {
                    json!({"rank": rank, "score": found.score, "id": found.id, "group": found.group})
                })
                .collect();
            json!({"query": answer.query, "items": items})
        })
        .collect();
    Ok(serde_json::to_string_pretty(&answers)? + "\n")
}

fn as_tables(answers: &[Answer], info: &IndexInfo) -> Result<String> {
    let mut text = String::new();
    for (number, answer) in answers.iter().enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        writeln!(text, "{gap}{}", answer.query)?;
        let ids = answer.found.iter().map(|found| found.id.chars().count());
        let width = ids.max().unwrap_or(0).max(2);
        let column = info.group.as_deref().unwrap_or_default();
        writeln!(text, "{}", format!("rank   score  {:width$}  {column}", "id").trim_end())?;
        for (rank, Found { id, group, score }) in (1..).zip(&answer.found) {
            let group = group.as_deref().unwrap_or_default();
            writeln!(
                text,
                "{}",
                format!("{rank:>4}  {score:>6.3}  {id:width$}  {group}").trim_end()
            )?;
        }
    }
    Ok(text)
}
