//! A comparison as Markdown that reads as well on a terminal.

use super::{Comparison, Difference, QueryChange, TaskComparison};
use crate::Subject;
use crate::markdown::{interval, line, number, strings, table};

/// Slices shown of a column: the worst of them, if there are more.
const SLICES: usize = 20;

pub(super) fn comparison(comparison: &Comparison) -> String {
    let mut out = String::from("# Comparison\n\n");
    for (name, subject) in [("A", &comparison.a), ("B", &comparison.b)] {
        line(&mut out, &format!("- {name}: {}", described(subject)));
    }
    if !comparison.protocol_differences.is_empty() {
        line(&mut out, "\nForced: the reports were made in different ways.\n");
        for difference in &comparison.protocol_differences {
            line(&mut out, &format!("- {difference}"));
        }
    }
    for (name, task) in &comparison.tasks {
        write_task(&mut out, name, task, comparison.confidence);
    }
    let percent = percent(comparison.confidence);
    line(&mut out, "\n## Method\n");
    line(&mut out, "- Differences are B - A, over the queries that both reports score.");
    line(
        &mut out,
        &format!(
            "- {percent} intervals: {}; {} resamples, seed {}.",
            comparison.intervals, comparison.resamples, comparison.seed
        ),
    );
    line(&mut out, &format!("- p: {}; {} patterns.", comparison.test, comparison.permutations));
    out
}

fn described(subject: &Subject) -> &str {
    if subject.model.is_empty() { "not stated" } else { &subject.model }
}

fn percent(confidence: f64) -> String {
    format!("{}%", (confidence * 1e6).round() / 1e4)
}

fn write_task(out: &mut String, name: &str, task: &TaskComparison, confidence: f64) {
    line(out, &format!("\n## {name}\n"));
    let unpaired = match (task.only_a, task.only_b) {
        (0, 0) => String::new(),
        (only_a, only_b) => format!(" ({only_a} only in A and {only_b} only in B are left out)"),
    };
    line(out, &format!("{} queries{unpaired}\n", task.queries));
    let mut header = strings(["metric", "A", "B", "B - A"]);
    header.push(percent(confidence));
    header.extend(strings(["p", "p (Holm)", "better", "worse"]));
    let mut rows = vec![header.clone()];
    for metric in &task.order {
        if let Some(difference) = task.metrics.get(metric) {
            rows.push(row(vec![metric.clone()], difference));
        }
    }
    out.push_str(&table(&rows));
    if let Some(rank) = &task.first_rank {
        line(
            out,
            &format!(
                "\nRank of the first relevant item: mean {:.1} -> {:.1}, median {:.1} -> {:.1}",
                rank.a_mean, rank.b_mean, rank.a_median, rank.b_median
            ),
        );
    }
    for (column, slices) in &task.slices {
        line(out, &format!("\n### {name} by {column}: {}\n", task.changed_by));
        let mut header = header.clone();
        header.splice(..1, strings(["slice", "queries"]));
        let mut shown: Vec<_> = slices
            .iter()
            .filter_map(|slice| Some((slice, slice.metrics.get(&task.changed_by)?)))
            .collect();
        let cut = shown.len().saturating_sub(SLICES);
        if cut > 0 {
            shown.sort_by(|(_, a), (_, b)| a.difference.total_cmp(&b.difference));
            shown.truncate(SLICES);
        }
        let mut rows = vec![header];
        rows.extend(shown.into_iter().map(|(slice, difference)| {
            let label = slice.label.clone().unwrap_or_else(|| "(no value)".into());
            row(vec![label, slice.queries.to_string()], difference)
        }));
        out.push_str(&table(&rows));
        if cut > 0 {
            line(out, &format!("\nThe {SLICES} that lost most; {cut} more are in the JSON."));
        }
    }
    for (what, changes) in [("lost", &task.lost), ("gained", &task.gained)] {
        if !changes.is_empty() {
            line(out, &format!("\n### {name}: queries that {what} most ({})\n", task.changed_by));
            out.push_str(&table(&changed(changes)));
        }
    }
}

fn row(mut cells: Vec<String>, difference: &Difference) -> Vec<String> {
    let Difference { a, b, difference: change, interval: bounds, p_value, p_adjusted, .. } =
        difference;
    cells.extend([number(Some(*a)), number(Some(*b)), format!("{change:+.4}")]);
    cells.push(interval(*bounds));
    cells.extend([number(Some(*p_value)), number(Some(*p_adjusted))]);
    cells.extend([difference.queries_better, difference.queries_worse].map(|n| n.to_string()));
    cells
}

fn changed(changes: &[QueryChange]) -> Vec<Vec<String>> {
    let rank = |rank: Option<usize>| rank.map_or_else(|| "-".into(), |rank| rank.to_string());
    let mut rows = vec![strings(["query", "rank in A", "rank in B", "A", "B"])];
    rows.extend(changes.iter().map(|change| {
        let values = [number(Some(change.a)), number(Some(change.b))];
        let mut row = vec![change.query.clone(), rank(change.a_rank), rank(change.b_rank)];
        row.extend(values);
        row
    }));
    rows
}
