//! Charts as inline SVG: they take their colours and letters from the page's style, so one drawing
//! serves light, dark and paper. Owns scales, axes and the frame that all charts share.

mod curve;
mod ranks;
mod scores;
mod strip;

pub(super) use curve::curve;
pub(super) use ranks::ranks;
pub(super) use scores::scores;
pub(super) use strip::{Strip, axis};

use maud::{Markup, html};

/// Size of a chart and of the field that its data is drawn in, in SVG units (pixels at full width).
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 232.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 40.0;

/// Where the value at `share` of an axis lies across the chart.
fn across(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

/// Where the value at `share` of an axis lies from the chart's top.
fn down(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// A coordinate with as many digits as can be seen.
fn xy(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

/// A path through points of the chart.
fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    for (index, (x, y)) in points.into_iter().enumerate() {
        text.push_str(if index == 0 { "M" } else { "L" });
        text.push_str(&format!("{x:.1} {y:.1}"));
    }
    text
}

/// The end of an axis from 0 that `greatest` fits under: 1, 2 or 5 times a power of ten.
pub(super) fn ceiling(greatest: f64) -> f64 {
    if !(greatest > 0.0 && greatest.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(greatest.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|end| greatest <= end * (1.0 + 1e-9))
        .unwrap_or(10.0 * power)
}

/// A drawing with its title, its axes' names and what a listener hears in its place.
struct Chart {
    /// What is drawn, above it.
    title: String,
    /// What the horizontal axis measures.
    across: String,
    /// The same chart in words.
    words: String,
}

impl Chart {
    /// `data` in a frame: horizontal lines at `rows` (share of the height and label), labels below
    /// at `columns` (share of the width and label).
    fn draw(&self, rows: &[(f64, String)], columns: &[(f64, String)], data: &Markup) -> Markup {
        html! {
            figure.chart {
                figcaption { (self.title) }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.words) {
                    @for (share, label) in rows {
                        line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(xy(down(*share))) y2=(xy(down(*share))) {}
                        text.tick x=(LEFT - 7.0) y=(xy(down(*share) + 4.0)) text-anchor="end" { (label) }
                    }
                    @for (share, label) in columns {
                        text.tick x=(xy(across(*share))) y=(HEIGHT - BOTTOM + 17.0) text-anchor="middle" { (label) }
                    }
                    (data)
                    line.base x1=(LEFT) x2=(WIDTH - RIGHT) y1=(down(0.0)) y2=(down(0.0)) {}
                    text.name x=(xy(across(0.5))) y=(HEIGHT - 5.0) text-anchor="middle" { (self.across) }
                }
            }
        }
    }
}

/// Lines at quarters or fifths of an axis that ends at `end`, with their values.
fn rows(end: f64, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    // 2 divides well by 4, 1 and 5 by 5.
    let leading = end / 10f64.powf(end.log10().floor());
    let parts = if (leading - 2.0).abs() < 1e-6 { 4 } else { 5 };
    (0..=parts)
        .map(|part| f64::from(part) / f64::from(parts))
        .map(|share| (share, label(share * end)))
        .collect()
}

/// Decimals that tell the lines of [`rows`] apart.
fn decimals(end: f64) -> usize {
    let smallest = end / 5.0;
    if smallest >= 1.0 { 0 } else { (-smallest.log10()).ceil().clamp(1.0, 8.0) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (greatest, end) in [
            (0.0, 1.0),
            (0.9, 1.0),
            (1.0, 1.0),
            (0.51, 1.0),
            (0.4, 0.5),
            (0.012, 0.02),
            (7.0, 10.0),
        ] {
            assert!((ceiling(greatest) - end).abs() < 1e-12, "{greatest}: {}", ceiling(greatest));
        }
        assert_eq!(ceiling(f64::NAN), 1.0);
        let labels = |end: f64| -> Vec<String> {
            rows(end, |value| format!("{value:.*}", decimals(end)))
                .into_iter()
                .map(|(_, label)| label)
                .collect()
        };
        assert_eq!(labels(1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.2), ["0.00", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(labels(5.0), ["0", "1", "2", "3", "4", "5"]);
    }
}
