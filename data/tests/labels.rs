//! What a scan gives with its rows, and what it leaves out: label columns, pictures, captions.

use crate::support::{png, tokenizer};
use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, ListArray,
    RecordBatch, StringArray,
};
use arrow_schema::Field;
use configs::Columns;
use data::{Captions, DataError, EvalBatch, Preprocessor, Scan, ScanOptions, Shard};
use parquet::arrow::ArrowWriter;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const ROWS: usize = 20;

/// A shard whose rows 4 and 9 have no caption. The type of a row is in a string column with nulls
/// and empty strings, the same as a dictionary, and as a number; beside them a flag.
fn shard(dir: &Path) -> Vec<String> {
    let kinds = ["bag", "shoe", ""];
    let kind = |row: usize| (row % 5 != 3).then(|| kinds[row % 3]);
    let images: BinaryArray = (0..ROWS).map(|row| Some(png(row))).collect();
    let captions: StringArray =
        (0..ROWS).map(|row| (row != 4 && row != 9).then(|| format!("red {row}"))).collect();
    let strings: StringArray = (0..ROWS).map(kind).collect();
    let dictionary: DictionaryArray<Int8Type> = (0..ROWS).map(kind).collect();
    let numbers: Int32Array =
        (0..ROWS).map(|row| (row != 1).then_some(i32::try_from(row % 3).unwrap())).collect();
    let flags: BooleanArray = (0..ROWS).map(|row| Some(row % 2 == 0)).collect();
    let names = MapFieldNames { entry: "e".into(), key: "k".into(), value: "v".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in 0..ROWS {
        map.keys().append_value("size");
        map.values().append_value("large");
        if let Some(kind) = kind(row) {
            map.keys().append_value("color");
            map.values().append_value(kind);
        }
        map.append(row != 2).unwrap();
    }
    let map = map.finish();
    let entries = Arc::new(Field::new("item", map.entries().data_type().clone(), false));
    let list =
        ListArray::new(entries, map.offsets().clone(), Arc::new(map.entries().clone()), None);
    let columns: [(&str, ArrayRef); 9] = [
        ("image", Arc::new(images)),
        ("captions", Arc::new(captions)),
        ("product_id", Arc::new(Int32Array::from_iter_values(0..20))),
        ("product_type", Arc::new(strings)),
        ("kind", Arc::new(dictionary)),
        ("number", Arc::new(numbers)),
        ("flag", Arc::new(flags)),
        ("map", Arc::new(map)),
        ("list", Arc::new(list)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = dir.join("a.parquet");
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    vec![path.to_str().unwrap().into()]
}

fn scan(paths: &[String], labels: &[&str], shard: Shard) -> Result<Vec<EvalBatch>, DataError> {
    let options = ScanOptions {
        batch: 6,
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        max_bad_fraction: 0.2,
        shard,
        ..ScanOptions::default()
    };
    Scan::open(paths, &Columns::default(), tokenizer(), &Preprocessor::clip(8), &options)?.collect()
}

#[test]
fn labels_stay_with_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shard(dir.path());
    let names = [
        "number",
        "product_type",
        "kind",
        "flag",
        "product_id",
        "map.color",
        "list.color",
        "map.no",
    ];
    let whole = scan(&paths, &names, Shard::WHOLE).unwrap();
    assert_eq!(whole.iter().map(EvalBatch::len).sum::<usize>(), ROWS - 2);
    for batch in &whole {
        assert_eq!(batch.labels.len(), names.len());
        for (index, sample) in batch.samples.iter().enumerate() {
            let row = usize::try_from(sample.row).unwrap();
            let label = |column: usize| batch.labels[column][index].as_deref();
            let number = (row % 3).to_string();
            assert_eq!(label(0), (row != 1).then_some(number.as_str()), "row {row}");
            let kind = [Some("bag"), Some("shoe"), None][row % 3].filter(|_| row % 5 != 3);
            assert_eq!((label(1), label(2)), (kind, kind), "row {row}");
            assert_eq!(label(3), Some(if row % 2 == 0 { "true" } else { "false" }));
            assert_eq!(label(4), sample.product.as_deref());
            assert_eq!(label(5), kind.filter(|_| row != 2), "row {row}");
            assert_eq!((label(6), label(7)), (kind, None), "row {row}");
        }
    }
    let part = |rank| scan(&paths, &names, Shard { rank, world: 2, local_world: 2 }).unwrap();
    let mut parts: Vec<EvalBatch> = (0..2).flat_map(part).collect();
    parts.sort_by_key(|batch| batch.number);
    assert!(parts == whole);
    assert!(scan(&paths, &[], Shard::WHOLE).unwrap().iter().all(|batch| batch.labels.is_empty()));
}

#[test]
fn chosen_rows_are_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<String> = ["one", "two"]
        .iter()
        .flat_map(|name| {
            let dir = dir.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            shard(&dir)
        })
        .collect();
    let rows = BTreeSet::from([3, 4, 19, 20, 38]); // row 4 has no caption
    let options = ScanOptions {
        batch: 3,
        labels: vec!["product_id".into()],
        max_bad_fraction: 0.2,
        rows,
        ..ScanOptions::default()
    };
    let picture = Preprocessor::clip(8);
    let scan = Scan::open(&paths, &Columns::default(), tokenizer(), &picture, &options).unwrap();
    let batches: Vec<EvalBatch> = scan.collect::<Result<_, _>>().unwrap();
    let rows: Vec<u64> = batches.iter().flat_map(|batch| batch.rows.clone()).collect();
    assert_eq!(rows, [3, 19, 20, 38]);
    let products = batches.iter().flat_map(|batch| batch.products.clone()).collect::<Vec<_>>();
    assert_eq!(products, ["3", "19", "0", "18"]);
}

#[test]
fn a_label_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths = shard(dir.path());
    let message = |label| scan(&paths, &["flag", label], Shard::WHOLE).unwrap_err().to_string();
    assert_eq!(
        message("grounding"),
        format!(
            "shard `{}`: no column `grounding` for `labels`; the columns are: image, captions, \
             product_id, product_type, kind, number, flag, map, list",
            paths[0]
        )
    );
    assert!(message("image").ends_with(
        "column `image` for `labels`: expected string, integer or boolean, or KEY of a map column as COLUMN.KEY, \
         found binary"
    ));
}

