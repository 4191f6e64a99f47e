//! What the figures say should be done better.

use super::Inspection;

/// Rows of a row group beyond which rows that lie together in a file stay together in training.
const LARGE_ROWS: u64 = 1_000;
/// Row groups of fewer rows and fewer bytes than these cost more in seeking than in reading.
const SMALL_ROWS: u64 = 64;
const SMALL_BYTES: u64 = 512 << 10;
/// Shares of rows or captions above which something is said.
const MANY_TRUNCATED: f64 = 0.1;
const MANY_UNUSABLE: f64 = 0.01;
const MANY_SMALL: f64 = 0.25;
const MANY_REPEATED: f64 = 0.02;
/// How likely neighbours have one slice where files count as sorted, and how much likelier than
/// other rows.
const SORTED: f64 = 0.2;
const SORTED_TIMES: f64 = 3.0;
/// How many times the model's input a picture's side may be before decoding it is wasteful.
const OVERSIZE: u64 = 3;

/// One line per finding: what was found, why it matters, what to do.
pub(super) fn advice(found: &Inspection, window_rows: u64) -> Vec<String> {
    let mut lines = layout(found, window_rows);
    lines.extend(content(found));
    lines
}

fn layout(found: &Inspection, window_rows: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let groups = &found.row_groups;
    let median = groups.rows.median;
    if median > LARGE_ROWS.max(4 * window_rows) {
        lines.push(format!(
            "row groups of {median} rows are too large to shuffle well: rows that lie together in \
             a file stay together in training; write fewer, e.g. pyarrow's row_group_size=256, or \
             write the rows in random order"
        ));
    }
    if groups.rows.max > LARGE_ROWS && groups.page_index < groups.count {
        lines.push(
            "large row groups without a page index cannot be read from their middle without \
             walking over the pages before: pyarrow's write_page_index=True"
                .into(),
        );
    }
    if median < SMALL_ROWS && groups.stored_bytes.median < SMALL_BYTES && groups.count > 16 {
        lines.push(format!(
            "row groups of {median} rows and {} KB are too small to read fast: each costs a seek \
             or a request; 100 to 500 pictures are a good size, e.g. pyarrow's row_group_size=256",
            groups.stored_bytes.median / 1_000
        ));
    }
    if groups.checksums < groups.checksums_of {
        lines.push(
            "pages carry no checksums, so that damaged bytes may go unnoticed: pyarrow's \
             write_page_checksum=True; of shards by `vlclip prepare`, index.json has the sha256"
                .into(),
        );
    }
    if found.other_schemas > 0 {
        lines.push(format!(
            "{} of {} shards have other columns than the first: check that they belong together",
            found.other_schemas, found.shards
        ));
    }
    lines
}

fn content(found: &Inspection) -> Vec<String> {
    let mut lines = Vec::new();
    let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let unusable = share(found.unusable.rows(), found.unusable.seen.rows);
    if unusable > MANY_UNUSABLE {
        lines.push(format!(
            "{} of the rows are unusable and will be skipped; training stops beyond \
             data.max_bad_fraction",
            percent(unusable)
        ));
    }
    if let Some(truncated) = found.captions.truncated {
        let truncated = share(truncated, found.captions.count);
        if truncated > MANY_TRUNCATED {
            lines.push(format!(
                "{} of the captions are cut to the model's context: their ends are never seen; \
                 put what matters first or shorten them",
                percent(truncated)
            ));
        }
    }
    let pictures = &found.pictures;
    let decodable = pictures.seen.rows - pictures.missing;
    if let Some(smaller) = pictures.smaller_than_input {
        let smaller = share(smaller, decodable);
        if smaller > MANY_SMALL {
            lines.push(format!(
                "{} of the pictures are smaller than the model's input ({} px) and are enlarged, \
                 which adds no detail: look for the originals",
                percent(smaller),
                pictures.input_px.unwrap_or_default()
            ));
        }
    }
    if let (Some(input), Some(width), Some(height)) =
        (pictures.input_px, pictures.width, pictures.height)
    {
        let side = width.median.min(height.median);
        if side > OVERSIZE * input {
            lines.push(format!(
                "pictures of {side} px are far larger than the model's input ({input} px), and \
                 decoding them limits the speed: store them with a shorter side of about {} px",
                input * 9 / 7
            ));
        }
    }
    let repeated = share(pictures.repeated, decodable);
    if repeated > MANY_REPEATED {
        lines.push(format!(
            "{} of the rows repeat the picture of another row, byte for byte: remove them or give \
             them one product id",
            percent(repeated)
        ));
    }
    if let Some(slices) = &found.slices
        && slices.equal_in_window > SORTED.max(SORTED_TIMES * slices.equal_elsewhere)
    {
        lines.push(format!(
            "files are sorted by `{}`: two rows that lie together share it in {:.1} % \
             of the cases, any others in {:.1} %, so batches are less mixed than a uniform shuffle's; \
             write the rows in random order, or small row groups and a large window_rows \
             (data/shuffle.md)",
            slices.column,
            100.0 * slices.equal_in_window,
            100.0 * slices.equal_elsewhere
        ));
    }
    if let Some(products) = &found.same_product
        && products.missing > 0
    {
        lines.push(format!(
            "{} rows have no product id: each counts as a product of its own, a negative of all \
             others",
            products.missing
        ));
    }
    lines
}
