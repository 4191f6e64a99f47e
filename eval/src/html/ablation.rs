//! The page of an ablation: verdicts, then a table per metric and stratum with every contrast drawn on
//! one axis, then the protocol.

use super::{document, numbers};
use crate::ablation::markdown::{EFFECTS, KINDS, of_arm, relative, seeds, settings};
use crate::{Ablation, AblationMetric, Contrast, ContrastKind, Outcome};
use maud::{Markup, html};

/// The page.
pub(crate) fn page(ablation: &Ablation) -> String {
    let design = &ablation.design;
    let body = html! {
        header.top {
            p.kind { "Ablation" }
            h1 { bdi { (design.name) } }
            p.data {
                (numbers::counted(design.arms.len(), "arm", "arms")) ", "
                (numbers::counted(design.seeds.len(), "seed", "seeds")) " each; compared with "
                bdi { (design.reference) }
            }
            nav aria-label="Sections" {
                ul {
                    li { a href="#overview" { "Overview" } }
                    @for metric in &ablation.metrics {
                        li { a href={ "#" (anchor(&metric.name)) } { (metric.name) } }
                    }
                    li { a href="#protocol" { "Protocol" } }
                }
            }
        }
        main {
            (overview(ablation))
            @for metric in &ablation.metrics { (section(ablation, metric)) }
            (protocol(ablation))
        }
    };
    document(&format!("Ablation: {}", design.name), &body).into_string()
}

fn anchor(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("metric-{}", name.chars().map(plain).collect::<String>())
}

fn overview(ablation: &Ablation) -> Markup {
    html! {
        section #overview {
            h2 { "Overview" }
            @for (metric, verdict) in
                ablation.metrics.iter().filter_map(|m| Some((m, m.verdict.as_ref()?)))
            {
                p {
                    span.chip.better[verdict.outcome == Outcome::Reproduced]
                        .worse[verdict.outcome == Outcome::Contradicted] {
                        @match verdict.outcome {
                            Outcome::Reproduced => "reproduced",
                            Outcome::Contradicted => "not reproduced",
                            Outcome::Depends => "depends",
                            Outcome::CannotTell => "cannot be told",
                        }
                    }
                    " " a href={ "#" (anchor(&metric.name)) } { (metric.name) } " "
                    (verdict.sentence)
                }
            }
            (arms(ablation))
            @if let Some(reported) = &ablation.design.reported {
                h3 { "Reported" }
                p.about { (reported.source) }
                dl.terms {
                    @for removal in &reported.removals {
                        div {
                            dt { "without " (removal.factor) }
                            dd {
                                @for (at, (metric, change)) in removal.changes.iter().enumerate() {
                                    @if at > 0 { ", " }
                                    (metric) " " (change)
                                }
                            }
                        }
                    }
                }
            } @else {
                p.absent { "Nothing was given that others reported." }
            }
        }
    }
}

/// Arms by metrics.
fn arms(ablation: &Ablation) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Arms by metric" {
            table {
                thead {
                    tr {
                        th scope="col" { "Arm" }
                        @for metric in &ablation.metrics { th.n scope="col" { (metric.name) } }
                    }
                }
                tbody {
                    @for (at, arm) in ablation.design.arms.iter().enumerate() {
                        tr {
                            th.label scope="row" { bdi { (arm.name) } }
                            @for metric in &ablation.metrics { td.n { (of_arm(metric, at)) } }
                        }
                    }
                }
            }
        }
    }
}

fn section(ablation: &Ablation, metric: &AblationMetric) -> Markup {
    html! {
        section.task id=(anchor(&metric.name)) {
            h2 { (metric.name) }
            p.about {
                (numbers::counted(metric.queries, "query", "queries")) ", pool of "
                (numbers::counted(metric.pool, "item", "items")) ", chance "
                (numbers::value(metric.chance))
            }
            h3 { "All queries" }
            (tables(ablation, metric, &metric.contrasts))
            @for (column, strata) in &metric.strata {
                @for stratum in strata {
                    h3 {
                        bdi { (column) } ": "
                        @match &stratum.label {
                            Some(label) => bdi { (numbers::cut(label, 80)) },
                            None => "no value",
                        }
                        span.quiet { " " (numbers::counted(stratum.queries, "query", "queries")) }
                    }
                    (tables(ablation, metric, &stratum.contrasts))
                }
            }
        }
    }
}

/// The arms, and below them what follows from them.
fn tables(ablation: &Ablation, metric: &AblationMetric, contrasts: &[Contrast]) -> Markup {
    let (arms, others): (Vec<_>, Vec<_>) =
        contrasts.iter().partition(|contrast| contrast.kind == ContrastKind::Arm);
    html! {
        (table(ablation, metric, contrasts, &arms))
        (table(ablation, metric, contrasts, &others))
    }
}

