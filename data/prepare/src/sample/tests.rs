//! The sample as a whole: the same on any number of threads, stable when it grows, honest boxes,
//! and clear about folders it will not touch.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn spec(products: u64) -> SampleSpec {
    SampleSpec { products, seed: 11 }
}

fn read(folder: &Path, split: Split) -> Vec<RecordBatch> {
    let mut files: Vec<_> = fs::read_dir(folder.join(split.name()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .flat_map(|path| {
            let file = fs::File::open(path).unwrap();
            ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap()
        })
        .map(Result::unwrap)
        .collect()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Every row of every split: product id to (split, caption, crop).
fn contents(folder: &Path) -> BTreeMap<String, (Split, String, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for split in Split::ALL {
        for batch in read(folder, split) {
            let images = batch.column_by_name("image").unwrap().as_binary::<i32>();
            let captions = texts(&batch, "caption_refined");
            for (row, (id, caption)) in
                texts(&batch, "product_id").into_iter().zip(captions).enumerate()
            {
                all.insert(id, (split, caption, images.value(row).to_vec()));
            }
        }
    }
    all
}

#[test]
fn files_are_the_same_for_any_number_of_threads() {
    let home = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let one = home.path().join("one");
    let a = write_with_threads(&one, &spec(120), 1, |done, all| told.push((done, all))).unwrap();
    let many = home.path().join("many");
    let b = write_with_threads(&many, &spec(120), 5, |_, _| {}).unwrap();
    assert_eq!(a, b, "sizes and sha256 of every shard");
    for name in ["tokenizer.json", "README.md", "sample.json"] {
        assert_eq!(fs::read(one.join(name)).unwrap(), fs::read(many.join(name)).unwrap(), "{name}");
    }
    assert_eq!(told.last(), Some(&(120, 120)));
    assert_eq!(Split::ALL.map(|split| a.rows(split)).iter().sum::<u64>(), 120);
}

#[test]
fn a_larger_sample_keeps_every_product_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let (small, large) = (home.path().join("small"), home.path().join("large"));
    write_sample(&small, &spec(100), |_, _| {}).unwrap();
    write_sample(&large, &spec(140), |_, _| {}).unwrap();
    let (small, large) = (contents(&small), contents(&large));
    assert_eq!((small.len(), large.len()), (100, 140));
    for (id, row) in &small {
        assert_eq!(Some(row), large.get(id), "{id}");
    }
}

#[test]
fn columns_follow_the_contract() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    let optional = OptionalColumns { image_raw: true, attributes: true, weight: false };
    for batch in read(&out, Split::Train) {
        assert_eq!(batch.schema().fields(), crate::shard_schema(optional).fields());
        let captions = batch.column_by_name("captions").unwrap().as_list::<i32>();
        assert!((0..captions.len()).all(|row| (2..=4).contains(&captions.value(row).len())));
        assert!(texts(&batch, "grounding").iter().all(|word| word == "given"));
    }
}

#[test]
fn boxes_lie_inside_the_scene_and_the_crop_is_the_box_with_its_margin() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    for batch in read(&out, Split::Train) {
        let boxes = batch.column_by_name("box").unwrap().as_struct();
        let images = batch.column_by_name("image").unwrap().as_binary::<i32>();
        let raws = batch.column_by_name("image_raw").unwrap().as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let [x0, y0, x1, y1] =
                [0, 1, 2, 3].map(|c| boxes.column(c).as_primitive::<Float32Type>().value(row));
            assert!(0.0 <= x0 && x0 < x1 && 0.0 <= y0 && y0 < y1, "{x0} {y0} {x1} {y1}");
            let raw = image::load_from_memory(raws.value(row)).unwrap();
            assert!(x1 <= raw.width() as f32 && y1 <= raw.height() as f32);
            let crop = image::load_from_memory(images.value(row)).unwrap();
            let (width, height) = (crop.width() as f32, crop.height() as f32);
            let most = 2.0 * (0.06 * (x1 - x0).max(y1 - y0) + 1.0);
            assert!((x1 - x0..=x1 - x0 + most).contains(&width), "{width} of {x0}..{x1}");
            assert!((y1 - y0..=y1 - y0 + most).contains(&height), "{height} of {y0}..{y1}");
            assert!(width.max(height) >= 36.0, "crops are large enough to tell patterns apart");
        }
    }
}

