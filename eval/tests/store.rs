//! Files of embeddings: what is written is read, by others too; what cannot be used is named.

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field};
use eval::{
    ModelFiles, ORIGIN_KEY, ORIGIN_VERSION, Origin, StoreError, StoreReader, StoreWriter,
    StoredDtype,
};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn origin(group: Option<&str>) -> Origin {
    Origin {
        schema_version: ORIGIN_VERSION,
        model: ModelFiles {
            path: "m".into(),
            hashes: [("config.json".to_owned(), "12".to_owned())].into(),
        },
        side: "image".into(),
        clean: "hf".into(),
        data: vec!["shards".into()],
        normalised: true,
        group: group.map(str::to_owned),
    }
}

/// Row `row` of a matrix of unit vectors.
fn vector(row: usize, width: usize) -> Vec<f32> {
    let raw: Vec<f64> = (0..width).map(|i| ((row * 31 + i * 17 + 1) as f64).sin()).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| (x / norm) as f32).collect()
}

fn ids(rows: std::ops::Range<usize>) -> Vec<String> {
    rows.map(|row| format!("p{row}")).collect()
}

fn group(row: usize) -> Option<String> {
    (row % 4 != 3).then(|| format!("type {}", row % 3))
}

/// Writes `rows` rows in pushes of different lengths.
fn write(path: &Path, rows: usize, width: usize, dtype: StoredDtype) {
    let mut writer =
        StoreWriter::create(path, width, dtype, &origin(Some("product_type"))).expect("creates");
    let mut row = 0;
    for length in (1..).map(|n| n * 7 % 40) {
        let end = rows.min(row + length);
        let values: Vec<f32> = (row..end).flat_map(|row| vector(row, width)).collect();
        let groups: Vec<Option<String>> = (row..end).map(group).collect();
        writer.push(&ids(row..end), Some(&groups), &values).expect("takes");
        row = end;
        if row == rows {
            break;
        }
    }
    writer.finish().expect("writes");
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (dtype, tolerance) in [(StoredDtype::F32, 0.0), (StoredDtype::F16, 1.0 / 2048.0)] {
        // More rows than a row group, and than a block.
        let (path, rows, width) = (dir.path().join("deep/a.parquet"), 17_000, 256);
        write(&path, rows, width, dtype);
        let reader = StoreReader::open(&path).expect("opens");
        assert_eq!(reader.origin(), Some(&origin(Some("product_type"))));
        assert_eq!((reader.rows(), reader.width()), (rows as u64, Some(width)));
        let (mut row, mut blocks) = (0, 0);
        for block in reader {
            let block = block.expect("reads");
            assert_eq!(block.first_row, row as u64);
            assert_eq!(block.ids, ids(row..row + block.ids.len()));
            for (found, of) in block.values.chunks_exact(width).zip(&block.groups) {
                for (found, expected) in found.iter().zip(vector(row, width)) {
                    assert!((found - expected).abs() <= tolerance * expected.abs().max(1e-3));
                }
                assert_eq!(*of, group(row), "row {row}");
                row += 1;
            }
            blocks += 1;
        }
        assert!(row == rows && blocks > 2, "{row} rows in {blocks} blocks");
        let (matrix, groups) = StoreReader::open(&path).expect("opens").read_all().expect("reads");
        assert_eq!((matrix.len(), matrix.width(), groups.len()), (rows, width, rows));
        let names: Vec<_> =
            std::fs::read_dir(path.parent().expect("folder")).expect("lists").collect();
        assert_eq!(names.len(), 1, "nothing else is left");
    }
    let size = |name| std::fs::metadata(dir.path().join(name)).expect("size").len();
    write(&dir.path().join("b.parquet"), 3000, 64, StoredDtype::F32);
    write(&dir.path().join("c.parquet"), 3000, 64, StoredDtype::F16);
    assert!(size("c.parquet") < size("b.parquet") * 6 / 10);
}

