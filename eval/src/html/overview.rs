//! The first screen: each task's main figures with their uncertainty and what to beware of.

use super::metrics::{Verdict, headline};
use super::{numbers, task::anchor};
use crate::{MetricReport, Report, TaskReport};
use maud::{Markup, html};

/// Ties that move a metric by more than this are no few equal captions.
const COLLAPSED: f64 = 0.2;

/// Tie bounds that are farther apart than this are worth a warning.
const TIES_MATTER: f64 = 0.001;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #overview {
            h2 { "Overview" }
            @if report.tasks.is_empty() {
                p.absent { "The report has no tasks." }
            }
            div.cards {
                @for (name, task) in &report.tasks {
                    (card(report, name, task))
                }
            }
            @if let Some(comparison) = &report.baseline {
                p.note {
                    "▲ better and ▼ worse than the baseline, as a paired test finds it with "
                    (numbers::level(comparison.confidence))
                    " confidence after correction for the number of tests; other differences may be chance."
                }
            }
            (notes(report))
        }
    }
}

fn card(report: &Report, name: &str, task: &TaskReport) -> Markup {
    let shown = headline(task);
    let Some((main, others)) = shown.split_first() else {
        return html! {};
    };
    let difference =
        |metric: &str| report.baseline.as_ref()?.tasks.get(name)?.metrics.get(metric).copied();
    let confidence = report.protocol.confidence;
    let found = task.metrics.get(main).copied().unwrap_or_default();
    html! {
        article.card {
            h3 { a href={ "#" (anchor(name)) } { (name) } }
            @if !task.description.is_empty() { p.about { bdi { (task.description) } } }
            p.figure {
                span.number { (numbers::short(found.value)) }
                span.what {
                    span { (main) }
                    @if let Some(interval) = found.interval {
                        span.interval { (numbers::interval(interval)) }
                    } @else {
                        span.interval { "no interval" }
                    }
                }
            }
            p.versus {
                @if let Some(difference) = difference(main) {
                    (Verdict::of(&difference, confidence).chip(&difference))
                    " "
                }
                span.quiet { "chance " (numbers::short(found.chance)) }
            }
            dl.rest {
                @for metric in others {
                    div {
                        dt { (metric) }
                        dd {
                            (numbers::short(task.metric(metric).unwrap_or_default()))
                            @if let Some(difference) = difference(metric) {
                                " " (Verdict::of(&difference, confidence).small(&difference))
                            }
                        }
                    }
                }
                @if let Some(rank) = task.first_rank {
                    div {
                        dt { "median rank" }
                        dd { (numbers::rank(rank.median)) " " span.quiet { "of " (numbers::count(task.pool)) } }
                    }
                }
                @if let Some(value) = task.mean_per_class.as_ref().and_then(|means| means.get(main)) {
                    div {
                        dt { (main) ", mean over classes" }
                        dd { (numbers::short(*value)) }
                    }
                }
            }
        }
    }
}

/// What a reader must know before trusting the figures above.
fn notes(report: &Report) -> Markup {
    let mut notes = Vec::new();
    for (name, task) in &report.tasks {
        if let Some((metric, found)) = widest_ties(task) {
            notes.push(html! {
                "In " b { (name) } " equal scores decide: " (metric) " is " (numbers::short(found.value))
                ", and between " (numbers::short(found.pessimistic)) " and "
                (numbers::short(found.optimistic)) " if ties fell worst or best. "
                (numbers::counted(task.ties.relevant_items, "relevant item shares its", "relevant items share their"))
                " exact score with another item, in " (numbers::counted(task.ties.queries, "query", "queries"))
                @if found.optimistic - found.pessimistic > COLLAPSED {
                    "; a collapsed model looks like this"
                }
                "."
            });
        }
        if task.queries.unjudged > 0 {
            notes.push(html! {
                "In " b { (name) } " " (numbers::counted(task.queries.unjudged, "query has", "queries have"))
                " no judgement and " (if task.queries.unjudged == 1 { "does" } else { "do" }) " not count."
            });
        }
    }
    let differences =
        report.baseline.iter().flat_map(|comparison| &comparison.protocol_differences);
    for difference in differences {
        notes.push(html! { "The baseline was measured otherwise: " bdi { (difference) } });
    }
    html! {
        @if !notes.is_empty() {
            ul.notes aria-label="To beware of" {
                @for note in notes { li { (note) } }
            }
        }
    }
}

/// The metric of the headline that ties could move farthest.
fn widest_ties(task: &TaskReport) -> Option<(String, MetricReport)> {
    let gap = |found: &MetricReport| found.optimistic - found.pessimistic;
    // Of equals `max_by` takes the last: the one that the headline has first.
    headline(task)
        .into_iter()
        .rev()
        .filter_map(|name| task.metrics.get(&name).map(|found| (name.clone(), *found)))
        .filter(|(_, found)| gap(found) > TIES_MATTER)
        .max_by(|a, b| gap(&a.1).total_cmp(&gap(&b.1)))
}
