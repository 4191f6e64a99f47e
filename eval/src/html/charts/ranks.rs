//! Where the first relevant item stands: the share of queries by range of ranks, beside chance.

use super::{Chart, across, ceiling, decimals, down, path, rows, xy};
use crate::RankBin;
use crate::html::numbers;
use maud::{Markup, html};

/// The histogram, with a bar apart for the `without` queries that have no relevant item.
pub(in crate::html) fn ranks(bins: &[RankBin], without: usize) -> Markup {
    let total = bins.iter().map(|bin| bin.queries).sum::<usize>() + without;
    if total == 0 {
        return html! { p.absent { "Not computed: where the first relevant item stands." } };
    }
    let part = |queries: f64| queries / total as f64;
    let greatest = bins
        .iter()
        .map(|bin| part(bin.queries as f64).max(part(bin.chance)))
        .fold(part(without as f64), f64::max);
    let end = ceiling(greatest * 100.0) / 100.0;
    // The bar of the queries without relevant item stands apart, by half a bar.
    let slots = bins.len() as f64 + if without > 0 { 1.5 } else { 0.0 };
    let left = |bar: f64| across((bar + 0.1) / slots);
    let width = across(0.8 / slots) - across(0.0);
    let height = |share: f64| down(0.0) - down(share / end);
    let range = |bin: &RankBin| match bin.to - bin.from {
        0 => numbers::count(bin.from),
        _ => format!("{}–{}", numbers::count(bin.from), numbers::count(bin.to)),
    };
    let words = |bin: &RankBin| {
        format!(
            "rank {}: {} ({}), chance {}",
            range(bin),
            numbers::counted(bin.queries, "query", "queries"),
            numbers::share(part(bin.queries as f64)),
            numbers::share(part(bin.chance))
        )
    };
    let without_words = format!(
        "no relevant item: {} ({})",
        numbers::counted(without, "query", "queries"),
        numbers::share(part(without as f64))
    );
    let mut spoken: Vec<String> = bins.iter().map(words).collect();
    if without > 0 {
        spoken.push(without_words.clone());
    }
    let chart = Chart {
        title: "First relevant item".into(),
        across: "rank, from".into(),
        words: spoken.join("; "),
    };
    // Every label would not fit: at most nine.
    let every = bins.len().div_ceil(9);
    let mut columns: Vec<_> = bins
        .iter()
        .enumerate()
        .filter(|(index, _)| index % every == 0)
        .map(|(index, bin)| ((index as f64 + 0.5) / slots, compact(bin.from)))
        .collect();
    if without > 0 {
        columns.push(((slots - 0.5) / slots, "none".into()));
    }
    let chance = path(bins.iter().enumerate().flat_map(|(index, bin)| {
        let y = down(part(bin.chance) / end);
        [(across(index as f64 / slots), y), (across((index + 1) as f64 / slots), y)]
    }));
    let digits = decimals(end * 100.0);
    let steps = rows(end * 100.0, |percent| format!("{percent:.digits$}%"));
    chart.draw(
        &steps,
        &columns,
        &html! {
            @for (index, bin) in bins.iter().enumerate() {
                @let tall = height(part(bin.queries as f64));
                rect.bar x=(xy(left(index as f64))) width=(xy(width)) y=(xy(down(0.0) - tall)) height=(xy(tall)) {
                    title { (words(bin)) }
                }
            }
            @if without > 0 {
                @let tall = height(part(without as f64));
                rect.bar.none x=(xy(left(slots - 1.0))) width=(xy(width)) y=(xy(down(0.0) - tall)) height=(xy(tall)) {
                    title { (without_words) }
                }
            }
            path.line.chance d=(chance) {}
        },
    )
}

/// A rank in four characters: `512`, `1k`, `16k`, `1M`.
fn compact(rank: usize) -> String {
    match rank {
        0..1_000 => rank.to_string(),
        1_000..1_000_000 => format!("{}k", rank / 1_000),
        _ => format!("{}M", rank / 1_000_000),
    }
}
