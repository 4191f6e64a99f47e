//! Reports as Markdown: one report in full, or several side by side. Owns tables and number formats.

use crate::{Report, SelfMatch, TaskReport};
use std::fmt::Write;

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
    line(&mut out, "- Chance: exact expectation over all orders of the pool");
    out.push_str("\nDefinitions:\n\n");
    for (name, definition) in &protocol.definitions {
        line(&mut out, &format!("- {name}: {definition}"));
    }
    out
}

fn write_task(out: &mut String, name: &str, task: &TaskReport) {
    line(out, &format!("\n## {name}\n"));
    let mut rows = vec![strings(["metric", "value", "chance", "pessimistic", "optimistic"])];
    for (metric, found) in task.metrics_in_order() {
        let mut row = vec![metric.to_string()];
        let values = [found.value, found.chance, found.pessimistic, found.optimistic];
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
    line(out, &format!("- Pool: {} items; {self_match}", task.pool));
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

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn or_unstated(text: &str) -> &str {
    if text.is_empty() { "not stated" } else { text }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

fn rank(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A Markdown table with aligned columns; the first row is the header, the first column text.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
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