#[test]
fn a_writer_refuses_what_cannot_be_read_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.parquet");
    let at = path.display().to_string();
    let message = |rows: &[(&str, [f32; 2])], dtype| {
        let mut writer = StoreWriter::create(&path, 2, dtype, &origin(None)).expect("creates");
        let error = rows
            .iter()
            .find_map(|(id, vector)| writer.push(&[(*id).to_owned()], None, vector).err());
        error.expect("must be refused").to_string()
    };
    let (f32s, f16s) = (StoredDtype::F32, StoredDtype::F16);
    let unit = [1.0, 0.0];
    assert_eq!(
        message(&[("a", unit), ("b", unit), ("a", unit)], f32s),
        format!("embeddings `{at}` row 2 (`a`): row 0 has the same id: ids must be distinct")
    );
    assert_eq!(
        message(&[("a", unit), ("b", [0.0, f32::NAN])], f32s),
        format!(
            "embeddings `{at}` row 1 (`b`): component 1 is NaN: expected a finite number; did the \
             model diverge?"
        )
    );
    assert!(message(&[("a", [1e6, 0.0])], f16s).contains("component 0 is 1000000"));
    assert_eq!(message(&[("", unit)], f32s), format!("embeddings `{at}` row 0: its id is empty"));
    let mut writer = StoreWriter::create(&path, 2, f32s, &origin(None)).expect("creates");
    let error = writer.push(&["a".into()], None, &[1.0, 0.0, 0.0]).expect_err("wrong width");
    assert!(error.to_string().contains("1 ids need as many rows of 2 values"), "{error}");
    let error = writer.finish().expect_err("no rows");
    assert_eq!(error.to_string(), format!("embeddings `{at}`: there are no rows to write"));
    let name = StoreWriter::create(&path, 2, f32s, &origin(Some("id"))).expect_err("clash");
    assert!(name.to_string().contains("the column of groups cannot be called `id`"), "{name}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 0);
}

/// A file as another program might write it.
fn foreign(path: &Path, columns: Vec<(&str, ArrayRef)>, metadata: Option<&str>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .expect("columns of equal length");
    let pairs = metadata.map(|json| vec![KeyValue::new(ORIGIN_KEY.to_owned(), json.to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(pairs).build();
    let file = File::create(path).expect("creates");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("opens");
    writer.write(&batch).expect("writes");
    writer.close().expect("closes");
}

fn vectors(values: Vec<f32>) -> ArrayRef {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let values = Arc::new(Float32Array::from(values));
    Arc::new(FixedSizeListArray::try_new(item, 2, values, None).expect("whole rows"))
}

fn strings(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(texts.iter().copied().collect::<StringArray>())
}

fn refused(path: &Path) -> String {
    let read = StoreReader::open(path).and_then(|mut reader| reader.try_for_each(|b| b.map(drop)));
    read.expect_err("must be refused").to_string()
}

#[test]
fn a_reader_names_file_and_row() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path: PathBuf = dir.path().join("a.parquet");
    let at = format!("embeddings `{}`", path.display());
    let two = || strings(&[Some("a"), Some("b")]);
    let good = || vectors(vec![1.0, 0.0, 0.0, 1.0]);

    assert!(refused(&path).starts_with(&format!("cannot read `{}`: ", path.display())));
    std::fs::write(&path, "no Parquet at all").expect("writes");
    assert!(refused(&path).starts_with(&format!("{at}: not a readable Parquet file: ")));

    foreign(&path, vec![("name", two()), ("embedding", good())], None);
    assert_eq!(refused(&path), format!("{at}: no column `id`; the columns are: name, embedding"));
    foreign(&path, vec![("id", two()), ("vector", good())], None);
    assert_eq!(refused(&path), format!("{at}: no column `embedding`; the columns are: id, vector"));
    let numbers = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    foreign(&path, vec![("id", numbers()), ("embedding", good())], None);
    assert_eq!(refused(&path), format!("{at}: column `id`: expected string, found Int64"));
    foreign(&path, vec![("id", two()), ("embedding", numbers())], None);
    assert!(
        refused(&path)
            .starts_with(&format!("{at}: column `embedding`: expected a list of float16"))
    );

    foreign(&path, vec![("id", strings(&[Some("a"), Some("a")])), ("embedding", good())], None);
    assert_eq!(
        refused(&path),
        format!("{at} row 1 (`a`): row 0 has the same id: ids must be distinct")
    );
    foreign(&path, vec![("id", strings(&[Some("a"), None])), ("embedding", good())], None);
    assert_eq!(refused(&path), format!("{at} row 1: it has no id"));
    let bad = |second: [f32; 2]| vectors(vec![1.0, 0.0, second[0], second[1]]);
    foreign(&path, vec![("id", two()), ("embedding", bad([f32::NAN, 1.0]))], None);
    assert!(refused(&path).starts_with(&format!("{at} row 1 (`b`): component 0 is NaN")));
    foreign(&path, vec![("id", two()), ("embedding", bad([0.0, 0.0]))], None);
    assert!(refused(&path).starts_with(&format!("{at} row 1 (`b`): it is all zero")));

    let mut stated = serde_json::to_value(origin(None)).expect("JSON");
    let json = stated.to_string();
    foreign(&path, vec![("id", two()), ("embedding", bad([3.0, 4.0]))], Some(&json));
    assert!(
        refused(&path)
            .ends_with("row 1 (`b`): its norm is 5: expected 1, as the file's metadata say")
    );
    foreign(&path, vec![("id", two()), ("embedding", bad([3.0, 4.0]))], None);
    let (matrix, groups) = StoreReader::open(&path).expect("opens").read_all().expect("reads");
    assert_eq!(matrix.rows().nth(1), Some([0.6, 0.8].as_slice()));
    assert_eq!(groups, [None, None]);
    let reader = StoreReader::open(&path).expect("opens");
    assert_eq!(
        reader.expect_width(512).expect_err("another width").to_string(),
        format!("{at} have width 2, but 512 was expected: they come from another model")
    );
    reader.expect_width(2).expect("the same width");

    stated["schema_version"] = 9.into();
    foreign(&path, vec![("id", two()), ("embedding", good())], Some(&stated.to_string()));
    assert!(refused(&path).contains("version 9, but this program reads version 1"));
    foreign(&path, vec![("id", two()), ("embedding", good())], Some("{"));
    assert!(
        refused(&path).starts_with(&format!("{at}: the metadata `{ORIGIN_KEY}` cannot be read"))
    );
}

#[test]
fn damaged_bytes_are_an_error() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.parquet");
    write(&path, 300, 16, StoredDtype::F32);
    let whole = std::fs::read(&path).expect("reads");
    let mut refusals = 0;
    for at in (8..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).expect("writes");
        // A changed component may still be a number; nothing panics.
        let read = StoreReader::open(&path).and_then(StoreReader::read_all);
        refusals += usize::from(read.is_err());
    }
    assert!(refusals > 10, "{refusals}");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert!(matches!(StoreReader::open(&path), Err(StoreError::NotParquet { .. })));
}

