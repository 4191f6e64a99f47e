//! What a reader needs to repeat the evaluation, and to know what the figures mean.

use super::examples::Pictures;
use super::task::{candidates, own_item};
use super::{numbers, task::anchor};
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
            @for (name, task) in &report.tasks {
                h3 { a href={ "#" (anchor(name)) } { (name) } }
                (task_terms(task))
            }
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
                            "; " (numbers::minus(protocol.confidence * 100.0, 1)) " %, "
                            (numbers::count(protocol.resamples)) " resamples, seed " (protocol.seed)
                        } @else { "; none were made (0 resamples)" }
                    }
                }
                @if let Some(comparison) = &report.baseline {
                    div {
                        dt { "Differences" }
                        dd {
                            "here less baseline, query by query; " (comparison.intervals) "; " (comparison.test)
                            "; " (numbers::minus(comparison.confidence * 100.0, 1)) " %, "
                            (numbers::count(comparison.resamples)) " resamples, seed " (comparison.seed)
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

fn task_terms(task: &TaskReport) -> Markup {
    let (queries, relevance) = (&task.queries, &task.relevance);
    html! {
        dl.terms {
            div { dt { "Pool" } dd { (numbers::counted(task.pool, "item", "items")) "; candidates: " (candidates(&task.candidates)) "; an item with the query's own id " (own_item(task.self_match)) } }
            div {
                dt { "Queries" }
                dd {
                    (numbers::count(queries.given)) " given, " (numbers::count(queries.scored)) " scored ("
                    (numbers::count(queries.without_relevant)) " of them without a relevant item), "
                    (numbers::count(queries.unjudged)) " not judged"
                }
            }
            div {
                dt { "Relevant items per query (R)" }
                dd {
                    "min " (numbers::count(relevance.min)) ", median " (numbers::rank(relevance.median))
                    ", mean " (numbers::minus(relevance.mean, 2)) ", max " (numbers::count(relevance.max))
                    "; queries by R: "
                    @for (index, (relevant, count)) in relevance.histogram.iter().take(MAX_RELEVANCE).enumerate() {
                        @if index > 0 { ", " }
                        "R=" (numbers::count(*relevant)) ": " (numbers::count(*count))
                    }
                    @if relevance.histogram.len() > MAX_RELEVANCE { ", …" }
                }
            }
            div { dt { "Ties" } dd { (numbers::counted(task.ties.relevant_items, "relevant item shares its", "relevant items share their")) " exact score with another item, in " (numbers::counted(task.ties.queries, "query", "queries")) } }
            div { dt { "Dumped run" } dd { "run.trec lists " (numbers::count(task.run_depth)) " items per query" } }
            div { dt { "Digest of the pool" } dd { code { (task.digests.items) } } }
            div { dt { "Digest of the relevance" } dd { code { (task.digests.relevance) } } }
        }
    }
}
