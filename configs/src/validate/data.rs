//! The checks of the `data` section.

use super::Checks;
use crate::{Augment, Columns, Data, Streams, Workers};

/// Records every problem of the section.
pub(super) fn data(checks: &mut Checks, data: &Data, batch_size: usize) {
    checks.paths("data.train", &data.train);
    columns(checks, &data.columns);
    augment(checks, &data.augment);
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

fn columns(checks: &mut Checks, columns: &Columns) {
    let roles = [
        ("captions", Some(&columns.captions)),
        ("product_id", columns.product_id.as_ref()),
        ("weight", columns.weight.as_ref()),
    ];
    checks.require(!columns.image.is_empty(), "data.columns.image", "a column name", "empty text");
    for (role, column) in roles {
        let Some(column) = column else { continue };
        let path = format!("data.columns.{role}");
        checks.require(!column.is_empty(), &path, "a column name", "empty text");
        let holds = column.is_empty() || *column != columns.image;
        let found = format!("`{column}`, which is the picture (data.columns.image)");
        checks.require(holds, &path, "a column of its own", found);
    }
}
