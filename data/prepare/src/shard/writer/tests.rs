//! The writer: when it closes row groups and files, what it reports, and which rows it refuses.

use std::fs;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::*;
use crate::digest::hex;
use crate::{BoxPx, Grounding};

fn row(id: &str) -> ShardRow {
    ShardRow {
        product_id: id.to_owned(),
        group: None,
        image: vec![7; 1000].into(),
        image_raw: None,
        captions: vec!["a red mug".to_owned(), "mug".to_owned()],
        caption_raw: "MUG!!".to_owned(),
        caption_refined: "a red mug".to_owned(),
        product_type: "mug".to_owned(),
        attributes: Vec::new(),
        weight: None,
        grounding: Grounding::NoBox,
        box_px: None,
        box_score: None,
        caption_rounds: 2,
        caption_stop: "stop".to_owned(),
        caption_model: "m".to_owned(),
    }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn write(folder: &Path, options: ShardOptions, rows: &[ShardRow]) -> Vec<ShardFile> {
    let mut writer = ShardWriter::create(folder, options).unwrap();
    rows.iter().for_each(|row| writer.push(row).unwrap());
    writer.finish().unwrap()
}

#[test]
fn row_groups_close_by_rows_and_files_by_bytes() {
    let home = tempfile::tempdir().unwrap();
    let options = ShardOptions { row_group_rows: 4, file_bytes: 7000, ..ShardOptions::default() };
    let rows: Vec<_> = (0..18).map(|i| row(&format!("p{i}"))).collect();
    let files = write(home.path(), options, &rows);
    let layout: Vec<_> = files.iter().map(|f| (f.name.as_str(), f.rows, f.row_groups)).collect();
    assert_eq!(
        layout,
        [("part-00000.parquet", 8, 2), ("part-00001.parquet", 8, 2), ("part-00002.parquet", 2, 1)]
    );
    for file in &files {
        let bytes = fs::read(home.path().join(&file.name)).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
        assert_eq!(hex(&Sha256::digest(&bytes)), file.sha256);
    }
    let ids: Vec<String> = files
        .iter()
        .flat_map(|file| read(&home.path().join(&file.name)))
        .flat_map(|batch| {
            let ids = batch.column_by_name("product_id").unwrap().as_string::<i32>();
            ids.iter().map(|id| id.unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids, rows.iter().map(|row| row.product_id.clone()).collect::<Vec<_>>());
}

#[test]
fn row_groups_close_by_bytes_too() {
    let home = tempfile::tempdir().unwrap();
    let options = ShardOptions { row_group_bytes: 2500, ..ShardOptions::default() };
    let rows: Vec<_> = (0..7).map(|i| row(&format!("p{i}"))).collect();
    assert_eq!(write(home.path(), options, &rows)[0].row_groups, 3);
}

#[test]
fn missing_boxes_are_null_and_given_values_come_back() {
    let home = tempfile::tempdir().unwrap();
    let optional = OptionalColumns { group: true, image_raw: true, attributes: true, weight: true };
    let options = ShardOptions { optional, ..ShardOptions::default() };
    let group = Some("bare".to_owned());
    let bare =
        ShardRow { group, image_raw: Some(vec![1].into()), weight: Some(0.5), ..row("bare") };
    let full = ShardRow {
        box_px: Some(BoxPx { x0: 1.0, y0: 2.0, x1: 3.0, y1: 4.5 }),
        box_score: Some(0.75),
        attributes: vec![("color".to_owned(), "red".to_owned())],
        grounding: Grounding::Grounded,
        product_id: "full".to_owned(),
        ..bare.clone()
    };
    let files = write(home.path(), options, &[bare, full]);
    let batch = &read(&home.path().join(&files[0].name))[0];
    let boxes = batch.column_by_name("box").unwrap();
    assert!(boxes.is_null(0) && boxes.is_valid(1));
    let bottom = boxes.as_struct().column_by_name("y1").unwrap();
    assert_eq!(bottom.as_primitive::<arrow_array::types::Float32Type>().value(1), 4.5);
    assert!(batch.column_by_name("box_score").unwrap().is_null(0));
    let groups = batch.column_by_name("group").unwrap().as_string::<i32>();
    assert_eq!((groups.value(0), groups.value(1)), ("bare", "bare"));
    let attributes = batch.column_by_name("attributes").unwrap().as_list::<i32>();
    assert_eq!((attributes.value(0).len(), attributes.value(1).len()), (0, 1));
    let words = batch.column_by_name("grounding").unwrap().as_string::<i32>();
    assert_eq!((words.value(0), words.value(1)), ("no_box", "grounded"));
}

#[test]
fn no_rows_still_make_one_readable_file() {
    let home = tempfile::tempdir().unwrap();
    let files = write(home.path(), ShardOptions::default(), &[]);
    assert_eq!((files.len(), files[0].rows, files[0].row_groups), (1, 0, 0));
    assert!(read(&home.path().join(&files[0].name)).is_empty());
}

#[test]
fn rows_that_do_not_fit_are_named() {
    let home = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(home.path(), ShardOptions::default()).unwrap();
    writer.push(&row("good")).unwrap();
    let mut refused = |row: ShardRow| {
        let message = writer.push(&row).unwrap_err().to_string();
        message.replace(&home.path().display().to_string(), "HOME")
    };
    assert_eq!(
        refused(ShardRow { captions: Vec::new(), ..row("p1") }),
        "shard folder `HOME` row 1 (product `p1`): it has no captions: expected at least one"
    );
    assert_eq!(
        refused(ShardRow { weight: Some(1.0), ..row("p1") }),
        "shard folder `HOME` row 1 (product `p1`): has a value for `weight`, a column that is not \
         written"
    );
    assert_eq!(refused(row("")), "shard folder `HOME` row 1 (product ``): the product id is empty");

    let optional = OptionalColumns { image_raw: true, ..OptionalColumns::default() };
    let options = ShardOptions { optional, ..ShardOptions::default() };
    let mut writer = ShardWriter::create(home.path(), options).unwrap();
    let message = writer.push(&row("p0")).unwrap_err().to_string();
    assert!(message.ends_with("column `image_raw` is written but this row has no value for it"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = ShardWriter::create(&file.join("shards"), ShardOptions::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot create `"), "{error}");
    assert!(error.to_string().contains("file/shards`"), "{error}");
}
