//! The checks of the `data` section.

use super::Checks;
use crate::{Columns, Data, Source, Streams, Train, Workers};

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
    let augment = &data.augment;
    let scale = "two shares of the area, 0 < least <= greatest <= 1";
    checks.range("data.augment.scale", augment.scale, 1.0, scale);
    let ratio = "two aspect ratios, 0 < least <= greatest";
    checks.range("data.augment.ratio", augment.ratio, f64::MAX, ratio);
    checks.fraction("data.augment.flip", augment.flip);
    if let Streams::Count(n) = data.shuffle.streams {
        let holds = n >= 1 && batch_size.checked_rem(n) == Some(0);
        let expected = format!("`auto` or a divisor of batch.size ({batch_size})");
        checks.require(holds, "data.shuffle.streams", &expected, n);
    }
    checks.at_least_one("data.shuffle.window_rows", data.shuffle.window_rows);
    if let Workers::Count(n) = data.workers {
        checks.require(n >= 1, "data.workers", "`auto` or at least 1", n);
    }
    checks.at_least_one("data.prefetch", data.prefetch);
    checks.fraction("data.max_bad_fraction", data.max_bad_fraction);
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

fn columns(checks: &mut Checks, section: &str, columns: &Columns) {
    let roles = [
        ("captions", Some(&columns.captions)),
        ("product_id", columns.product_id.as_ref()),
        ("weight", columns.weight.as_ref()),
    ];
    checks.require(
        !columns.image.is_empty(),
        &format!("{section}.image"),
        "a column name",
        "empty text",
    );
    for (role, column) in roles {
        let Some(column) = column else { continue };
        let path = format!("{section}.{role}");
        checks.require(!column.is_empty(), &path, "a column name", "empty text");
        let holds = column.is_empty() || *column != columns.image;
        let found = format!("`{column}`, which is the picture ({section}.image)");
        checks.require(holds, &path, "a column of its own", found);
    }
}
