//! A value and what belongs to it on one line of a table: dot, interval, chance, baseline and how far
//! ties could move it. Positions are percentages, so a strip fills whatever column it stands in.

use maud::{Markup, html};

/// One line: all numbers in the unit of the axis, from 0.
pub(in crate::html) struct Strip {
    /// End of the axis.
    pub(in crate::html) end: f64,
    /// The value: a dot.
    pub(in crate::html) value: f64,
    /// Its interval: a bar through the dot.
    pub(in crate::html) interval: Option<[f64; 2]>,
    /// Chance: a tick.
    pub(in crate::html) chance: Option<f64>,
    /// The baseline's value: a hollow diamond.
    pub(in crate::html) baseline: Option<f64>,
    /// The value with ties broken for the worse and for the better: a hatched band.
    pub(in crate::html) ties: Option<[f64; 2]>,
    /// What all lines are compared with: a dotted line from top to bottom.
    pub(in crate::html) reference: Option<f64>,
}

impl Strip {
    /// The drawing. Its numbers stand beside it in the table, so a listener is spared it.
    pub(in crate::html) fn draw(&self) -> Markup {
        let at = |value: f64| format!("{:.2}%", (value / self.end).clamp(0.0, 1.0) * 100.0);
        let long = |[low, high]: [f64; 2]| {
            let share = (high - low) / self.end;
            format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
        };
        html! {
            svg.strip aria-hidden="true" {
                line.rail x1="0%" x2="100%" y1="50%" y2="50%" {}
                @if let Some(ties) = self.ties {
                    rect.ties x=(at(ties[0])) width=(long(ties)) y="3" height="16" {}
                }
                @if let Some(reference) = self.reference {
                    line.reference x1=(at(reference)) x2=(at(reference)) y1="0" y2="22" {}
                }
                @if let Some(chance) = self.chance {
                    line.chance x1=(at(chance)) x2=(at(chance)) y1="4" y2="18" {}
                }
                @if let Some([low, high]) = self.interval {
                    line.interval x1=(at(low)) x2=(at(high)) y1="50%" y2="50%" {}
                }
                @if let Some(baseline) = self.baseline {
                    // A diamond of a fixed size at a place in per cent needs a nested drawing.
                    svg x=(at(baseline)) y="50%" overflow="visible" {
                        path.baseline d="M0 -5.5L5.5 0L0 5.5L-5.5 0Z" {}
                    }
                }
                circle.value cx=(at(self.value)) cy="50%" r="4.5" {}
            }
        }
    }
}

/// The axis above the lines of a column.
pub(in crate::html) fn axis(end: f64) -> Markup {
    let decimals = super::decimals(end).max(usize::from(end <= 1.0));
    html! {
        span.axis aria-hidden="true" {
            span { "0" }
            span { (format!("{:.*}", decimals.max(1), end / 2.0)) }
            span { (end) }
        }
    }
}
