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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::{Card, MAX_PICTURE_BYTES, MAX_PICTURES_BYTES};
    use crate::testing::embeddings;
    use crate::{
        Bootstrap, EvaluateOptions, Example, ExampleItem, Examples, Qrels, SearchOptions, Subject,
        TaskReport, evaluate, search,
    };

    fn task() -> TaskReport {
        let rows = embeddings("d", &[vec![1.0, 0.0], vec![0.0, 1.0]]);
        let qrels = Qrels::new([("d0", "d0", 1), ("d1", "d1", 1)]).expect("valid");
        let ranking = search(&rows, &rows, &qrels, &SearchOptions::new(2)).expect("valid");
        evaluate(&ranking, &EvaluateOptions::new(&[1])).expect("valid")
    }

    fn report(subject: Subject, task: TaskReport) -> Report {
        let tasks = BTreeMap::from([("only".to_owned(), task)]);
        Report::new(subject, &Bootstrap::default(), tasks).expect("usable name")
    }

    #[test]
    fn needs_nothing_from_elsewhere() {
        let html = report(Subject::default(), task()).to_html(&BTreeMap::new());
        assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"));
        assert!(html.contains("default-src 'none'; img-src data:"), "{html}");
        for foreign in ["<script", "http:", "https:", "@import", "url(", "src=\"/", "@font-face"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        for id in ["overview", "task-only", "space", "protocol"] {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
            assert!(html.contains(&format!("href=\"#{id}\"")), "{id}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        let hostile = "<b onclick=\"x\">&amp;</b>";
        let subject = Subject {
            model: hostile.into(),
            data: hostile.into(),
            command: hostile.into(),
            hashes: BTreeMap::from([(hostile.into(), hostile.into())]),
            data_hashes: BTreeMap::from([(hostile.into(), hostile.into())]),
        };
        let html = report(subject, TaskReport { description: hostile.into(), ..task() });
        let html = html.to_html(&BTreeMap::new());
        assert!(!html.contains("<b onclick"));
        let escaped = "&lt;b onclick=&quot;x&quot;&gt;&amp;amp;&lt;/b&gt;";
        // Title, heading, data, command, two digests of two texts each; the task's line twice.
        assert!(html.matches(escaped).count() >= 11, "{}", html.matches(escaped).count());
    }

    #[test]
    fn pictures_are_small_and_few() {
        let example = |query: String| Example {
            query: query.clone(),
            value: 1.0,
            first_rank: Some(1),
            retrieved: vec![ExampleItem { item: query, rank: 1, score: 0.5, relevant: true }],
            relevant: Vec::new(),
        };
        let count = 2 * MAX_PICTURES_BYTES / MAX_PICTURE_BYTES;
        let worst = (0..count).map(|at| example(at.to_string())).collect();
        let examples = Examples { metric: "mrr".into(), worst, best: Vec::new() };
        let report = report(Subject::default(), TaskReport { examples, ..task() });
        let shown = &report.shown()["only"];
        assert_eq!((shown.queries.len(), shown.items.len()), (count, count));

        let card = |bytes: usize, first: u8| Card {
            text: None,
            picture: Some([&[0xff, 0xd8, 0xff][..], &vec![first; bytes - 3]].concat()),
        };
        let mut items: BTreeMap<_, _> =
            shown.items.iter().map(|id| (id.clone(), card(MAX_PICTURE_BYTES, 0))).collect();
        items.insert("0".into(), card(MAX_PICTURE_BYTES + 1, 0));
        items.insert("1".into(), Card { text: None, picture: Some(b"GIF89a".to_vec()) });
        let gallery = Gallery { queries: BTreeMap::new(), items };
        let html = report.to_html(&BTreeMap::from([("only".into(), gallery)]));
        assert!(html.len() < MAX_PICTURES_BYTES / 3 * 4 + (2 << 20), "{}", html.len());
        assert_eq!(html.matches("<img ").count(), MAX_PICTURES_BYTES / MAX_PICTURE_BYTES);
        assert_eq!(html.matches("picture too large").count(), 1);
        assert_eq!(html.matches("picture is no JPEG").count(), 1);
        assert!(html.contains("too many pictures"));
        assert!(html.contains("384 pictures in this page, 384 left out"));
    }

    #[test]
    fn slices_are_worst_first_and_bounded() {
        use crate::{SliceMetric, SliceReport};
        let mut task = task();
        let slice = |at: usize| {
            let found = SliceMetric { gap: at as f64 / 100.0, ..SliceMetric::default() };
            let metrics = BTreeMap::from([("hits@1".to_owned(), found)]);
            let label = (at != 3).then(|| format!("label-{at}."));
            SliceReport { label, queries: 1, pool_mean: 2.0, metrics }
        };
        task.slices.insert("column".into(), (0..100).rev().map(slice).collect());
        let html = report(Subject::default(), task).to_html(&BTreeMap::new());
        let place = |label: &str| html.find(label).unwrap_or_else(|| panic!("no {label}"));
        assert!(place("label-0.") < place("label-1."));
        assert!(place("label-2.") < place("no value"));
        assert!(place("label-19.") < place("75 labels between these are left out"));
        assert!(place("75 labels between") < place("label-95."));
        assert!(!html.contains("label-20.") && !html.contains("label-94."));
    }
}
