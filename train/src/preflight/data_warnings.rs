//! What a small sample of the training data says before the first step.

use crate::model_dir::ModelDir;
use configs::{Duplicates as Counted, Positives, RunConfig, WindowRows};
use data::TrainSet;
use data::inspect::{
    CaptionLengths, Duplicates, InspectOptions, Pictures, RowGroups, Slices, Unusable,
    inspect_source,
};

/// Rows of the sample; their pictures are not decoded.
const ROWS: u64 = 256;
/// Windows whose rows are compared, without their pictures.
const WINDOWS: u64 = 16;

/// Shares above which something is said: of captions cut, of pictures enlarged, of rows of a batch
/// that repeat another one where that is made good, and where it is not.
const MANY_TRUNCATED: f64 = 0.1;
const MANY_SMALL: f64 = 0.25;
const MANY_MASKED: f64 = 0.1;
const MANY_FALSE: f64 = 0.01;
/// With fewer row groups at a time than this, a batch of sorted data is one-sided.
const FEW_GROUPS: f64 = 16.0;
/// How many times as often as after a uniform shuffle two rows of a batch may be alike.
const CLUMPED: f64 = 2.0;

/// One line per finding: what was found, why it matters, what to do. Reads a few hundred rows, on
/// the calling rank alone; that they cannot be read is a finding, too, for the run has opened the
/// same shards.
pub fn data_warnings(
    cfg: &RunConfig,
    set: &TrainSet,
    model: &ModelDir,
    steps: u64,
    batches_per_epoch: u64,
) -> Vec<String> {
    let mut lines = Vec::from_iter(short(steps, batches_per_epoch));
    for (i, name) in set.source_names().enumerate() {
        let found = source(cfg, set, i, model).into_iter();
        lines.extend(found.map(|line| match name {
            "" => line,
            name => format!("source `{name}`: {line}"),
        }));
    }
    lines
}

/// The findings about one source.
fn source(cfg: &RunConfig, set: &TrainSet, source: usize, model: &ModelDir) -> Vec<String> {
    let num_streams = cfg.data.shuffle.streams.number(cfg.batch.size);
    let window_rows = set.window_rows(source, &cfg.data.shuffle, num_streams);
    let options = InspectOptions {
        rows: Some(ROWS),
        text_rows: Some(WINDOWS.saturating_mul(window_rows as u64)),
        window_rows: WindowRows::Count(window_rows),
        tokenizer: Some(model.tokenizer.clone()),
        picture: Some(model.picture.clone()),
        decode: false,
        ..InspectOptions::default()
    };
    let mut lines = Vec::new();
    let found = match inspect_source(set, source, &options) {
        Ok(found) => found,
        Err(error) => {
            lines.push(format!("cannot look at a sample of data.train: {error}"));
            return lines;
        }
    };
    lines.extend(unusable(&found.unusable, cfg.data.max_bad_fraction));
    lines.extend(truncated(&found.captions));
    lines.extend(small(&found.pictures));
    let batch = (cfg.batch.size, num_streams, window_rows);
    let together = together(&found.row_groups, found.rows, batch);
    let products = found.same_product.as_ref();
    lines.extend(products.and_then(|same| repeated(same, "product", together, cfg)));
    lines.extend(repeated(&found.same_caption, "caption", together, cfg));
    lines.extend(one_sided(&found.row_groups, found.slices.as_ref(), found.rows, batch));
    lines
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.0} %", 100.0 * share(part, of))
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

fn short(steps: u64, batches_per_epoch: u64) -> Option<String> {
    (steps < batches_per_epoch).then(|| {
        format!(
            "the run ends after {steps} steps, before its first epoch does ({batches_per_epoch}): \
             it sees {} of the rows; raise duration if that is not meant",
            percent(steps, batches_per_epoch)
        )
    })
}

fn unusable(found: &Unusable, most: f64) -> Option<String> {
    let (rows, seen) = (found.rows(), found.seen.rows);
    (share(rows, seen) > most).then(|| {
        format!(
            "{rows} of {seen} rows looked at are unusable, more than data.max_bad_fraction = \
             {most} allows, so the run may stop; first: {}",
            found.first.first().map_or("", String::as_str)
        )
    })
}

fn truncated(found: &CaptionLengths) -> Option<String> {
    let (truncated, context) = (found.truncated?, found.context_length?);
    (share(truncated, found.count) > MANY_TRUNCATED).then(|| {
        format!(
            "{} of {} captions looked at are longer than the model's {context} tokens: their ends \
             are cut and never learnt; shorten them or put what tells products apart first",
            percent(truncated, found.count),
            found.count
        )
    })
}

