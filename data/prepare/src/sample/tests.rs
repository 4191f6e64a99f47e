//! The sample as a whole: the same on any number of threads, stable when it grows, honest boxes,
//! and clear about folders it will not touch.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn spec(products: u64) -> SampleSpec {
    SampleSpec { products, seed: 11 }
}

fn read(folder: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(folder.join(CATALOGUE)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// Every product: id to title, description and picture.
fn contents(folder: &Path) -> BTreeMap<String, (String, String, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for batch in read(folder) {
        let images = batch.column_by_name("image").unwrap().as_binary::<i32>();
        let (titles, descriptions) = (texts(&batch, "title"), texts(&batch, "description"));
        let words = titles.into_iter().zip(descriptions);
        for (row, (id, (title, description))) in
            texts(&batch, "product_id").into_iter().zip(words).enumerate()
        {
            all.insert(id, (title, description, images.value(row).to_vec()));
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
    assert_eq!(a, b, "size and sha256 of the catalogue");
    for name in ["tokenizer.json", "README.md", "sample.json"] {
        assert_eq!(fs::read(one.join(name)).unwrap(), fs::read(many.join(name)).unwrap(), "{name}");
    }
    assert_eq!(told.last(), Some(&(120, 120)));
    assert_eq!(contents(&one).len(), 120);
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
fn boxes_lie_inside_the_scene() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    for batch in read(&out) {
        let images = batch.column_by_name("image").unwrap().as_binary::<i32>();
        let edges = ["x0", "y0", "x1", "y1"]
            .map(|name| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>());
        for row in 0..batch.num_rows() {
            let [x0, y0, x1, y1] = edges.map(|edge| edge.value(row));
            assert!(0 <= x0 && x0 < x1 && 0 <= y0 && y0 < y1, "{x0} {y0} {x1} {y1}");
            let scene = image::load_from_memory(images.value(row)).unwrap();
            assert!(x1 <= scene.width() as i32 && y1 <= scene.height() as i32);
            assert!((x1 - x0).max(y1 - y0) >= 34, "large enough to tell patterns apart");
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
    for batch in read(&out) {
        for column in ["title", "description"] {
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
    assert_eq!(first.sha256, second.sha256);
    assert_eq!(fs::metadata(out.join("sample.json")).unwrap().modified().unwrap(), time);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing else is left beside it: {left:?}");
}

#[test]
fn what_an_interrupted_call_left_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("sample");
    let partial = home.path().join(".sample.partial");
    fs::create_dir_all(partial.join("more")).unwrap();
    fs::write(partial.join("more/half"), "half").unwrap();
    write_sample(&out, &spec(100), |_, _| {}).unwrap();
    assert!(!out.join("more").exists() && !partial.exists());
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
        "`HOME/holiday` already holds 1 other files or folders (the first is `photo.jpg`), so \
         nothing is written there: choose another folder, or delete it first"
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
            "already holds another sample (100 products, seed 11, generator 3; wanted: 101 \
             products, seed 11, generator 3)"
        ),
        "{}",
        refusal(&out, &spec(101))
    );
    let shard = out.join(CATALOGUE);
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..100]).unwrap();
    let expected =
        format!("a damaged sample (`catalogue.parquet` has 100 bytes, not {})", bytes.len());
    assert!(refusal(&out, &spec(100)).contains(&expected));
    fs::remove_file(&shard).unwrap();
    assert!(refusal(&out, &spec(100)).contains("a damaged sample (`catalogue.parquet`: "));
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
