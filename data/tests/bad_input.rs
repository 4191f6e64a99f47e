//! What users get wrong, each with its message, and rows that cannot be used.

use crate::support::{Row, config, open, row, shards, tokenizer, write};
use configs::{Columns, Data, WindowRows};
use data::{Captions, Cause, Cursor, DataError, EvalBatch, Preprocessor, Scan, ScanOptions, Shard};
use std::path::Path;

const START: Cursor = Cursor { epoch: 0, batch: 0 };

fn message(cfg: &Data, batch: usize) -> String {
    open(cfg, batch, Shard::WHOLE, START).err().unwrap().to_string()
}

fn broken(index: usize) -> Row {
    let good = row(index);
    match index {
        3 => Row { image: None, ..good },
        9 => Row { image: Some(good.image.unwrap()[..40].to_vec()), ..good },
        14 => Row { captions: None, ..good },
        20 => Row { captions: Some(vec![]), ..good },
        21 => Row { captions: Some(vec![None, Some("  ".into())]), ..good },
        25 => Row { image: Some(b"GIF89a not accepted".to_vec()), ..good },
        30 => Row { image: Some(huge_png()), ..good },
        31 => Row { image: Some(vec![]), ..good },
        _ => good,
    }
}

/// A PNG header that states 20,000 x 20,000 pixels.
fn huge_png() -> Vec<u8> {
    let mut bytes = crate::support::png(1);
    bytes[16..20].copy_from_slice(&20_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&20_000u32.to_be_bytes());
    let crc = png_crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn png_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn broken_shard(dir: &Path) -> Data {
    let rows: Vec<Row> = (0..40).map(broken).collect();
    write(&dir.join("a.parquet"), &rows, 16);
    config(vec![dir.to_str().unwrap().into()])
}

#[test]
fn unusable_rows_are_skipped_counted_and_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = broken_shard(dir.path());
    cfg.max_bad_fraction = 0.25;
    cfg.shuffle.window_rows = WindowRows::Count(40);
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    let mut warnings = Vec::new();
    for _ in 0..30 {
        let batch = loader.next().unwrap();
        assert_eq!(batch.len(), 4, "a batch is always full");
        for sample in &batch.samples {
            assert!(![3, 9, 14, 20, 21, 25, 30, 31].contains(&sample.row), "{sample}");
        }
        warnings.extend(loader.drain_warnings());
    }
    let counts = loader.counts();
    let bad = |cause| counts.bad[&cause];
    assert_eq!(counts.rows, 120);
    assert_eq!((bad(Cause::NoImage), bad(Cause::UndecodableImage)), (6, 6));
    assert_eq!((bad(Cause::OversizedImage), bad(Cause::NoCaption)), (3, 9));
    warnings.sort();
    assert_eq!(warnings.len(), 8, "{warnings:#?}");
    let has =
        |text: &str| assert!(warnings.iter().any(|w| w.contains(text)), "{text}: {warnings:#?}");
    has("a.parquet` row 3 (product `p1`): no image");
    has("a.parquet` row 31 (product `p15`): no image");
    has("row 9 (product `p4`): undecodable image: ");
    has("(40 bytes)");
    has("row 25 (product `p12`): undecodable image: Gif: expected JPEG, PNG or WebP (19 bytes)");
    has("row 30 (product `p15`): oversized image: 20000 x 20000 pixels; at most 100000000");
    has("row 14 (product `p7`): no caption");
    has("row 21 (product `p10`): no caption");
}

#[test]
fn replacements_do_not_depend_on_interruption_or_workers() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = broken_shard(dir.path());
    cfg.max_bad_fraction = 1.0;
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    let whole: Vec<_> = (0..20).map(|_| loader.next().unwrap()).collect();
    cfg.workers = configs::Workers::Count(4);
    for (i, expected) in whole.iter().enumerate() {
        let cursor = Cursor { epoch: i as u64 / 10, batch: i as u64 % 10 };
        let mut resumed = open(&cfg, 4, Shard::WHOLE, cursor).unwrap();
        assert_eq!(&resumed.next().unwrap(), expected);
    }
}

#[test]
fn too_many_unusable_rows_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = broken_shard(dir.path());
    cfg.max_bad_fraction = 0.1;
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    let error = loop {
        match loader.next() {
            Ok(_) => assert_eq!(loader.cursor().epoch, 0, "the first epoch must stop"),
            Err(error) => break error,
        }
    };
    let text = error.to_string();
    assert!(
        text.starts_with("5 of 40 rows are unusable, more than max_bad_fraction = 0.1"),
        "{text}"
    );
    assert!(text.contains("first: shard `"), "{text}");
    assert!(matches!(error, DataError::TooManyBad { bad: 5, rows: 40, .. }));
}