fn python(args: &[&str]) -> String {
    assert!(
        Path::new(ROOT).join(".peers/duckdb").is_dir(),
        "the Python peers are missing: run `make test`, which installs them"
    );
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .current_dir(ROOT)
        .env("PYTHONPATH", ".peers:.libtorch")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HF_HUB_OFFLINE", "1")
        .arg("tests/peers/embeddings.py")
        .args(args)
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "embeddings.py failed: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn python_libraries_read_what_we_write() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for dtype in [StoredDtype::F32, StoredDtype::F16] {
        let path = dir.path().join(format!("{dtype:?}.parquet"));
        write(&path, 50, 8, dtype);
        let printed = python(&["read", path.to_str().expect("UTF-8")]);
        let found: Value =
            serde_json::from_str(printed.lines().last().expect("a line")).expect("JSON");
        assert_eq!(found["metadata"]["side"], "image");
        for library in ["pyarrow", "duckdb", "polars", "datasets"] {
            let found = &found[library];
            assert_eq!(found["ids"], serde_json::json!(ids(0..50)), "{library}");
            let types: Vec<_> = (0..50).map(group).collect();
            assert_eq!(found["types"], serde_json::json!(types), "{library}");
            for row in 0..50 {
                for (at, expected) in vector(row, 8).into_iter().enumerate() {
                    let found = found["rows"][row][at].as_f64().expect("a number");
                    let tolerance = if dtype == StoredDtype::F32 { 0.0 } else { 5e-4 };
                    let error = (found - f64::from(expected)).abs();
                    assert!(
                        error <= tolerance,
                        "{library} {dtype:?} row {row}: {found}, {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn files_of_python_libraries_are_read() {
    let dir = tempfile::tempdir().expect("temporary folder");
    python(&["write", dir.path().to_str().expect("UTF-8")]);
    for library in ["pandas", "duckdb", "polars", "pyarrow", "datasets"] {
        let reader = StoreReader::open(&dir.path().join(format!("{library}.parquet")));
        let reader = reader.unwrap_or_else(|error| panic!("{library}: {error}"));
        let (matrix, groups) =
            reader.read_all().unwrap_or_else(|error| panic!("{library}: {error}"));
        assert_eq!(matrix.ids(), ["a", "b", "c", "d"], "{library}");
        let rows: Vec<&[f32]> = matrix.rows().collect();
        let expected = [[0.6, 0.8], [0.0, -1.0], [1.0, 0.0], [5.0 / 13.0, 12.0 / 13.0]];
        assert_eq!(rows, expected, "{library}");
        let types = [Some("bag"), None, Some("shoe"), Some("bag")];
        assert_eq!(groups.iter().map(Option::as_deref).collect::<Vec<_>>(), types, "{library}");
    }
}
