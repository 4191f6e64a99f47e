//! The main metric over parts of the queries, worst first. Owns the order of slices and how many of
//! them are shown.

use super::charts::{Strip, axis, ceiling};
use super::metrics::{Verdict, headline, or_dash};
use super::numbers;
use crate::{Difference, Report, SliceMetric, SliceReport, TaskReport};
use maud::{Markup, html};

/// Slices of a column that are shown: the worst, and the best.
const WORST: usize = 20;
const BEST: usize = 5;
/// Characters of a column or label that are shown.
const MAX_NAME: usize = 80;

pub(super) fn section(report: &Report, name: &str, task: &TaskReport) -> Markup {
    let shown = headline(task);
    let Some(main) = shown.first().filter(|_| !task.slices.is_empty()) else {
        return html! { p.absent { "Not computed: the queries were not labelled by any column." } };
    };
    html! {
        p.note {
            (main) " by label, worst first: the gap is the label's value less that of all other scored queries. The dotted line is the value over all queries. With few queries in a slice a large gap may be chance: its interval says."
        }
        @for (column, slices) in &task.slices {
            (block(report, name, task, main, column, slices))
        }
    }
}

fn block(
    report: &Report,
    name: &str,
    task: &TaskReport,
    main: &str,
    column: &str,
    slices: &[SliceReport],
) -> Markup {
    let of = |slice: &SliceReport| slice.metrics.get(main).copied().unwrap_or_default();
    let mut sorted: Vec<&SliceReport> = slices.iter().collect();
    sorted.sort_by(|a, b| of(a).gap.total_cmp(&of(b).gap));
    let hidden = sorted.len().saturating_sub(WORST + BEST);
    let overall = task.metric(main).unwrap_or_default();
    let greatest = sorted
        .iter()
        .map(|slice| of(slice))
        .map(|found| found.interval.map_or(found.value, |[_, high]| high).max(found.chance))
        .fold(overall, f64::max);
    let end = ceiling(greatest).min(1.0);
    let compared = report
        .baseline
        .as_ref()
        .and_then(|comparison| comparison.tasks.get(name)?.slices.get(column));
    let difference = |slice: &SliceReport| {
        let found = compared?.iter().find(|other| other.label == slice.label)?;
        found.metrics.get(main)
    };
    let confidence = report.protocol.confidence;
    let columns = 7 + usize::from(compared.is_some());
    html! {
        h4 { bdi { (numbers::cut(column, MAX_NAME)) } span.quiet { " " (numbers::counted(slices.len(), "label", "labels")) } }
        div.scroll tabindex="0" role="region" aria-label={ (main) " of " (name) " by " (numbers::cut(column, MAX_NAME)) } {
            table.slices {
                thead {
                    tr {
                        th scope="col" { "Label" }
                        th.n scope="col" { "Queries" }
                        th.drawn scope="col" { span.spoken { "Drawing" } (axis(end)) }
                        th.n scope="col" { (main) }
                        th.n scope="col" { "Interval" }
                        th.n scope="col" { "Gap" }
                        th.n scope="col" { "Chance" }
                        @if compared.is_some() { th.n scope="col" { "To baseline" } }
                    }
                }
                tbody {
                    @for (index, slice) in sorted.iter().enumerate() {
                        @if hidden > 0 && index == WORST {
                            tr.gap { td colspan=(columns) {
                                (numbers::count(hidden)) " labels between these are left out here; report.json has all."
                            } }
                        }
                        @if hidden == 0 || index < WORST || index >= WORST + hidden {
                            (row(slice, &of(slice), difference(slice), compared.is_some(), confidence, end, overall))
                        }
                    }
                }
            }
        }
    }
}

fn row(
    slice: &SliceReport,
    found: &SliceMetric,
    difference: Option<&Difference>,
    compared: bool,
    confidence: f64,
    end: f64,
    overall: f64,
) -> Markup {
    html! {
        tr {
            th.label scope="row" {
                @match &slice.label {
                    Some(label) => bdi { (numbers::cut(label, MAX_NAME)) },
                    None => em.quiet { "no value" },
                }
            }
            td.n { (numbers::count(slice.queries)) }
            td.drawn {
                (Strip {
                    end,
                    value: found.value,
                    interval: found.interval,
                    chance: Some(found.chance),
                    baseline: difference.map(|difference| difference.a),
                    ties: None,
                    reference: Some(overall),
                }.draw())
            }
            td.n.main { (numbers::value(found.value)) }
            td.n { (or_dash(found.interval.map(numbers::interval))) }
            td.n { (numbers::difference(found.gap)) }
            td.n.quiet { (numbers::value(found.chance)) }
            @if compared {
                td.n {
                    @match difference {
                        Some(difference) => (Verdict::of(difference, confidence).small(difference)),
                        None => (or_dash(None)),
                    }
                }
            }
        }
    }
}