#[test]
fn a_window_without_a_usable_row_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..8).map(|i| Row { captions: None, ..row(i) }).collect();
    write(&dir.path().join("a.parquet"), &rows, 8);
    let mut cfg = config(vec![dir.path().to_str().unwrap().into()]);
    cfg.max_bad_fraction = 1.0;
    let mut loader = open(&cfg, 2, Shard::WHOLE, START).unwrap();
    let text = loader.next().unwrap_err().to_string();
    assert!(text.contains("rows of a shuffle window is usable; first: shard `"), "{text}");
    assert!(text.ends_with(": no caption"), "{text}");
    assert!(matches!(loader.next(), Err(DataError::Stopped)));
}

#[test]
fn empty_shards() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a.parquet"), &[], 4);
    let cfg = config(vec![dir.path().to_str().unwrap().into()]);
    let text = message(&cfg, 4);
    assert!(text.starts_with("the 1 shard(s) hold no rows at all (the first is `"), "{text}");
    // An empty shard beside others does no harm.
    write(&dir.path().join("b.parquet"), &(0..4).map(row).collect::<Vec<_>>(), 4);
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    assert_eq!(loader.next().unwrap().len(), 4);
    assert_eq!(
        message(&cfg, 8),
        "fewer rows (4) than one batch (8): add shards or lower the batch size"
    );
}

#[test]
fn paths_columns_and_numbers_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 40));
    let with = |change: &dyn Fn(&mut Data)| {
        let mut cfg = cfg.clone();
        change(&mut cfg);
        message(&cfg, 4)
    };
    let text = with(&|c| c.train = vec!["no/such.parquet".into()].into());
    assert_eq!(text, "shards `no/such.parquet`: no such file or folder");
    let text = with(&|c| c.columns.captions = "title".into());
    assert!(
        text.contains("a.parquet`: no column `title` for `captions`; the columns are: "),
        "{text}"
    );
    assert!(text.ends_with("junk, image, captions, product_id"), "{text}");
    let text = with(&|c| c.columns.image = "junk".into());
    assert!(text.ends_with("expected binary, large_binary, binary_view or struct<bytes: binary, path: string>, found string"), "{text}");
    let text = with(&|c| c.augment.scale = [0.0, 1.0]);
    assert_eq!(text, "data.augment.scale: expected two rising numbers in (0, 1], found [0.0, 1.0]");
    let text = with(&|c| c.augment.ratio = [2.0, 1.0]);
    assert_eq!(text, "data.augment.ratio: expected two rising positive numbers, found [2.0, 1.0]");
    let text = with(&|c| c.augment.flip = 1.1);
    assert_eq!(text, "data.augment.flip: expected a number in [0, 1], found 1.1");
    let text = with(&|c| c.max_bad_fraction = f64::NAN);
    assert_eq!(text, "data.max_bad_fraction: expected a number in [0, 1], found NaN");
}

/// Where the bytes of each column of a one-row-group shard lie.
fn column_ranges(path: &Path) -> Vec<(String, std::ops::Range<usize>)> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let group = reader.metadata().row_group(0).clone();
    let ranges = group.columns().iter().map(|column| {
        let (start, length) = column.byte_range();
        (column.column_path().string(), start as usize..(start + length) as usize)
    });
    ranges.collect()
}

fn overwrite(path: &Path, column: &str) {
    let (_, range) =
        column_ranges(path).into_iter().find(|(name, _)| name.starts_with(column)).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[range].fill(0xee);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn unused_columns_are_never_read_and_damage_in_used_ones_is_located() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &(0..8).map(row).collect::<Vec<_>>(), 8);
    overwrite(&path, "junk");
    let mut cfg = config(vec![path.to_str().unwrap().into()]);
    cfg.columns = Columns { product_id: None, ..Columns::default() };
    overwrite(&path, "product_id");
    let batch = open(&cfg, 8, Shard::WHOLE, START).unwrap().next().unwrap();
    assert_eq!(batch.len(), 8, "destroyed columns without a role are not even looked at");
    let mut products = batch.products.clone();
    products.sort_unstable();
    products.dedup();
    assert_eq!(products.len(), 8, "without ids every row is its own product");
    overwrite(&path, "captions");
    let text = open(&cfg, 8, Shard::WHOLE, START).unwrap().next().unwrap_err().to_string();
    assert!(text.contains(": unreadable row: row group 0: "), "{text}");
}

fn scan(cfg: &Data, options: ScanOptions) -> Scan {
    Scan::open(&cfg.train.paths(), &cfg.columns, tokenizer(), &Preprocessor::clip(8), &options)
        .unwrap()
}

