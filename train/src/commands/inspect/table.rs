//! An inspection as text: one label a block, one figure a line.

use data::inspect::{CaptionLengths, Column, Duplicates, Inspection, Seen, Spread, Tally, Unit};
use std::fmt::Write as _;

/// Slices that are printed.
const SLICES: usize = 10;
/// Characters of a histogram's longest bar.
const BAR: u64 = 30;
/// Characters of a value that is quoted.
const QUOTED: usize = 48;

/// The whole inspection.
pub fn table(found: &Inspection) -> String {
    let mut text = Text::default();
    let (shards, rows) = (thousands(found.shards), thousands(found.rows));
    text.line("shards", format!("{shards}: {rows} rows, {}", bytes(found.bytes)));
    if found.other_schemas > 0 {
        text.more(format!("{} of them with other columns", thousands(found.other_schemas)));
    }
    text.line("columns", columns(&found.columns));
    row_groups(&mut text, found);
    pictures(&mut text, found);
    captions(&mut text, &found.captions);
    unusable(&mut text, found);
    if let Some(products) = &found.same_product {
        duplicates(&mut text, "products", "product id", products);
    }
    duplicates(&mut text, "duplicates", "caption", &found.same_caption);
    if let Some(slices) = &found.slices {
        let of = format!("{} values of `{}`", thousands(slices.distinct), slices.column);
        text.line("slices", format!("{of}, {} null {}", slices.missing, seen(slices.seen)));
        text.tallies(&slices.largest[..slices.largest.len().min(SLICES)]);
        let more = slices.distinct.saturating_sub(SLICES as u64);
        if more > 0 {
            text.more(format!("and {} more", thousands(more)));
        }
    }
    for (index, line) in found.advice.iter().enumerate() {
        text.line(if index == 0 { "advice" } else { "" }, line.clone());
    }
    text.0
}

/// Columns with type, role and nulls, aligned.
pub fn columns(columns: &[Column]) -> String {
    let widest = |of: fn(&Column) -> &str| {
        columns.iter().map(|column| of(column).chars().count()).max().unwrap_or(0).min(40)
    };
    let (name, kind) = (widest(|column| &column.name), widest(|column| &column.kind));
    let mut text = String::new();
    for column in columns {
        let role = match (column.role, column.fits.as_slice()) {
            (Some(role), _) => format!("is `{role}`"),
            (None, []) => "-".into(),
            (None, fits) => format!("- (fits {})", fits.join(", ")),
        };
        let nulls = match column.nulls {
            Some(nulls @ 1..) => format!(", {} null", thousands(nulls)),
            _ => String::new(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:name$}  {:kind$}  {role}{nulls}", column.name, column.kind);
    }
    text
}

fn row_groups(text: &mut Text, found: &Inspection) {
    let groups = &found.row_groups;
    let mut compression: Vec<&str> = groups.compression.keys().map(String::as_str).collect();
    compression.sort_unstable();
    text.line("row groups", format!("{}, {}", thousands(groups.count), compression.join(", ")));
    text.more(format!("rows          {}", spread(&groups.rows, thousands, "")));
    text.more(format!(
        "stored        {} (of the roles' columns)",
        spread(&groups.stored_bytes, bytes, "")
    ));
    text.more(format!("uncompressed  {}", spread(&groups.bytes, bytes, "")));
    text.more(format!("page index    {} of {}", groups.page_index, groups.count));
    text.more(format!(
        "checksums     {} of {} shards looked at",
        groups.checksums, groups.checksums_of
    ));
}

fn pictures(text: &mut Text, found: &Inspection) {
    let pictures = &found.pictures;
    let formats = pictures.formats.iter().map(|(name, n)| format!("{} {name}", thousands(*n)));
    let formats = formats.collect::<Vec<_>>().join(", ");
    text.line(
        "pictures",
        format!("{formats}, {} missing {}", pictures.missing, seen(pictures.seen)),
    );
    let figures = [
        ("width", &pictures.width, thousands as fn(u64) -> String, " px"),
        ("height", &pictures.height, thousands, " px"),
        ("encoded", &pictures.encoded_bytes, bytes, ""),
    ];
    for (name, figure, shown, unit) in figures {
        if let Some(figure) = figure {
            text.more(format!("{name:12}  {}", spread(figure, shown, unit)));
        }
    }
    if let (Some(input), Some(smaller)) = (pictures.input_px, pictures.smaller_than_input) {
        let of = pictures.seen.rows - pictures.missing;
        text.more(format!("below input   {} (shorter side under {input} px)", part(smaller, of)));
    }
    text.more(format!(
        "repeated      {} (byte for byte)",
        part(pictures.repeated, pictures.seen.rows)
    ));
}

fn captions(text: &mut Text, captions: &CaptionLengths) {
    let unit = match captions.unit {
        Unit::Tokens => " tokens",
        Unit::Words => " words; give --model or --tokenizer for tokens",
    };
    let (count, missing) = (thousands(captions.count), thousands(captions.missing));
    text.line("captions", format!("{count}, {missing} rows without {}", seen(captions.seen)));
    if let Some(per_row) = &captions.per_row {
        text.more(format!("per row       {}", spread(per_row, thousands, "")));
    }
    if let Some(length) = &captions.length {
        text.more(format!("length        {}", spread(length, thousands, unit)));
    }
    if let (Some(context), Some(truncated)) = (captions.context_length, captions.truncated) {
        let truncated = part(truncated, captions.count);
        text.more(format!("truncated     {truncated} (beyond {context} tokens)"));
    }
    let most = captions.histogram.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    for bin in &captions.histogram {
        let bar = "#".repeat((bin.count * BAR).div_ceil(most) as usize);
        text.more(format!("{:>5} - {:<5} {:>9} {bar}", bin.from, bin.to, thousands(bin.count)));
    }
}

fn unusable(text: &mut Text, found: &Inspection) {
    let unusable = &found.unusable;
    let rows = part(unusable.rows(), unusable.seen.rows);
    text.line("unusable", format!("{rows} {}", seen(unusable.seen)));
    for (cause, rows) in &unusable.by_cause {
        text.more(format!("{:<18}  {}", cause.to_string(), thousands(*rows)));
    }
    for row in &unusable.first {
        text.more(row.clone());
    }
}

fn duplicates(text: &mut Text, label: &str, noun: &str, found: &Duplicates) {
    let (distinct, missing) = (thousands(found.distinct), thousands(found.missing));
    let sharing = part(found.sharing_rows, found.seen.rows);
    text.line(
        label,
        format!("{distinct} different {noun}s, {missing} rows without {}", seen(found.seen)),
    );
    text.more(format!("{sharing} of the rows share a {noun}"));
    text.tallies(&found.largest);
}

/// Lines behind labels.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, label: &str, text: String) {
        for (index, line) in text.lines().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _ = writeln!(self.0, "{label:<11} {line}");
        }
    }

    fn more(&mut self, text: String) {
        self.line("", text);
    }

    fn tallies(&mut self, tallies: &[Tally]) {
        for Tally { value, rows } in tallies {
            let mut quoted: String = value.chars().take(QUOTED).collect();
            if value.chars().nth(QUOTED).is_some() {
                quoted.push('\u{2026}');
            }
            self.more(format!("{:>9}  {}", thousands(*rows), quoted.replace('\n', " ")));
        }
    }
}

