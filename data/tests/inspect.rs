//! What an inspection finds in shards whose content is known.

use crate::support::{config, peer, png, row, shards, tokenizer, write};
use configs::WindowRows;
use data::inspect::{InspectOptions, Seen, Sheet, Spread, Unit, contact_sheet, inspect};
use data::{Captions, Cause, DataError, Preprocessor, Scan, ScanOptions};
use std::path::Path;

fn options() -> InspectOptions {
    InspectOptions {
        tokenizer: Some(tokenizer()),
        picture: Some(Preprocessor::clip(8)),
        ..InspectOptions::default()
    }
}

fn one(dir: &Path) -> Vec<String> {
    vec![dir.to_str().unwrap().into()]
}

#[test]
fn the_figures_of_a_small_set() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shards(dir.path(), 60);
    let found = inspect(&paths, &options()).unwrap();
    assert_eq!((found.shards, found.rows, found.other_schemas), (2, 60, 0));
    let sizes = ["a.parquet", "b.parquet"]
        .map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len());
    assert_eq!(found.bytes, sizes.iter().sum::<u64>());

    let columns: Vec<_> =
        found.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str(), c.role)).collect();
    let expected = [
        ("junk", "string", None),
        ("image", "binary", Some("image")),
        ("captions", "list<string>", Some("captions")),
        ("product_id", "string", Some("product_id")),
    ];
    assert_eq!(columns, expected);
    assert_eq!(found.columns[1].nulls, Some(0));
    assert_eq!(found.columns[0].fits, ["captions", "product_id"]);

    // 20 rows as 7, 7, 6 and 40 as five times 7 and 5.
    assert_eq!(found.row_groups.count, 9);
    assert_eq!(found.row_groups.rows, Spread { min: 5, median: 7, p95: 7, max: 7 });
    assert_eq!(found.row_groups.compression["uncompressed"], 9);

    let pictures = &found.pictures;
    assert!(pictures.seen.exact && pictures.seen.rows == 60);
    assert_eq!((pictures.formats["png"], pictures.missing, pictures.repeated), (60, 0, 0));
    assert_eq!(pictures.width, Some(Spread { min: 6, median: 6, p95: 6, max: 6 }));
    assert_eq!(pictures.height, Some(Spread { min: 5, median: 5, p95: 5, max: 5 }));
    assert_eq!((pictures.input_px, pictures.smaller_than_input), (Some(8), Some(60)));

    // `<s> red 7 </s>`.
    let captions = &found.captions;
    assert_eq!((captions.count, captions.unit), (120, Unit::Tokens));
    assert_eq!(captions.per_row, Some(Spread { min: 2, median: 2, p95: 2, max: 2 }));
    assert_eq!(captions.length, Some(Spread { min: 4, median: 4, p95: 4, max: 4 }));
    assert_eq!((captions.context_length, captions.truncated), (Some(8), Some(0)));

    // Rows 2k and 2k + 1 are one product; captions name the row.
    let products = found.same_product.unwrap();
    assert_eq!((products.distinct, products.sharing_rows), (30, 60));
    assert_eq!((products.largest.len(), products.largest[0].rows), (5, 2));
    assert!(products.equal_in_window > products.equal_elsewhere);
    assert_eq!((found.same_caption.distinct, found.same_caption.sharing_rows), (120, 0));
    assert!(found.slices.is_none(), "no column product_type");
    assert!(found.unusable.by_cause.is_empty());
    assert!(found.advice.iter().any(|line| line.contains("100.0 % of the pictures are smaller")));
}

#[test]
fn unusable_rows_are_those_that_the_loader_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows: Vec<_> = (0..40).map(row).collect();
    rows[3].image = None;
    rows[5].image = Some(png(5)[..30].to_vec());
    rows[9].captions = Some(vec![Some("  ".into())]);
    rows[11].captions = None;
    // As wide as it may be, and too wide once its height is 8 px.
    let mut wide = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(2_000_000, 1).write_to(&mut wide, image::ImageFormat::Png).unwrap();
    rows[20].image = Some(wide.into_inner());
    write(&dir.path().join("a.parquet"), &rows, 7);
    let found = inspect(&one(dir.path()), &options()).unwrap();

    let how = ScanOptions { max_bad_fraction: 1.0, captions: Captions::All, ..Default::default() };
    let columns = config(vec![]).columns;
    let model = Preprocessor::clip(8);
    let mut scan = Scan::open(&one(dir.path()), &columns, tokenizer(), &model, &how).unwrap();
    assert!(scan.by_ref().all(|batch| batch.is_ok()));
    assert_eq!(found.unusable.by_cause, scan.counts().bad);
    assert_eq!(found.unusable.by_cause[&Cause::NoCaption], 2);
    assert_eq!(found.unusable.by_cause[&Cause::OversizedImage], 1);
    assert_eq!(found.unusable.rows(), 5);
    assert!(found.unusable.first[0].ends_with("row 3 (product `p1`): no image"));
    assert_eq!((found.pictures.missing, found.captions.missing), (1, 2));

    // Without decoding, only what is missing is found.
    let found = inspect(&one(dir.path()), &InspectOptions { decode: false, ..options() }).unwrap();
    assert_eq!((found.unusable.rows(), found.unusable.decoded), (3, false));
}

