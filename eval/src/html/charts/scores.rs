//! How the scores of relevant pairs and of others are distributed, each as shares of its own number.

use super::{Chart, across, ceiling, down, path, xy};
use crate::ScoreReport;
use crate::html::numbers;
use maud::{Markup, html};

/// Bins that can be told apart; more are joined.
const MOST_BINS: usize = 40;

/// Both distributions over one axis of scores.
pub(in crate::html) fn scores(report: &ScoreReport) -> Markup {
    let joined = report.positives.len().div_ceil(MOST_BINS).max(1);
    let edges = edges(&report.bins, joined);
    let (Some(low), Some(high)) = (edges.first().copied(), edges.last().copied()) else {
        return html! { p.absent { "There are no scores to show." } };
    };
    let positives = shares(&report.positives, joined);
    let negatives = shares(&report.negatives, joined);
    let greatest = positives.iter().chain(&negatives).copied().fold(0.0, f64::max);
    let end = ceiling(greatest * 100.0) / 100.0;
    let share = |score: f64| ((score - low) / (high - low)).clamp(0.0, 1.0);
    let outline = |shares: &[f64]| {
        let sides = shares.iter().zip(&edges).zip(edges.iter().skip(1));
        let steps = sides.flat_map(|((part, from), to)| {
            [(across(share(*from)), down(part / end)), (across(share(*to)), down(part / end))]
        });
        let start = std::iter::once((across(0.0), down(0.0)));
        path(start.chain(steps).chain(std::iter::once((across(1.0), down(0.0)))))
    };
    let relevant = numbers::count(report.positives.iter().sum());
    let others = numbers::count(report.negatives.iter().sum());
    let means = [
        ("relevant", "positive", report.positive_mean),
        ("not relevant", "negative", report.negative_mean),
    ];
    let chart = Chart {
        title: "Scores of relevant and other pairs".into(),
        across: "score (cosine)".into(),
        words: format!(
            "{relevant} relevant pairs with a mean score of {}; {others} other pairs with a mean \
             of {}",
            numbers::minus(report.positive_mean, 3),
            numbers::minus(report.negative_mean, 3)
        ),
    };
    let columns: Vec<_> = ticks(low, high)
        .into_iter()
        .map(|score| (share(score), numbers::minus(score, if high - low > 0.5 { 1 } else { 2 })))
        .collect();
    let steps: Vec<_> = [0.0, 0.5, 1.0].map(|at| (at, percent(at * end))).into();
    chart.draw(
        &steps,
        &columns,
        &html! {
            path.area.negative d=(outline(&negatives)) { title { (others) " pairs that are not relevant" } }
            path.area.positive d=(outline(&positives)) { title { (relevant) " relevant pairs" } }
            @for (words, class, mean) in means {
                @let x = xy(across(share(mean)));
                line class={ "mean " (class) } x1=(x) x2=(x) y1=(down(1.0)) y2=(down(0.0)) {
                    title { "mean of " (words) ": " (numbers::minus(mean, 3)) }
                }
            }
        },
    )
}

/// The edges of bins of which `joined` neighbours are one.
fn edges(bins: &[f64], joined: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = bins.iter().copied().step_by(joined).collect();
    if let Some(last) = bins.last().filter(|last| edges.last() != Some(last)) {
        edges.push(*last);
    }
    edges
}

fn shares(counts: &[usize], joined: usize) -> Vec<f64> {
    let total = counts.iter().sum::<usize>().max(1) as f64;
    counts.chunks(joined).map(|chunk| chunk.iter().sum::<usize>() as f64 / total).collect()
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.fract().abs() < 1e-9 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

/// Four to eight round scores within the axis.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
        .into_iter()
        .find(|step| (high - low) / step <= 7.0)
        .unwrap_or(0.5);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_bins_and_keeps_all_counts() {
        let bins: Vec<f64> = (0..=5).map(f64::from).collect();
        assert_eq!(edges(&bins, 2), [0.0, 2.0, 4.0, 5.0]);
        assert_eq!(edges(&bins, 1), bins);
        assert_eq!(shares(&[1, 1, 2, 0, 4], 2), [0.25, 0.25, 0.5]);
        assert_eq!(shares(&[0, 0], 1), [0.0, 0.0]);
    }

    #[test]
    fn ticks_lie_within_the_axis() {
        let found: Vec<String> = ticks(-0.13, 0.34).iter().map(|x| numbers::minus(*x, 1)).collect();
        assert_eq!(found, ["−0.1", "0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(ticks(0.2, 0.21).len(), 2);
    }
}