#[test]
fn a_scan_gives_every_usable_row_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = broken_shard(dir.path());
    let options = ScanOptions {
        batch: 7,
        captions: Captions::All,
        max_bad_fraction: 0.5,
        ..ScanOptions::default()
    };
    let mut scan = scan(&cfg, options);
    let batches: Vec<EvalBatch> = scan.by_ref().map(Result::unwrap).collect();
    let rows: Vec<u64> = batches.iter().flat_map(|b| &b.samples).map(|s| s.row).collect();
    let expected: Vec<u64> =
        (0..40).filter(|row| ![3, 9, 14, 20, 21, 25, 30, 31].contains(row)).collect();
    assert_eq!(rows, expected);
    let first = &batches[0];
    assert_eq!(first.captions[1], ["red 1", "blue 1"]);
    assert_eq!(first.caption_rows[..5], [0, 0, 1, 1, 2]);
    assert_eq!(first.token_ids[4..8], [304, 2, 4, 305], "blue 0");
    assert_eq!(first.token_ids.len(), first.caption_rows.len() * first.length);
    assert_eq!(first.products[..3], ["p0", "p0", "p1"]);
    assert_eq!(first.pixels.len(), first.len() * 192);
    assert_eq!(scan.counts().bad.values().sum::<u64>(), 8);
    assert_eq!(scan.drain_warnings().len(), 8);
    assert!(scan.next().is_none());
}

#[test]
fn a_scan_of_distinct_products_takes_the_first_usable_row_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = broken_shard(dir.path());
    let options =
        ScanOptions { distinct_products: true, max_bad_fraction: 0.5, ..ScanOptions::default() };
    let rows: Vec<u64> =
        scan(&cfg, options).flat_map(|b| b.unwrap().samples).map(|s| s.row).collect();
    // Two rows to a product: the even ones, or the odd one where the even one says nothing (14, 20
    // -> 15; of product 10 both rows lack captions, of product 15 row 30 is too large).
    let expected: Vec<u64> = (0..40)
        .step_by(2)
        .filter_map(|row| match row {
            14 => Some(15),
            20 | 30 => None,
            row => Some(row),
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_scan_of_distinct_products_holds_the_cap_against_what_it_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    // 30 rows of one product that is read once, and a row that cannot be used: 1 of 2, not of 31.
    let one = |i| Row { product: "same".into(), ..row(i) };
    let mut rows: Vec<Row> = (0..30).map(one).collect();
    rows.push(Row { image: None, ..row(99) });
    write(&dir.path().join("a.parquet"), &rows, 16);
    let cfg = config(vec![dir.path().to_str().unwrap().into()]);
    let options =
        ScanOptions { distinct_products: true, max_bad_fraction: 0.1, ..ScanOptions::default() };
    let mut scan = scan(&cfg, options);
    assert_eq!(scan.next().unwrap().unwrap().len(), 1);
    let text = scan.next().unwrap().unwrap_err().to_string();
    assert!(text.starts_with("1 of 2 rows are unusable, more than max_bad_fraction"), "{text}");
    assert!(scan.next().is_none());
}

#[test]
fn rows_with_an_empty_product_are_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..8).map(|i| Row { product: String::new(), ..row(i) }).collect();
    write(&dir.path().join("a.parquet"), &rows, 8);
    let cfg = config(vec![dir.path().to_str().unwrap().into()]);
    let mut products = open(&cfg, 8, Shard::WHOLE, START).unwrap().next().unwrap().products;
    products.sort_unstable();
    products.dedup();
    assert_eq!(products.len(), 8);
}

#[test]
fn rewritten_shards_of_as_many_rows_change_the_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let cfg = config(vec![dir.path().to_str().unwrap().into()]);
    let fingerprint = |rows: Vec<Row>| {
        write(&path, &rows, 4);
        open(&cfg, 4, Shard::WHOLE, START).unwrap().fingerprint()
    };
    let first = fingerprint((0..8).map(row).collect());
    assert_eq!(fingerprint((0..8).map(row).collect()), first);
    let longer = |i| Row { captions: Some(vec![Some(format!("another text {i}"))]), ..row(i) };
    assert_ne!(fingerprint((0..8).map(longer).collect()), first);
}

#[test]
fn a_scan_stops_at_the_cap_too() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = broken_shard(dir.path());
    let mut scan = scan(&cfg, ScanOptions { max_bad_fraction: 0.0, ..ScanOptions::default() });
    let text = scan.find_map(Result::err).unwrap().to_string();
    assert!(text.starts_with("1 of 40 rows are unusable"), "{text}");
    assert!(scan.next().is_none());
}
