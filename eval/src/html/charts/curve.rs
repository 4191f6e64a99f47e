//! A metric over its cut-off k, on a logarithmic axis, above chance.

use super::{Chart, across, ceiling, decimals, down, path, rows, xy};
use crate::CurvePoint;
use crate::html::numbers;
use maud::{Markup, html};

/// The curve of the measure called `name`.
pub(in crate::html) fn curve(name: &str, points: &[CurvePoint]) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! { p.absent { (name) " was not computed at any cut-off." } };
    };
    let greatest = points.iter().map(|point| point.value.max(point.chance)).fold(0.0, f64::max);
    let end = ceiling(greatest);
    let span = (last.k as f64 / first.k as f64).ln();
    let share = |k: usize| if span > 0.0 { (k as f64 / first.k as f64).ln() / span } else { 0.5 };
    let place = |k: usize, value: f64| (across(share(k)), down(value / end));
    let line = path(points.iter().map(|point| place(point.k, point.value)));
    let chance = path(points.iter().map(|point| place(point.k, point.chance)));
    let title = |point: &CurvePoint| {
        format!(
            "{name}@{}: {}, chance {}",
            point.k,
            numbers::value(point.value),
            numbers::value(point.chance)
        )
    };
    let chart = Chart {
        title: format!("{name}@k"),
        across: "k".into(),
        words: points.iter().map(title).collect::<Vec<_>>().join("; "),
    };
    let steps = rows(end, |value| format!("{value:.*}", decimals(end)));
    let ks: Vec<usize> = points.iter().map(|point| point.k).collect();
    let mut columns: Vec<_> =
        labelled(&ks).into_iter().map(|k| (share(k), numbers::count(k))).collect();
    // The last point is the whole pool, which is seldom round: named if it has room.
    if columns.last().is_some_and(|(at, _)| *at < 0.86) {
        columns.push((1.0, numbers::count(last.k)));
    }
    chart.draw(
        &steps,
        &columns,
        &html! {
            path.line.chance d=(chance) {}
            path.line.value d=(line) {}
            @for point in points {
                @let (x, y) = place(point.k, point.value);
                circle.value cx=(xy(x)) cy=(xy(y)) r="3" { title { (title(point)) } }
            }
        },
    )
}

/// Cut-offs that have room for a label: 1, 10, 100 ..., then those between while there are few.
fn labelled(ks: &[usize]) -> Vec<usize> {
    let is_round = |steps: &[usize]| -> Vec<usize> {
        ks.iter()
            .copied()
            .filter(|k| {
                let power = 10usize.pow(k.ilog10());
                k % power == 0 && steps.contains(&(k / power))
            })
            .collect()
    };
    [&[1, 2, 3, 5][..], &[1, 2, 5], &[1]]
        .into_iter()
        .map(is_round)
        .find(|chosen| (2..=7).contains(&chosen.len()))
        .unwrap_or_else(|| ks.iter().copied().take(7).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_room() {
        assert_eq!(labelled(&[1, 2, 3, 5, 10]), [1, 2, 3, 5, 10]);
        assert_eq!(labelled(&[1, 2, 3, 5, 10, 20, 50, 100]), [1, 2, 5, 10, 20, 50, 100]);
        let long = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000];
        assert_eq!(labelled(&long), [1, 10, 100, 1000, 10_000, 100_000]);
        assert_eq!(labelled(&[7]), [7]);
    }
}
