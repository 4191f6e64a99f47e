//! Reports as Markdown: one report in full, or several side by side. Owns tables and number formats.

use crate::{Candidates, Report, SelfMatch, SliceReport, TaskReport};
use std::fmt::Write;

/// The metric that slices are shown by.
const SLICED_BY: &str = "mrr";
/// Slices shown of a column.
const SLICES: usize = 20;

/// One report: a table per task, then the protocol.
pub(crate) fn report(report: &Report) -> String {
    let mut out = String::from("# Retrieval report\n");
    for (name, task) in &report.tasks {
        write_task(&mut out, name, task);
    }
    let protocol = &report.protocol;
    out.push_str("\n## Protocol\n\n");
    let subject = &protocol.subject;
    let described = [("Model", &subject.model), ("Data", &subject.data)];
    for (label, text) in described {
        line(&mut out, &format!("- {label}: {}", or_unstated(text)));
    }
    if subject.command.is_empty() {
        line(&mut out, "- Command: not stated");
    } else {
        line(&mut out, &format!("- Command: `{}`", subject.command));
    }
    for (name, hash) in &subject.hashes {
        line(&mut out, &format!("- {name}: `{hash}`"));
    }
    line(&mut out, &format!("- Scores: {}", protocol.scores));
    line(&mut out, &format!("- Ties: {}", protocol.tie_rule));
    line(&mut out, &format!("- Averages: {}", protocol.averaging));
    line(
        &mut out,
        &format!(
            "- Intervals: {}% {}; {} resamples, seed {}",
            (protocol.confidence * 1e6).round() / 1e4,
            protocol.intervals,
            protocol.resamples,
            protocol.seed
        ),
    );
    line(&mut out, "- Chance: exact expectation over all orders of the pool");
    out.push_str("\nDefinitions:\n\n");
    for (name, definition) in &protocol.definitions {
        line(&mut out, &format!("- {name}: {definition}"));
    }
    out
}

fn write_task(out: &mut String, name: &str, task: &TaskReport) {
    line(out, &format!("\n## {name}\n"));
    if !task.description.is_empty() {
        line(out, &format!("{}\n", task.description));
    }
    let mut header = strings(["metric", "value", "interval", "chance"]);
    header.extend(strings(["pessimistic", "optimistic"]));
    let mut rows = vec![header];
    for (metric, found) in task.metrics_in_order() {
        let mut row = vec![metric.to_string(), number(Some(found.value)), interval(found.interval)];
        let values = [found.chance, found.pessimistic, found.optimistic];
        row.extend(values.map(|value| number(Some(value))));
        rows.push(row);
    }
    out.push_str(&table(&rows));
    out.push('\n');
    if let Some(rank) = &task.first_rank {
        line(
            out,
            &format!(
                "- Rank of the first relevant item: mean {:.1}, median {:.1}; chance mean {:.1}",
                rank.mean, rank.median, rank.chance_mean
            ),
        );
    }
    let self_match = match task.self_match {
        SelfMatch::Keep => "an item with the query's own id is a candidate",
        SelfMatch::Exclude => "an item with the query's own id is no candidate",
    };
    let candidates = match &task.candidates {
        Candidates::All => String::new(),
        Candidates::Within { column } => format!("; candidates have the query's `{column}`"),
    };
    line(out, &format!("- Pool: {} items{candidates}; {self_match}", task.pool));
    let queries = &task.queries;
    line(
        out,
        &format!(
            "- Queries: {} given, {} scored ({} of them without a relevant item), {} not judged",
            queries.given, queries.scored, queries.without_relevant, queries.unjudged
        ),
    );
    let relevance = &task.relevance;
    let mut counts: Vec<String> = relevance
        .histogram
        .iter()
        .take(12)
        .map(|(relevant, queries)| format!("R={relevant}: {queries}"))
        .collect();
    if relevance.histogram.len() > counts.len() {
        counts.push("...".into());
    }
    line(
        out,
        &format!(
            "- Relevant items per query: min {}, median {}, mean {:.2}, max {} (queries with {})",
            relevance.min,
            relevance.median,
            relevance.mean,
            relevance.max,
            counts.join(", ")
        ),
    );
    line(
        out,
        &format!(
            "- Ties: {} relevant items share their exact score with another item, in {} queries",
            task.ties.relevant_items, task.ties.queries
        ),
    );
    let cut = if task.run_depth < task.pool {
        format!("; what other tools call MRR on it is MRR@{}", task.run_depth)
    } else {
        String::new()
    };
    line(out, &format!("- `run.trec` lists {} items per query{cut}", task.run_depth));
    if let Some(means) = &task.mean_per_class {
        let shown: Vec<String> = task
            .metrics_in_order()
            .filter_map(|(metric, _)| {
                let name = metric.to_string();
                Some(format!("{name} {:.4}", means.get(&name)?))
            })
            .collect();
        line(out, &format!("- Mean over the classes' means: {}", shown.join(", ")));
    }
    for (column, slices) in &task.slices {
        write_slices(out, &format!("{name} by {column}"), slices);
    }
}

