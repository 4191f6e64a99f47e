//! Every metric of a task: its value and interval as a drawing and in figures, beside chance, ties
//! and the baseline. Owns which metrics come first and how a difference is judged.

use super::charts::{Strip, axis};
use super::numbers;
use crate::{Difference, MetricReport, Report, TaskReport};
use maud::{Markup, html};

/// The cut-off that papers report most.
const USUAL_K: usize = 5;

/// The task's main metric, then a few others: what the overview shows. The main one is hits at the
/// usual cut-off, or at 1 where queries are classified.
pub(super) fn headline(task: &TaskReport) -> Vec<String> {
    let nearest = |to: usize| task.ks.iter().copied().min_by_key(|k| (k.abs_diff(to), *k));
    let (Some(usual), Some(first), Some(last)) =
        (nearest(USUAL_K), task.ks.first(), task.ks.last())
    else {
        return Vec::new();
    };
    let main = if task.mean_per_class.is_some() { *first } else { usual };
    let wanted = [
        format!("hits@{main}"),
        format!("hits@{first}"),
        format!("precision@{usual}"),
        "mrr".into(),
        format!("ndcg@{last}"),
    ];
    let mut names: Vec<String> = Vec::new();
    for name in wanted {
        if task.metrics.contains_key(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What a paired difference says at the report's confidence.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Better,
    Worse,
    Open,
}

impl Verdict {
    pub(super) fn of(difference: &Difference, confidence: f64) -> Self {
        // NaN is no evidence.
        if !(difference.p_adjusted < 1.0 - confidence) {
            Self::Open
        } else if difference.difference > 0.0 {
            Self::Better
        } else {
            Self::Worse
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Open => "open",
        }
    }

    /// A sign that does not need colour, and the thin space after it.
    fn sign(self) -> &'static str {
        match self {
            Self::Better => "▲\u{2009}",
            Self::Worse => "▼\u{2009}",
            Self::Open => "",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Better => "better than the baseline",
            Self::Worse => "worse than the baseline",
            Self::Open => "not told apart from the baseline",
        }
    }

    /// The difference, large: for the overview.
    pub(super) fn chip(self, difference: &Difference) -> Markup {
        html! {
            span class={ "chip " (self.class()) } {
                span aria-hidden="true" { (self.sign()) }
                (numbers::difference(difference.difference))
                span.words { " to baseline" }
                span.spoken { ", " (self.words()) }
            }
        }
    }

    /// The difference, in a line of figures.
    pub(super) fn small(self, difference: &Difference) -> Markup {
        html! {
            span class={ "delta " (self.class()) } title=(self.words()) {
                span aria-hidden="true" { (self.sign()) }
                span.spoken { (self.words()) ": " }
                (numbers::difference(difference.difference))
            }
        }
    }
}

pub(super) fn table(report: &Report, name: &str, task: &TaskReport) -> Markup {
    let baseline = report.baseline.as_ref().and_then(|comparison| comparison.tasks.get(name));
    let confidence = report.protocol.confidence;
    let percent = numbers::level(confidence);
    let moves = |found: &MetricReport| found.optimistic > found.pessimistic;
    let any_ties = task.metrics.values().any(moves);
    let mut before = None;
    html! {
        (legend(&percent, baseline.is_some(), any_ties))
        div.scroll tabindex="0" role="region" aria-label={ "Metrics of " (name) } {
            table.metrics {
                thead {
                    tr {
                        th scope="col" { "Metric" }
                        th.drawn scope="col" { span.spoken { "Drawing" } (axis(1.0)) }
                        th.n scope="col" { "Value" }
                        th.n scope="col" { (percent) " interval" }
                        th.n scope="col" { "Chance" }
                        @if baseline.is_some() {
                            th.n scope="col" { "Baseline" }
                            th.n scope="col" { "Difference" }
                            th.n scope="col" { "Its interval" }
                            th.n scope="col" { abbr title="Probability of such a difference if neither were better, corrected for the number of tests (Holm)" { "adj. p" } }
                        }
                        @if any_ties { th.n scope="col" { "Ties, worst – best" } }
                    }
                }
                tbody {
                    @for (metric, found) in task.metrics_in_order() {
                        @let label = metric.to_string();
                        @let difference = baseline.and_then(|task| task.metrics.get(&label));
                        @let starts = before.replace(metric.measure) != Some(metric.measure);
                        tr.starts[starts] {
                            th scope="row" { (label) }
                            td.drawn {
                                (Strip {
                                    end: 1.0,
                                    value: found.value,
                                    interval: found.interval,
                                    chance: Some(found.chance),
                                    baseline: difference.map(|difference| difference.a),
                                    ties: moves(found).then_some([found.pessimistic, found.optimistic]),
                                    reference: None,
                                }.draw())
                            }
                            td.n.main { (numbers::value(found.value)) }
                            td.n { (or_dash(found.interval.map(numbers::interval))) }
                            td.n.quiet { (numbers::value(found.chance)) }
                            @if baseline.is_some() {
                                (differences(difference, confidence))
                            }
                            @if any_ties {
                                td.n {
                                    @if moves(found) {
                                        span.flag { (numbers::interval([found.pessimistic, found.optimistic])) }
                                    } @else { (or_dash(None)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @match (&report.baseline, baseline) {
            (None, _) => p.absent { "Not computed: difference to a baseline, for the report was given none." },
            (Some(_), None) => p.absent { "Not computed: difference to the baseline, for its report lacks this task." },
            (Some(_), Some(paired)) => p.note {
                "Differences are over the " (numbers::counted(paired.queries, "query", "queries"))
                " that both reports score"
                @if paired.only_a + paired.only_b > 0 {
                    " (" (numbers::count(paired.only_a)) " only in the baseline, "
                    (numbers::count(paired.only_b)) " only here)"
                }
                "."
            },
        }
        @if let Some(means) = &task.mean_per_class {
            p.note {
                "Mean over classes: "
                @for (index, (metric, value)) in means.iter().enumerate() {
                    @if index > 0 { ", " }
                    (metric) " " b { (numbers::value(*value)) }
                }
                ". Every class counts the same, however many queries it has (hits@1: balanced accuracy)."
            }
        }
    }
}

fn differences(difference: Option<&Difference>, confidence: f64) -> Markup {
    html! {
        @if let Some(difference) = difference {
            td.n { (numbers::value(difference.a)) }
            td.n { (Verdict::of(difference, confidence).small(difference)) }
            td.n { (or_dash(difference.interval.map(numbers::interval))) }
            td.n { (numbers::probability(difference.p_adjusted)) }
        } @else {
            @for _ in 0..4 { td.n { (or_dash(None)) } }
        }
    }
}

fn legend(percent: &str, baseline: bool, ties: bool) -> Markup {
    html! {
        ul.legend {
            li { span.mark.value aria-hidden="true" {} "value, with its " (percent) " interval" }
            li { span.mark.chance aria-hidden="true" {} "chance" }
            @if baseline { li { span.mark.baseline aria-hidden="true" {} "baseline" } }
            @if ties { li { span.mark.ties aria-hidden="true" {} "if ties fell worst or best" } }
        }
    }
}

/// A dash, which is read out as what it means, where there is no figure.
pub(super) fn or_dash(text: Option<String>) -> Markup {
    html! {
        @match text {
            Some(text) => (text),
            None => span.quiet { span aria-hidden="true" { "–" } span.spoken { "none" } },
        }
    }
}