fn small(found: &Pictures) -> Option<String> {
    let (smaller, input) = (found.smaller_than_input?, found.input_px?);
    let pictures = found.seen.rows - found.missing;
    (share(smaller, pictures) > MANY_SMALL).then(|| {
        format!(
            "{} of {pictures} pictures looked at are smaller than the model's input of {input} px: \
             they are enlarged, which adds no detail; use larger originals or a model with a \
             smaller input",
            percent(smaller, pictures)
        )
    })
}

/// Rows of a batch, streams, rows of a window.
type Shuffled = (usize, usize, usize);

/// The probability that two rows of a batch lie together in the files.
fn together(found: &RowGroups, rows: u64, (batch, streams, window): Shuffled) -> f64 {
    found.together_in_batch(rows, batch, streams, window)
}

fn repeated(found: &Duplicates, noun: &str, together: f64, cfg: &RunConfig) -> Option<String> {
    let batch = cfg.batch.size;
    let rows = found.expected_in_batch(batch, together);
    let counted = match cfg.loss.duplicates {
        Counted::Product => noun == "product",
        Counted::Caption => noun == "caption",
        Counted::ProductOrCaption => true,
    };
    let made_good = counted && cfg.loss.positives != Positives::Ignore;
    let most = if made_good { MANY_MASKED } else { MANY_FALSE };
    (rows > most * batch as f64).then(|| {
        let why = if made_good {
            "they are no negatives of one another, so the batch teaches less than its size says; \
             spread such rows over the shards (write them in random order) or keep fewer of each"
        } else {
            "the loss pushes them apart although they match; set loss.positives: mask and \
             loss.duplicates: product_or_caption"
        };
        format!(
            "about {rows:.0} of the {batch} rows of a batch share their {noun} with another row \
             of it: {why}"
        )
    })
}

