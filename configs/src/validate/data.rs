//! The checks of the `data` section.

use super::Checks;
use crate::{
    Augment, CaptionChoice, CaptionSource, Columns, Data, Source, Streams, Train, WindowRows,
    Workers,
};

/// Records every problem of the section.
pub(super) fn data(checks: &mut Checks, data: &Data, batch_size: usize) {
    match &data.train {
        Train::Paths(paths) => checks.paths("data.train", paths),
        Train::Sources(sources) => mixture(checks, sources),
    }
    columns(checks, "data.columns", &data.columns);
    if let Some(cache) = &data.cache {
        checks.positive("data.cache.max_gb", cache.max_gb);
        let named = !cache.dir.as_os_str().is_empty();
        checks.require(named, "data.cache.dir", "a folder", "empty text");
    }
    checks.share("data.text.caption_dropout", data.text.caption_dropout);
    checks.share("data.text.word_dropout", data.text.word_dropout);
    augment(checks, &data.augment);
    if let Streams::Count(n) = data.shuffle.streams {
        let holds = n >= 1 && batch_size.checked_rem(n) == Some(0);
        let expected = format!("`auto` or a divisor of batch.size ({batch_size})");
        checks.require(holds, "data.shuffle.streams", &expected, n);
    }
    if let WindowRows::Count(n) = data.shuffle.window_rows {
        checks.require(n >= 1, "data.shuffle.window_rows", "`auto` or at least 1", n);
    }
    if let Workers::Count(n) = data.workers {
        checks.require(n >= 1, "data.workers", "`auto` or at least 1", n);
    }
    checks.at_least_one("data.prefetch", data.prefetch);
    checks.fraction("data.max_bad_fraction", data.max_bad_fraction);
}

fn augment(checks: &mut Checks, augment: &Augment) {
    let scale = "two shares of the area, 0 < least <= greatest <= 1";
    checks.range("data.augment.scale", augment.scale, 1.0, scale);
    let ratio = "two aspect ratios, 0 < least <= greatest";
    checks.range("data.augment.ratio", augment.ratio, f64::MAX, ratio);
    checks.fraction("data.augment.flip", augment.flip);
    checks.fraction("data.augment.color_jitter_prob", augment.color_jitter_prob);
    checks.fraction("data.augment.gray_scale_prob", augment.gray_scale_prob);
    let jitter = augment.color_jitter;
    let sane = |amount: f64, limit: f64| (0.0..=limit).contains(&amount);
    let holds = jitter[..3].iter().all(|&amount| sane(amount, f64::MAX)) && sane(jitter[3], 0.5);
    let expected = "brightness, contrast, saturation (each 0 or more) and hue (0 to 0.5)";
    checks.require(holds, "data.augment.color_jitter", expected, format!("{jitter:?}"));
    let idle = augment.color_jitter_prob > 0.0 && jitter == [0.0; 4];
    let expected = "a number above 0 where color_jitter_prob is above 0";
    checks.require(!idle, "data.augment.color_jitter", expected, format!("{jitter:?}"));
}

fn mixture(checks: &mut Checks, sources: &[Source]) {
    for (i, source) in sources.iter().enumerate() {
        let at = |key: &str| format!("data.train.{i}.{key}");
        let named = !source.name.trim().is_empty();
        checks.require(named, &at("name"), "a name", "empty text");
        let alone = !sources.iter().take(i).any(|earlier| earlier.name == source.name);
        checks.require(alone, &at("name"), "names that differ", format!("`{}` twice", source.name));
        checks.paths(&at("paths"), &source.paths);
        checks.positive(&at("weight"), source.weight);
        if let Some(own) = &source.columns {
            columns(checks, &at("columns"), own);
        }
    }
}

/// Above it, the sum of weights could lose the small ones.
const MAX_WEIGHT: f64 = 1e9;

fn columns(checks: &mut Checks, at: &str, columns: &Columns) {
    let holds = !columns.image.is_empty();
    checks.require(holds, &format!("{at}.image"), "a column name", "empty text");
    captions(checks, at, &columns.captions, &columns.image);
    for (role, column) in [("product_id", &columns.product_id), ("weight", &columns.weight)] {
        let Some(column) = column else { continue };
        text_column(checks, &format!("{at}.{role}"), at, column, &columns.image);
    }
}

fn captions(checks: &mut Checks, at: &str, CaptionChoice(choice): &CaptionChoice, image: &str) {
    let path = format!("{at}.captions");
    if choice.is_empty() {
        checks.fail(&path, "expected at least one column or template, found none".into());
    }
    for (i, alternative) in choice.iter().enumerate() {
        // One alternative may have been written without a list.
        let path = if choice.len() == 1 { path.clone() } else { format!("{path}.{i}") };
        for column in alternative.source.columns() {
            text_column(checks, &path, at, column, image);
        }
        let holds = alternative.weight > 0.0 && alternative.weight <= MAX_WEIGHT;
        let expected = format!("a number above 0 and at most {MAX_WEIGHT:e}");
        checks.require(holds, &format!("{path}.weight"), &expected, alternative.weight);
        let earlier = choice.iter().take(i).any(|earlier| earlier.source == alternative.source);
        let found = match &alternative.source {
            CaptionSource::Column(name) => format!("`{name}` twice"),
            CaptionSource::Template(template) => format!("`{template}` twice"),
        };
        checks.require(!earlier, &path, "alternatives that differ; state a weight", found);
    }
}

/// A column that cannot be the picture's.
fn text_column(checks: &mut Checks, path: &str, at: &str, column: &str, image: &str) {
    checks.require(!column.is_empty(), path, "a column name", "empty text");
    let holds = column.is_empty() || column != image;
    let found = format!("`{column}`, which is the picture ({at}.image)");
    checks.require(holds, path, "a column of its own", found);
}