#[test]
fn a_sample_says_so_and_is_spread_over_the_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shards(dir.path(), 250);
    let sampled = InspectOptions {
        rows: Some(40),
        text_rows: Some(50),
        window_rows: WindowRows::Count(5),
        tokenizer: None,
        ..options()
    };
    let found = inspect(&paths, &sampled).unwrap();
    assert_eq!(found, inspect(&paths, &sampled).unwrap(), "the same rows every time");
    // Two pieces of 32 rows, ten of 5.
    assert_eq!(found.pictures.seen, Seen { rows: 64, of: 250, exact: false });
    assert_eq!(found.same_caption.seen, Seen { rows: 50, of: 250, exact: false });
    assert_eq!(found.captions.unit, Unit::Words);
    assert_eq!(found.captions.length, Some(Spread { min: 2, median: 2, p95: 2, max: 2 }));
    assert_eq!(found.captions.truncated, None);
}

#[test]
fn slices_by_a_column_of_choice() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shards(dir.path(), 20);
    let by = |name: &str| InspectOptions { slice: Some(name.into()), ..options() };
    let slices = inspect(&paths, &by("product_id")).unwrap().slices.unwrap();
    assert_eq!((slices.column.as_str(), slices.distinct), ("product_id", 10));
    assert_eq!((slices.largest[0].value.as_str(), slices.largest[0].rows), ("p0", 2));
    let text = inspect(&paths, &by("colour")).unwrap_err().to_string();
    assert!(
        text.contains("slice: expected a column of text or integers")
            && text.contains("junk, image, captions, product_id")
            && text.ends_with("found colour"),
        "{text}"
    );
}

#[test]
fn roles_that_do_not_fit_list_what_would() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shards(dir.path(), 20);
    let mut wrong = options();
    wrong.columns.image = "jpg".into();
    let Err(DataError::MissingColumn { path, column, .. }) = inspect(&paths, &wrong) else {
        panic!("a missing column is an error");
    };
    assert_eq!(column, "jpg");
    let columns = data::inspect::columns_of(&path).unwrap();
    let fits: Vec<_> = columns.iter().filter(|c| c.fits.contains(&"image")).collect();
    assert_eq!((fits.len(), fits[0].name.as_str(), fits[0].role), (1, "image", None));
}

#[test]
fn page_indexes_and_checksums_as_pyarrow_writes_them() {
    let dir = peer("inspected_shards.py");
    let found = |name: &str| {
        let path = vec![dir.path().join(name).to_str().unwrap().to_owned()];
        inspect(&path, &options()).unwrap()
    };
    let plain = found("plain.parquet");
    assert_eq!((plain.row_groups.count, plain.row_groups.page_index), (3, 0));
    assert_eq!((plain.row_groups.checksums, plain.row_groups.checksums_of), (0, 1));
    assert_eq!(plain.row_groups.compression["zstd"], 3);
    assert!(plain.advice.iter().any(|line| line.contains("write_page_checksum=True")));
    let checked = found("checked.parquet");
    assert_eq!((checked.row_groups.count, checked.row_groups.page_index), (3, 3));
    assert_eq!((checked.row_groups.checksums, checked.row_groups.checksums_of), (1, 1));
    assert!(!checked.advice.iter().any(|line| line.contains("write_page_checksum")));
    // Its other columns: a slice by itself, two nulls.
    let slices = checked.slices.unwrap();
    let largest: Vec<_> = slices.largest.iter().map(|s| (s.value.as_str(), s.rows)).collect();
    assert_eq!((slices.column.as_str(), slices.missing), ("product_type", 2));
    assert_eq!(largest, [("mug", 16), ("lamp", 12)]);
    let nulls = checked.columns.iter().find(|column| column.name == "product_type").unwrap().nulls;
    assert_eq!(nulls, Some(2));
}

#[test]
fn a_contact_sheet_shows_rows_as_the_model_sees_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows: Vec<_> = (0..4).map(row).collect();
    rows[3].image = None;
    write(&dir.path().join("a.parquet"), &rows, 7);
    let sheet = Sheet { columns: 2, rows: 2 };
    let bytes = contact_sheet(&one(dir.path()), &options(), sheet).unwrap();
    let image = image::load_from_memory(&bytes).unwrap().to_rgb8();
    // 8 px become 192, 24 times as many, between gaps of 10.
    assert_eq!(image.width(), 2 * 202 + 10);
    let height = (image.height() - 10) / 2;
    let at =
        |column: u32, line: u32| image.get_pixel(10 + column * 202 + 96, 10 + line * height + 96).0;
    assert_eq!([at(0, 0), at(1, 0), at(0, 1)], [[0, 0, 99], [1, 0, 99], [2, 0, 99]]);
    assert_eq!(at(1, 1), [235, 225, 225], "a hole");
    // Under each picture there is dark text.
    let dark = |line: u32| {
        let top = 10 + line * height + 192;
        (top..top + height - 202).any(|y| (10..200).any(|x| image.get_pixel(x, y).0[0] < 90))
    };
    assert!(dark(0) && dark(1));
}
