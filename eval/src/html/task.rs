//! A task's part of the page: what was searched, its metrics, curves, ranks, scores, slices and
//! examples, in this order.

use super::{charts, examples, metrics, numbers, slices};
use crate::{Candidates, Gallery, Measure, Report, SelfMatch, TaskReport};
use maud::{Markup, html};

/// The id of a task's section. Task names are letters, digits, `_`, `-` and `.`.
pub(super) fn anchor(name: &str) -> String {
    format!("task-{name}")
}

pub(super) fn section(
    report: &Report,
    name: &str,
    task: &TaskReport,
    gallery: &Gallery,
    pictures: &mut examples::Pictures,
) -> Markup {
    html! {
        section.task id=(anchor(name)) {
            h2 { (name) }
            @if !task.description.is_empty() { p.about { bdi { (task.description) } } }
            (facts(report, name, task))
            h3 { "Metrics" }
            (metrics::table(report, name, task))
            h3 { "Curves and distributions" }
            (drawings(task))
            h3 { "Slices" }
            (slices::section(report, name, task))
            @if let Some(comparison) = &report.baseline {
                h3 { "Queries that gained and lost most" }
                (examples::changes(comparison.tasks.get(name), gallery, pictures))
            }
            h3 { "Worst queries" }
            (examples::list(&task.examples.worst, &task.examples.metric, gallery, pictures))
            h3 { "Best queries" }
            (examples::list(&task.examples.best, &task.examples.metric, gallery, pictures))
        }
    }
}

/// The size and the rules of the task, in a line.
fn facts(report: &Report, name: &str, task: &TaskReport) -> Markup {
    let before =
        report.baseline.as_ref().and_then(|comparison| comparison.tasks.get(name)?.first_rank);
    let relevance = &task.relevance;
    let per_query = if relevance.min == relevance.max {
        numbers::count(relevance.max)
    } else {
        format!(
            "{}–{} (mean {})",
            numbers::count(relevance.min),
            numbers::count(relevance.max),
            numbers::minus(relevance.mean, 1)
        )
    };
    html! {
        dl.facts {
            div { dt { "queries" } dd { (numbers::count(task.queries.scored)) } }
            div { dt { "pool" } dd { (numbers::counted(task.pool, "item", "items")) } }
            div { dt { "candidates" } dd { (candidates(&task.candidates)) } }
            div { dt { "relevant per query" } dd { (per_query) } }
            div { dt { "own item" } dd { (own_item(task.self_match)) } }
            div { dt { "tied relevant items" } dd { (numbers::count(task.ties.relevant_items)) } }
            @if task.queries.without_relevant > 0 {
                div { dt { "without a relevant item" } dd { (numbers::counted(task.queries.without_relevant, "query", "queries")) } }
            }
            @if let Some(rank) = task.first_rank {
                div {
                    dt { "first relevant item" }
                    dd { "mean rank " (numbers::rank(rank.mean)) ", median " (numbers::rank(rank.median)) ", chance " (numbers::rank(rank.chance_mean))
                        @if let Some(before) = before { "; baseline " (numbers::rank(before.a_mean)) ", median " (numbers::rank(before.a_median)) }
                    }
                }
            }
        }
    }
}

pub(super) fn candidates(candidates: &Candidates) -> Markup {
    html! {
        @match candidates {
            Candidates::All => "all items",
            Candidates::Within { column } => { "items of the query's " bdi { (column) } },
        }
    }
}

pub(super) fn own_item(rule: SelfMatch) -> &'static str {
    match rule {
        SelfMatch::Keep => "is a candidate",
        SelfMatch::Exclude => "excluded",
    }
}

fn drawings(task: &TaskReport) -> Markup {
    let order = [Measure::Hits, Measure::Recall, Measure::Precision, Measure::Ndcg];
    html! {
        ul.legend {
            li { span.mark.line aria-hidden="true" {} "this report" }
            li { span.mark.dashed aria-hidden="true" {} "chance" }
            li { span.mark.filled aria-hidden="true" {} "relevant pairs" }
            li { span.mark.grey aria-hidden="true" {} "other pairs" }
        }
        div.charts {
            @for measure in order {
                @if let Some(points) = task.curves.get(measure.name()) {
                    (charts::curve(measure.name(), points))
                }
            }
            (charts::ranks(&task.rank_histogram, task.queries.without_relevant))
            @if let Some(scores) = &task.scores { (charts::scores(scores)) }
        }
        @if task.curves.is_empty() {
            p.absent { "Not computed: metrics over k." }
        }
        @match &task.scores {
            Some(scores) => p.note {
                "Scores: all " (numbers::count(scores.positives.iter().sum())) " relevant pairs (mean "
                (numbers::minus(scores.positive_mean, 3)) ") and " (numbers::count(scores.sampled_negatives))
                " other pairs (mean " (numbers::minus(scores.negative_mean, 3))
                "), each as shares of its own number. The less they overlap, the better one threshold tells them apart."
            },
            None => p.absent { "Not computed: the distribution of scores." },
        }
    }
}
