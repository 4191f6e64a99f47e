//! `vlclip compare`.

use anyhow::{Context, Result, bail};
use eval::{Bound, CompareOptions, Comparison, Report, compare};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file that a folder of `vlclip eval` or of a run's evaluation holds.
const REPORT: &str = "report.json";
/// Exit code where a bound is broken.
const BROKEN: u8 = 1;
/// Exit code where there is no answer; clap's, for wrong arguments, too.
const FAILED: u8 = 2;

/// Compare two reports query by query: what B has over A, per metric and slice, with intervals, a
/// randomisation test corrected for the number of metrics, and the queries that changed most.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  compared, and every --fail-below holds\n  1  a difference \
                        is below its --fail-below\n  2  no comparison: wrong arguments, unreadable \
                        or incomparable reports\n\nExample:\n  vlclip compare before/report.json \
                        after/report.json --metric hits@5,mrr \\\n                 --fail-below \
                        text_to_image/hits@5=-0.01"
)]
pub struct Args {
    /// The report to compare with: report.json, or the folder that holds it.
    a: PathBuf,
    /// The report to judge, likewise.
    b: PathBuf,
    /// Metrics to compare, with or without their task (`hits@5`, `text_to_image/mrr`); left out,
    /// all. Fewer metrics need less correction.
    #[arg(long, value_delimiter = ',')]
    metric: Vec<String>,
    /// Exit with code 1 if the mean difference B - A of a metric is below a bound, such as
    /// `hits@5=-0.01` for every task that has it or `text_to_image/mrr=0`; may be repeated.
    #[arg(long, value_name = "METRIC=BOUND", allow_hyphen_values = true)]
    fail_below: Vec<Bound>,
    /// Compare reports of different protocols all the same: what they share.
    #[arg(long)]
    force: bool,
    /// Folder for compare.json and compare.md.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the comparison as JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// None: what fails is printed, for its exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    match attempt(args) {
        Ok(code) => Ok(code),
        // Not the code of a broken bound: a gate must tell the two apart.
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(FAILED))
        }
    }
}

fn attempt(args: &Args) -> Result<ExitCode> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let mut metrics = args.metric.clone();
    if !metrics.is_empty() {
        // A bound on a metric is a wish to see it.
        metrics.extend(args.fail_below.iter().map(|bound| bound.metric.clone()));
    }
    let options = CompareOptions { metrics, force: args.force, ..CompareOptions::default() };
    let comparison = compare(&a, &b, &options)
        .with_context(|| format!("`{}` and `{}`", args.a.display(), args.b.display()))?;
    let breaches = comparison.breaches(&args.fail_below).context("--fail-below")?;
    if let Some(dir) = &args.out {
        write(dir, &comparison)?;
    }
    crate::print(&if args.json { comparison.to_json()? } else { comparison.to_markdown() })?;
    for breach in &breaches {
        let (metric, lowest) = (&breach.metric, breach.lowest);
        let change = breach.b - breach.a;
        eprintln!(
            "failed: {metric} {:.4} -> {:.4}: a difference of {change:+.4}, below the bound {lowest:+} by {:.4}",
            breach.a,
            breach.b,
            lowest - change
        );
    }
    if !args.fail_below.is_empty() && breaches.is_empty() {
        eprintln!("passed: no difference is below its bound");
    }
    Ok(if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

/// The report that `path` is, or that the folder holds.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn read(path: &Path) -> Result<Report> {
    let mut file = path.to_owned();
    if path.is_dir() {
        file.push(REPORT);
        if !file.is_file() {
            let shown = path.display();
            match folders_with_reports(path)[..] {
                [] => {
                    bail!("`{shown}` holds no {REPORT}: expected a folder that `vlclip eval` wrote")
                }
                ref found => bail!(
                    "`{shown}` holds no {REPORT}, but these folders in it do: `{}`; name one",
                    found.join("`, `")
                ),
            }
        }
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read `{}`", file.display()))?;
    Report::from_json(&text).with_context(|| format!("`{}`", file.display()))
}

/// Names of the folders in `dir` that hold a report, in order.
fn folders_with_reports(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join(REPORT).is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn write(dir: &Path, comparison: &Comparison) -> Result<()> {
    let files = [("compare.json", comparison.to_json()?), ("compare.md", comparison.to_markdown())];
    let failed = |path: &Path| format!("cannot write `{}`", path.display());
    std::fs::create_dir_all(dir).with_context(|| failed(dir))?;
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| failed(&path))?;
    }
    Ok(())
}