/// Sorted files: by a column of which the rows are known, else row groups so large that it would
/// matter much.
fn one_sided(
    groups: &RowGroups,
    slices: Option<&Slices>,
    rows: u64,
    shuffled: Shuffled,
) -> Option<String> {
    let (batch, streams, window) = shuffled;
    let (together, uniform) = (together(groups, rows, shuffled), groups.together_if_uniform(rows));
    let found = match slices {
        Some(Slices { column, equal_in_window, equal_elsewhere, .. }) => {
            // Rows of its kind that a row of a batch meets.
            let others = (batch - 1) as f64;
            let even = others * equal_elsewhere;
            let ours = others * together * equal_in_window + (1.0 - together) * even;
            (ours > CLUMPED * even && ours > even + 1.0).then(|| {
                format!(
                    "files are sorted by `{column}`: a row of a batch meets about {ours:.1} others \
                     that share it, after a uniform shuffle it would about {even:.1}"
                )
            })
        }
        None => (together * FEW_GROUPS > 1.0 && together > CLUMPED * uniform).then(|| {
            format!(
                "a batch draws on about {:.0} row groups at a time, after a uniform shuffle it \
                 would on {:.0}: where files are sorted, its rows are alike",
                1.0 / together,
                (1.0 / uniform).min(batch as f64)
            )
        }),
    }?;
    Some(format!(
        "{found}; row groups have {} rows, streams = {streams}, window_rows = {window}: write rows \
         in random order or smaller row groups (pyarrow: row_group_size), or raise \
         data.shuffle.streams or window_rows",
        groups.rows.median
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::inspect::{Seen, Spread, Unit};

    fn config(more: &str) -> RunConfig {
        let yaml = format!(
            "name: a\nduration: {{steps: 10}}\nmodel: {{init: {{pretrained: m}}}}\n\
             data: {{train: [t]}}\n\
             batch: {{size: 256}}\noptim: {{lr: 1.0e-3}}\n{more}"
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.yaml");
        std::fs::write(&path, yaml).unwrap();
        RunConfig::load(&path, &[]).unwrap()
    }

    fn seen() -> Seen {
        Seen::new(256, 9_000)
    }

    #[test]
    fn a_run_shorter_than_an_epoch() {
        assert_eq!(short(10, 10), None);
        assert_eq!(
            short(10, 40).unwrap(),
            "the run ends after 10 steps, before its first epoch does (40): it sees 25 % of the \
             rows; raise duration if that is not meant"
        );
    }

    #[test]
    fn more_unusable_rows_than_allowed() {
        let by_cause = [(data::Cause::NoCaption, 5)].into();
        let first = vec!["shard `a` row 3: no caption".into()];
        let found = Unusable { seen: seen(), decoded: false, by_cause, first };
        assert_eq!(unusable(&found, 0.02), None);
        assert_eq!(
            unusable(&found, 0.01).unwrap(),
            "5 of 256 rows looked at are unusable, more than data.max_bad_fraction = 0.01 allows, \
             so the run may stop; first: shard `a` row 3: no caption"
        );
    }

    #[test]
    fn captions_beyond_the_context() {
        let found = |truncated| CaptionLengths {
            seen: seen(),
            missing: 0,
            per_row: None,
            count: 400,
            unit: Unit::Tokens,
            length: None,
            histogram: vec![],
            context_length: Some(77),
            truncated: Some(truncated),
        };
        assert_eq!(truncated(&found(40)), None);
        let text = truncated(&found(100)).unwrap();
        assert!(
            text.starts_with(
                "25 % of 400 captions looked at are longer than the model's 77 tokens"
            ),
            "{text}"
        );
    }

    #[test]
    fn pictures_below_the_input() {
        let found = |smaller| Pictures {
            seen: seen(),
            missing: 56,
            formats: [].into(),
            width: None,
            height: None,
            encoded_bytes: None,
            input_px: Some(224),
            smaller_than_input: Some(smaller),
            repeated: 0,
        };
        assert_eq!(small(&found(50)), None);
        let text = small(&found(150)).unwrap();
        assert!(text.starts_with("75 % of 200 pictures looked at are smaller"), "{text}");
    }

    #[test]
    fn rows_of_a_batch_that_are_the_same() {
        let found = |equal_elsewhere| Duplicates {
            seen: seen(),
            missing: 0,
            distinct: 9,
            sharing_rows: 3,
            largest: vec![],
            equal_in_window: 0.0,
            equal_elsewhere,
        };
        // 256 x 255 ordered pairs, 3 of 4 of rows that do not lie together.
        let masked = config("");
        assert_eq!(repeated(&found(5e-4), "product", 0.25, &masked), None);
        let text = repeated(&found(2e-3), "product", 0.25, &masked).unwrap();
        assert!(
            text.starts_with("about 98 of the 256 rows of a batch share their product"),
            "{text}"
        );
        assert!(text.contains("no negatives of one another"), "{text}");
        let ignored = config("loss: {positives: ignore}\n");
        let text = repeated(&found(5e-4), "caption", 0.25, &ignored).unwrap();
        assert!(
            text.starts_with("about 24 of the 256") && text.contains("positives: mask"),
            "{text}"
        );
        let by_product = config("loss: {duplicates: product}\n");
        assert!(repeated(&found(5e-4), "caption", 0.25, &by_product).is_some());
        assert!(repeated(&found(5e-4), "product", 0.25, &by_product).is_none());
    }

    #[test]
    fn batches_from_few_row_groups() {
        let found = |rows| {
            let one = Spread { min: rows, median: rows, p95: rows, max: rows };
            RowGroups {
                count: 100,
                rows: one,
                stored_bytes: one,
                bytes: one,
                compression: [].into(),
                page_index: 0,
                checksums: 0,
                checksums_of: 1,
            }
        };
        // 4 windows of 128 rows: as many row groups of 10,000, but over 16 of 20 rows.
        let batch = (256, 4, 128);
        let text = one_sided(&found(10_000), None, 1_000_000, batch).unwrap();
        assert!(
            text.starts_with(
                "a batch draws on about 4 row groups at a time, after a uniform shuffle it would \
                 on 100: where files are sorted, its rows are alike; row groups have 10000 rows"
            ),
            "{text}"
        );
        assert_eq!(one_sided(&found(20), None, 1_000_000, batch), None);
        // One row group is all there is.
        assert_eq!(one_sided(&found(1_000), None, 1_000, batch), None);

        let by = |equal_in_window| Slices {
            column: "product_type".into(),
            seen: seen(),
            missing: 0,
            distinct: 50,
            largest: vec![],
            equal_in_window,
            equal_elsewhere: 0.02,
        };
        assert_eq!(one_sided(&found(10_000), Some(&by(0.02)), 1_000_000, batch), None);
        // 63 of 255 rows lie together, nearly all of them in one row group, all of one type.
        let text = one_sided(&found(10_000), Some(&by(1.0)), 1_000_000, batch).unwrap();
        let said = "files are sorted by `product_type`: a row of a batch meets about 66.6 others that \
                    share it, after a uniform shuffle it would about 5.1; row groups";
        assert!(text.starts_with(said), "{text}");
    }
}