#[test]
fn pictures_and_captions_are_needed_only_where_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let half = |name: &str, column: ArrayRef| {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..8));
        let batch = RecordBatch::try_from_iter([("product_id", ids), (name, column)]).unwrap();
        let path = dir.path().join(format!("{name}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path.to_str().unwrap().to_owned()
    };
    let images: BinaryArray = (0..8).map(|row| (row != 2).then(|| png(row))).collect();
    let captions: StringArray =
        (0..8).map(|row| (row != 5).then(|| format!("red {row}"))).collect();
    let images = half("image", Arc::new(images));
    let captions = half("captions", Arc::new(captions));
    let scan = |path: &String, captions, pictures| {
        let options =
            ScanOptions { captions, pictures, max_bad_fraction: 0.2, ..ScanOptions::default() };
        let (columns, picture) = (Columns::default(), Preprocessor::clip(8));
        let paths = std::slice::from_ref(path);
        let mut scan = Scan::open(paths, &columns, tokenizer(), &picture, &options)?;
        scan.next().transpose().map(Option::unwrap)
    };
    let of = |batch: &EvalBatch| batch.samples.iter().map(|s| s.row).collect::<Vec<_>>();
    let batch = scan(&images, Captions::None, true).unwrap();
    assert_eq!((of(&batch), batch.pixels.len()), (vec![0, 1, 3, 4, 5, 6, 7], 7 * 192));
    assert!(batch.captions.iter().all(Vec::is_empty) && batch.token_ids.is_empty());
    let batch = scan(&captions, Captions::First, false).unwrap();
    assert_eq!((of(&batch), batch.pixels.len()), (vec![0, 1, 2, 3, 4, 6, 7], 0));
    assert_eq!(batch.captions[6], ["red 7"]);
    let missing =
        |path, captions, pictures| scan(path, captions, pictures).unwrap_err().to_string();
    assert!(
        missing(&images, Captions::First, true).contains("no column `captions` for `captions`")
    );
    assert!(missing(&captions, Captions::First, true).contains("no column `image` for `image`"));
}