fn table(
    ablation: &Ablation,
    metric: &AblationMetric,
    all: &[Contrast],
    shown: &[&Contrast],
) -> Markup {
    let ends = |contrast: &&Contrast| {
        let [low, high] = contrast.interval.unwrap_or([contrast.value; 2]);
        contrast.per_seed.iter().copied().chain([low, high, contrast.value]).collect::<Vec<f64>>()
    };
    let figures: Vec<f64> = shown.iter().flat_map(ends).collect();
    let (low, high) =
        figures.iter().fold((0.0f64, 0.0f64), |(low, high), x| (low.min(*x), high.max(*x)));
    let axis = Axis { low, high };
    let removals = shown.iter().any(|contrast| contrast.kind == ContrastKind::Removal);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(metric.name) {
            table {
                thead {
                    tr {
                        th scope="col" { "" }
                        th.drawn scope="col" { span.spoken { "Drawing" } (axis.labels()) }
                        th.n scope="col" { "Value" }
                        th.n scope="col" { "Interval" }
                        @for seed in &ablation.design.seeds { th.n scope="col" { "Seed " (seed) } }
                        @if removals {
                            th.n scope="col" { "Of full" }
                            th.n scope="col" { "Reported" }
                        }
                    }
                }
                tbody {
                    @for (kind, word) in KINDS {
                        @for contrast in of_kind_of(shown, kind) {
                            tr {
                                th.label scope="row" {
                                    @if kind != ContrastKind::Arm { span.quiet { (word) ": " } }
                                    bdi { (contrast.name) }
                                }
                                td.drawn { (axis.draw(contrast)) }
                                td.n.main { (figure(kind, contrast.value)) }
                                td.n {
                                    @match contrast.interval {
                                        Some(interval) => (numbers::interval(interval)),
                                        None => span.quiet { "–" },
                                    }
                                }
                                @for value in &contrast.per_seed { td.n.quiet { (figure(kind, *value)) } }
                                @if removals {
                                    td.n {
                                        @if let Some(share) = relative(all, contrast) {
                                            (numbers::minus(share * 100.0, 2)) " %"
                                        }
                                    }
                                    td.n { (ablation.reported(metric, contrast).unwrap_or_default()) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn of_kind_of<'a>(shown: &[&'a Contrast], kind: ContrastKind) -> Vec<&'a Contrast> {
    shown.iter().copied().filter(|contrast| contrast.kind == kind).collect()
}

fn figure(kind: ContrastKind, value: f64) -> String {
    match kind {
        ContrastKind::Arm => numbers::value(value),
        _ => numbers::difference(value),
    }
}

/// What all lines of a table are drawn on; it holds 0.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// Where a value lies, in per cent of the width, a little off the edges.
    fn at(&self, value: f64) -> String {
        let span = (self.high - self.low).max(f64::MIN_POSITIVE);
        format!("{:.2}%", 3.0 + 94.0 * ((value - self.low) / span).clamp(0.0, 1.0))
    }

    fn labels(&self) -> Markup {
        html! {
            span.axis aria-hidden="true" {
                span { (numbers::minus(self.low, 3)) }
                span { (numbers::minus(self.high, 3)) }
            }
        }
    }

    /// A contrast: dot, interval, a tick for each seed, and 0 as a dotted line. Its numbers stand
    /// beside it in the table, so a listener is spared it.
    fn draw(&self, contrast: &Contrast) -> Markup {
        html! {
            svg.strip aria-hidden="true" {
                line.rail x1="0%" x2="100%" y1="50%" y2="50%" {}
                line.reference x1=(self.at(0.0)) x2=(self.at(0.0)) y1="0" y2="22" {}
                @if let Some([low, high]) = contrast.interval {
                    line.interval x1=(self.at(low)) x2=(self.at(high)) y1="50%" y2="50%" {}
                }
                @for value in &contrast.per_seed {
                    line.chance x1=(self.at(*value)) x2=(self.at(*value)) y1="7" y2="15" {}
                }
                circle.value cx=(self.at(contrast.value)) cy="50%" r="4.5" {}
            }
        }
    }
}

fn protocol(ablation: &Ablation) -> Markup {
    let design = &ablation.design;
    html! {
        section #protocol {
            h2 { "Protocol" }
            p.note { "In the drawings the dot is the value, the bar its interval, a tick the value of one seed, the dotted line 0." }
            dl.terms {
                @for arm in &design.arms {
                    div {
                        dt { bdi { (arm.name) } }
                        dd {
                            @if arm.factors.is_empty() { "none of the factors" } @else { (arm.factors.join(", ")) }
                            ": " code { (settings(&arm.settings)) }
                        }
                    }
                }
                div { dt { "Reference" } dd { bdi { (design.reference) } } }
                div { dt { "Seeds" } dd { (seeds(&design.seeds)) } }
                div {
                    dt { "Intervals" }
                    dd {
                        (numbers::share(ablation.confidence)) ", "
                        (numbers::counted(ablation.resamples, "resample", "resamples")) ", "
                        (ablation.intervals)
                    }
                }
                div { dt { "Effects" } dd { (EFFECTS) } }
                div { dt { "Command" } dd { code { (design.command) } } }
            }
        }
    }
}
