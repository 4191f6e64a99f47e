//! The embedding space in a few figures, each with what it means.

use super::numbers;
use crate::{PairCount, Space};
use maud::{Markup, html};

pub(super) fn section(space: Option<&Space>) -> Markup {
    html! {
        section #space {
            h2 { "Space" }
            @match space {
                Some(space) => (figures(space)),
                None => p.absent { "Not computed: the shape of the embedding space." },
            }
        }
    }
}

fn figures(space: &Space) -> Markup {
    let pairs = |name: &str| space.pairs.get(name).copied();
    html! {
        dl.space {
            (figure(
                "Logit scale",
                space.logit_scale.map(|scale| format!("{scale:.2}")),
                None,
                "What the model multiplies cosines by before its softmax: 1 over the temperature. CLIP starts at 14.3 and stops at 100; higher is surer.",
            ))
            (figure(
                "Alignment",
                space.alignment.map(|value| numbers::minus(value, 3)),
                pairs("alignment"),
                "Mean squared distance of what belongs together, from 0 to 4. Lower is closer.",
            ))
            @if space.uniformity.is_empty() {
                (figure("Uniformity", None, None, "Needs two rows of a side."))
            }
            @for (side, value) in &space.uniformity {
                (figure(
                    &format!("Uniformity, {side}"),
                    Some(numbers::minus(*value, 3)),
                    pairs(&format!("uniformity/{side}")),
                    "Log of the mean of exp(−2d²) over pairs of rows. Lower is more evenly spread; 0 is a collapsed model.",
                ))
            }
            (figure(
                "Modality gap",
                space.modality_gap.map(|value| numbers::minus(value, 3)),
                None,
                "Distance between the means of the two sides, from 0 to 2. A constant gap shifts all scores of a query alike, so by itself it costs no ranks.",
            ))
            (figure("Width", Some(numbers::count(space.width)), None, "Components of an embedding."))
        }
        p.note {
            "Alignment and uniformity as Wang and Isola (2020) define them: a good space has both low."
        }
    }
}

fn figure(name: &str, value: Option<String>, pairs: Option<PairCount>, meaning: &str) -> Markup {
    html! {
        div {
            dt { (name) }
            @match value {
                Some(value) => dd.number { (value) },
                None => dd.absent { "not computed" },
            }
            dd.meaning {
                (meaning)
                @if let Some(pairs) = pairs {
                    " "
                    span.quiet {
                        @if pairs.measured < pairs.of {
                            "Over " (numbers::count(pairs.measured)) " of " (numbers::count(pairs.of)) " pairs, drawn at random."
                        } @else {
                            "Over all " (numbers::count(pairs.of)) " pairs."
                        }
                    }
                }
            }
        }
    }
}