fn seen(seen: Seen) -> String {
    match seen.exact {
        true => "[all rows]".into(),
        false => format!("[sample: {} of {} rows]", thousands(seen.rows), thousands(seen.of)),
    }
}

fn spread(spread: &Spread, shown: fn(u64) -> String, unit: &str) -> String {
    let Spread { min, median, p95, max } = *spread;
    if min == max {
        return format!("each {}{unit}", shown(min));
    }
    let [min, median, p95, max] = [min, median, p95, max].map(shown);
    format!("{min} to {max}, median {median}, p95 {p95}{unit}")
}

fn part(part: u64, of: u64) -> String {
    format!("{} ({:.1} %)", thousands(part), 100.0 * part as f64 / of.max(1) as f64)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that leaves at most three digits before the point.
pub fn bytes(number: u64) -> String {
    let (mut value, mut unit) = (number as f64, "B");
    for larger in ["KB", "MB", "GB", "TB"] {
        if value < 1_000.0 {
            break;
        }
        (value, unit) = (value / 1_000.0, larger);
    }
    if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1_000, 12_345_678].map(bytes), ["999 B", "1.0 KB", "12.3 MB"]);
        assert_eq!(part(1, 8), "1 (12.5 %)");
        let of = |min, max| spread(&Spread { min, median: min, p95: max, max }, thousands, " px");
        assert_eq!(of(3, 3), "each 3 px");
        assert_eq!(of(3, 4_000), "3 to 4,000, median 3, p95 4,000 px");
    }

    #[test]
    fn columns_are_aligned_and_say_what_they_fit() {
        let column = |name: &str, kind: &str, role, fits: &[&'static str], nulls| Column {
            name: name.into(),
            kind: kind.into(),
            role,
            fits: fits.to_vec(),
            nulls,
        };
        let text = columns(&[
            column("jpg", "binary", Some("image"), &["image"], Some(0)),
            column("title", "string", None, &["captions"], Some(1_200)),
            column("x", "date32", None, &[], None),
        ]);
        assert_eq!(
            text,
            "jpg    binary  is `image`\n\
             title  string  - (fits captions), 1,200 null\n\
             x      date32  -\n"
        );
    }
}