/// The slices of a column, those that fall behind the other queries most first.
fn write_slices(out: &mut String, title: &str, slices: &[SliceReport]) {
    line(out, &format!("\n### {title}: {SLICED_BY}\n"));
    let mut shown: Vec<_> =
        slices.iter().filter_map(|slice| Some((slice, slice.metrics.get(SLICED_BY)?))).collect();
    shown.sort_by(|(_, a), (_, b)| a.gap.total_cmp(&b.gap));
    let mut rows = vec![strings(["slice", "queries", "value", "interval", "chance", "gap"])];
    rows.extend(shown.iter().take(SLICES).map(|(slice, found)| {
        let label = slice.label.clone().unwrap_or_else(|| "(no value)".into());
        let mut row = vec![label, slice.queries.to_string(), number(Some(found.value))];
        row.extend([interval(found.interval), number(Some(found.chance))]);
        row.push(format!("{:+.4}", found.gap));
        row
    }));
    out.push_str(&table(&rows));
    if shown.len() > SLICES {
        let more = shown.len() - SLICES;
        line(
            out,
            &format!("\nThe {SLICES} that fall behind most; {more} more are in `report.json`."),
        );
    }
}

/// Named reports side by side, a table per task, beside chance as the last report states it:
/// Markdown that reads as well on a terminal. A metric that a report lacks is a dash. Where reports
/// differ in pool or number of queries a line below says so, since their values do not compare.
pub fn comparison_table(reports: &[(&str, &Report)]) -> String {
    let Some((_, last)) = reports.last() else { return String::new() };
    let mut out = String::new();
    for (name, task) in &last.tasks {
        let mut header = strings(["metric", "chance"]);
        header.extend(reports.iter().map(|(label, _)| (*label).to_owned()));
        let mut rows = vec![header];
        for (metric, found) in task.metrics_in_order() {
            let mut row = vec![metric.to_string(), number(Some(found.chance))];
            row.extend(reports.iter().map(|(_, report)| {
                number(report.tasks.get(name).and_then(|task| task.metric(&metric.to_string())))
            }));
            rows.push(row);
        }
        for (label, chance, of) in [
            (
                "mean rank",
                task.first_rank.map(|rank| rank.chance_mean),
                (|task: &TaskReport| task.first_rank.map(|rank| rank.mean))
                    as fn(&TaskReport) -> Option<f64>,
            ),
            ("median rank", None, |task| task.first_rank.map(|rank| rank.median)),
        ] {
            let mut row = vec![label.to_owned(), rank(chance)];
            row.extend(reports.iter().map(|(_, report)| rank(report.tasks.get(name).and_then(of))));
            rows.push(row);
        }
        let size = |task: &TaskReport| (task.pool, task.queries.scored);
        let (pool, scored) = size(task);
        line(&mut out, &format!("{name}: {scored} queries, pool of {pool} items\n"));
        out.push_str(&table(&rows));
        for (label, report) in reports {
            if let Some(other) = report.tasks.get(name).map(size).filter(|s| *s != (pool, scored)) {
                let (pool, scored) = other;
                line(
                    &mut out,
                    &format!(
                        "\nNot comparable: `{label}` has {scored} queries and a pool of {pool} items"
                    ),
                );
            }
        }
        out.push('\n');
    }
    out
}

pub(crate) fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn or_unstated(text: &str) -> &str {
    if text.is_empty() { "not stated" } else { text }
}

pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

/// An interval of values that may be negative.
pub(crate) fn interval(bounds: Option<[f64; 2]>) -> String {
    bounds.map_or_else(|| "-".into(), |[low, high]| format!("{low:.4}..{high:.4}"))
}

fn rank(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

pub(crate) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A Markdown table with aligned columns; the first row is the header, the first column text.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    // Names of queries and labels may hold anything.
    let plain = |cell: &String| cell.replace(['\n', '\r'], " ").replace('|', "\\|");
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3))
        .collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if column == 0 {
                write!(out, "| {cell:<width$} ")
            } else {
                write!(out, "| {cell:>width$} ")
            };
        }
        out.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(*width);
                out.push_str(&if column == 0 {
                    format!("|:{dashes}-")
                } else {
                    format!("|-{dashes}:")
                });
            }
            out.push_str("|\n");
        }
    }
    out
}
