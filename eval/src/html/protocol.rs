//! What a reader needs to repeat the evaluation, and to know what the figures mean.

use super::examples::Pictures;
use super::numbers;
use super::task::{anchor, candidates, own_item};
use crate::{Report, Subject, TaskReport};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Digests that are listed; report.json has all.
const MAX_HASHES: usize = 40;
/// Values of R that are listed.
const MAX_RELEVANCE: usize = 12;

/// A text of the caller's, or that it gave none.
pub(super) fn stated(text: &str) -> &str {
    if text.is_empty() { "not stated" } else { text }
}

pub(super) fn section(report: &Report, pictures: &Pictures) -> Markup {
    let protocol = &report.protocol;
    let subject = &protocol.subject;
    html! {
        section #protocol {
            h2 { "Protocol" }
            h3 { "What was evaluated" }
            dl.terms {
                (subject_terms(subject))
                div { dt { "Report" } dd { code { (report.schema) " " (report.schema_version) } ", written by eval " (env!("CARGO_PKG_VERSION")) } }
            }
            @if let Some(comparison) = &report.baseline {
                h3 { "Baseline" }
                dl.terms { (subject_terms(&comparison.a)) }
            }
            h3 { "Tasks" }
            (tasks(&report.tasks))
            h3 { "Rules" }
            dl.terms {
                div { dt { "Scores" } dd { (protocol.scores) } }
                div { dt { "Ties" } dd { (protocol.tie_rule) } }
                div { dt { "Averages" } dd { (protocol.averaging) } }
                div { dt { "Chance" } dd { "exact expectation over all orders of the candidates" } }
                div {
                    dt { "Intervals" }
                    dd {
                        (protocol.intervals)
                        @if protocol.resamples > 0 {
                            "; " (numbers::level(protocol.confidence)) ", "
                            (numbers::count(protocol.resamples)) " resamples, seed " (protocol.seed)
                        } @else { "; none were made (0 resamples)" }
                    }
                }
                @if let Some(comparison) = &report.baseline {
                    div {
                        dt { "Differences" }
                        dd {
                            "here less baseline, query by query; " (comparison.intervals) "; " (comparison.test)
                            "; " (numbers::level(comparison.confidence)) ", "
                            (numbers::count(comparison.resamples)) " resamples, "
                            (numbers::count(comparison.permutations)) " sign flips, seed " (comparison.seed)
                        }
                    }
                    @if !comparison.protocol_differences.is_empty() {
                        div {
                            dt { "Protocols differ in" }
                            dd { ul { @for difference in &comparison.protocol_differences { li { bdi { (difference) } } } } }
                        }
                    }
                }
                @if pictures.shown + pictures.left_out > 0 {
                    div {
                        dt { "Pictures" }
                        dd {
                            (numbers::counted(pictures.shown, "picture", "pictures")) " in this page"
                            @if pictures.left_out > 0 { ", " (numbers::count(pictures.left_out)) " left out for their size or format" }
                        }
                    }
                }
            }
            h3 { "Definitions" }
            dl.terms {
                @for (name, definition) in &protocol.definitions {
                    div { dt { (name) } dd { (definition) } }
                }
            }
        }
    }
}

fn subject_terms(subject: &Subject) -> Markup {
    html! {
        div { dt { "Model" } dd { bdi { (stated(&subject.model)) } } }
        div { dt { "Data" } dd { bdi { (stated(&subject.data)) } } }
        div {
            dt { "Command" }
            dd {
                @if subject.command.is_empty() { (stated("")) } @else { code { bdi { (subject.command) } } }
            }
        }
        (hashes("Model digests", &subject.hashes))
        (hashes("Data digests", &subject.data_hashes))
    }
}

fn hashes(title: &str, hashes: &BTreeMap<String, String>) -> Markup {
    html! {
        div {
            dt { (title) }
            dd {
                @if hashes.is_empty() { (stated("")) }
                ul.hashes {
                    @for (name, hash) in hashes.iter().take(MAX_HASHES) {
                        li { bdi { (name) } " " code { bdi { (hash) } } }
                    }
                    @if hashes.len() > MAX_HASHES {
                        li { (numbers::count(hashes.len() - MAX_HASHES)) " more in report.json" }
                    }
                }
            }
        }
    }
}

fn tasks(tasks: &BTreeMap<String, TaskReport>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Tasks" {
            table.tasks {
                thead {
                    tr {
                        th scope="col" { "Task" }
                        th.n scope="col" { "Pool" }
                        th scope="col" { "Candidates" }
                        th scope="col" { "Own item" }
                        th.n scope="col" { "Queries given" }
                        th.n scope="col" { "Scored" }
                        th.n scope="col" { "Without relevant" }
                        th.n scope="col" { "Not judged" }
                        th.n scope="col" { abbr title="relevant items per scored query" { "R" } ", min – max" }
                        th.n scope="col" { "R, median" }
                        th.n scope="col" { "R, mean" }
                        th.n scope="col" { "Tied items" }
                        th.n scope="col" { "in queries" }
                        th.n scope="col" { "run.trec lists" }
                    }
                }
                tbody {
                    @for (name, task) in tasks {
                        tr {
                            th scope="row" { a href={ "#" (anchor(name)) } { (name) } }
                            td.n { (numbers::count(task.pool)) }
                            td { (candidates(&task.candidates)) }
                            td { (own_item(task.self_match)) }
                            td.n { (numbers::count(task.queries.given)) }
                            td.n { (numbers::count(task.queries.scored)) }
                            td.n { (numbers::count(task.queries.without_relevant)) }
                            td.n { (numbers::count(task.queries.unjudged)) }
                            td.n { (numbers::count(task.relevance.min)) " – " (numbers::count(task.relevance.max)) }
                            td.n { (numbers::rank(task.relevance.median)) }
                            td.n { (numbers::minus(task.relevance.mean, 2)) }
                            td.n { (numbers::count(task.ties.relevant_items)) }
                            td.n { (numbers::count(task.ties.queries)) }
                            td.n { (numbers::count(task.run_depth)) }
                        }
                    }
                }
            }
        }
        p.note {
            "R is the number of relevant items of a scored query. Tied items are relevant ones that share their exact score with another item."
        }
        dl.terms {
            @for (name, task) in tasks {
                div {
                    dt { (name) }
                    dd {
                        ul {
                            li { "queries by R: " (relevance(task)) }
                            li { "pool " code { (stated(&task.digests.items)) } }
                            li { "relevance " code { (stated(&task.digests.relevance)) } }
                        }
                    }
                }
            }
        }
    }
}

/// `R=1: 300, R=2: 12`.
fn relevance(task: &TaskReport) -> String {
    let histogram = &task.relevance.histogram;
    let part = |(relevant, queries): (&usize, &usize)| {
        format!("R={}: {}", numbers::count(*relevant), numbers::count(*queries))
    };
    let mut parts: Vec<String> = histogram.iter().take(MAX_RELEVANCE).map(part).collect();
    if histogram.len() > parts.len() {
        parts.push("…".into());
    }
    parts.join(", ")
}