#[test]
fn captions_fit_the_models_context() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &spec(200), |_, _| {}).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(out.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.get_vocab_size(true), 2048);
    assert_eq!(tokenizer.token_to_id("<|startoftext|>"), Some(2046));
    assert_eq!(tokenizer.token_to_id("<|endoftext|>"), Some(2047));
    for batch in read(&out, Split::Test) {
        for column in ["caption_raw", "caption_refined"] {
            for text in texts(&batch, column) {
                let ids = tokenizer.encode(text.as_str(), true).unwrap();
                assert!(ids.len() <= 48, "{} tokens: {text}", ids.len());
                assert_eq!((ids.get_ids()[0], *ids.get_ids().last().unwrap()), (2046, 2047));
            }
        }
    }
}

#[test]
fn a_second_call_does_nothing() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    let first = write_sample(&out, &spec(100), |_, _| {}).unwrap();
    let time = fs::metadata(out.join("sample.json")).unwrap().modified().unwrap();
    let second = write_sample(&out, &spec(100), |_, _| panic!("it draws again")).unwrap();
    assert!(first.written && !second.written);
    assert_eq!(first.splits, second.splits);
    assert_eq!(fs::metadata(out.join("sample.json")).unwrap().modified().unwrap(), time);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing else is left beside it: {left:?}");
}

#[test]
fn what_an_interrupted_call_left_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    let partial = home.path().join(".sample.partial");
    fs::create_dir_all(partial.join("train")).unwrap();
    fs::write(partial.join("train/part-00009.parquet"), "half").unwrap();
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    assert!(!out.join("train/part-00009.parquet").exists() && !partial.exists());
}

fn refusal(out: &Path, spec: &SampleSpec) -> String {
    let out = out.to_path_buf();
    let message = write_sample(&out, spec, |_, _| {}).unwrap_err().to_string();
    message.replace(&out.parent().unwrap().display().to_string(), "HOME")
}

#[test]
fn other_folders_are_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("holiday");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("photo.jpg"), "x").unwrap();
    assert_eq!(
        refusal(&out, &spec(100)),
        "`HOME/holiday` already holds 1 other files or folders (the first is `photo.jpg`), so the \
         sample is not written there: choose another --out, or delete the folder first"
    );
    assert_eq!(fs::read(out.join("photo.jpg")).unwrap(), b"x");

    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(
        refusal(&file, &spec(100)).starts_with("`HOME/file` already holds a file of that name")
    );
}

#[test]
fn other_and_damaged_samples_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    assert!(
        refusal(&out, &spec(101)).contains(
            "already holds another sample (100 products, seed 11, generator 1; wanted: 101 \
             products, seed 11, generator 1)"
        ),
        "{}",
        refusal(&out, &spec(101))
    );
    let shard = out.join("test/part-00000.parquet");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..100]).unwrap();
    let expected =
        format!("a damaged sample (`test/part-00000.parquet` has 100 bytes, not {})", bytes.len());
    assert!(refusal(&out, &spec(100)).contains(&expected));
    fs::remove_file(&shard).unwrap();
    assert!(refusal(&out, &spec(100)).contains("a damaged sample (`test/part-00000.parquet`: "));
    fs::write(&shard, &bytes).unwrap();
    for name in ["README.md", "tokenizer.json"] {
        fs::write(out.join(name), "").unwrap();
        let expected = format!("a damaged sample (`{name}` is empty)");
        assert!(refusal(&out, &spec(100)).contains(&expected), "{}", refusal(&out, &spec(100)));
    }
    fs::write(out.join("sample.json"), "{").unwrap();
    assert!(refusal(&out, &spec(100)).contains("a sample whose `sample.json` is unreadable"));
}

#[test]
fn a_second_writer_is_told_to_wait() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    let Start::Fresh(_held) = folder::start(&out, &spec(100)).unwrap() else { panic!("not there") };
    assert_eq!(
        refusal(&out, &spec(100)),
        "another process is writing the sample `HOME/sample` (it holds `HOME/.sample.partial`): \
         wait for it to end"
    );
}

#[test]
fn too_few_products_are_refused() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(&home.path().join("sample"), &spec(99)),
        "sample products is 99: expected at least 100, so that every split has some"
    );
}
