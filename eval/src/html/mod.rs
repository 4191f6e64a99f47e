//! A report as one HTML file that needs nothing else: no script, no font, no request. Owns the page:
//! its sections are the files beside this one, its looks are `style.css`.

mod ablation;
mod charts;
mod examples;
mod metrics;
mod numbers;
mod overview;
mod protocol;
mod slices;
mod space;
mod task;

pub(crate) use ablation::page as ablation_page;

use crate::{Gallery, Report};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// Forbids the page whatever it does not need, should a caption ever get past the escaping.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// The page. Tasks without a gallery show ids in place of pictures and texts.
pub(crate) fn page(report: &Report, galleries: &BTreeMap<String, Gallery>) -> String {
    let subject = &report.protocol.subject;
    let title = if subject.model.is_empty() { "Retrieval report" } else { &subject.model };
    let mut pictures = examples::Pictures::default();
    let none = Gallery::default();
    let body = html! {
        header.top {
            p.kind { "Retrieval report" }
            h1 { bdi { (title) } }
            p.data {
                @if subject.data.is_empty() { "Data not stated" } @else { bdi { (subject.data) } }
            }
            @match &report.baseline {
                Some(comparison) => p.against {
                    span.mark.baseline aria-hidden="true" {}
                    " compared with the baseline "
                    bdi { (protocol::stated(&comparison.a.model)) }
                },
                None => p.against.absent { "No baseline was given: values stand beside chance alone." },
            }
            nav aria-label="Sections" {
                ul {
                    li { a href="#overview" { "Overview" } }
                    @for name in report.tasks.keys() {
                        li { a href={ "#task-" (name) } { (name) } }
                    }
                    li { a href="#space" { "Space" } }
                    li { a href="#protocol" { "Protocol" } }
                }
            }
        }
        main {
            (overview::section(report))
            @for (name, task) in &report.tasks {
                (task::section(report, name, task, galleries.get(name).unwrap_or(&none), &mut pictures))
            }
            (space::section(report.space.as_ref()))
            (protocol::section(report, &pictures))
        }
    };
    document(title, &body).into_string()
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                // Without one a browser asks for /favicon.ico.
                link rel="icon" href="data:,";
                title { (title) " · retrieval report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { (body) }
        }
    }
}
