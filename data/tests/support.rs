//! Shards, tokenizers and Python for the tests.

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use configs::{Clean, Data, Shuffle, Streams, WindowRows, Workers};
use data::{Cursor, DataError, Loader, PadId, Preprocessor, Shard, Tokenizer};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// One row to write. `None` is null.
#[derive(Clone)]
pub struct Row {
    pub image: Option<Vec<u8>>,
    pub captions: Option<Vec<Option<String>>>,
    pub product: String,
}

/// A PNG whose every pixel says which row it is.
pub fn png(number: usize) -> Vec<u8> {
    let colour = image::Rgb([(number % 251) as u8, (number / 251) as u8, 99]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(6, 5, colour)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Row `number`: its picture, two captions that name it, its product.
pub fn row(number: usize) -> Row {
    let caption = |text: &str| Some(format!("{text} {number}"));
    Row {
        image: Some(png(number)),
        captions: Some(vec![caption("red"), caption("blue")]),
        product: format!("p{}", number / 2),
    }
}

/// Writes rows as one shard with `group` rows to a row group.
pub fn write(path: &Path, rows: &[Row], group: usize) {
    write_pages(path, rows, group, 1024);
}

/// The same with up to `page` rows to a page.
pub fn write_pages(path: &Path, rows: &[Row], group: usize, page: usize) {
    let mut images = BinaryBuilder::new();
    let mut captions = ListBuilder::new(StringBuilder::new());
    for row in rows {
        images.append_option(row.image.as_deref());
        captions.append_option(row.captions.clone());
    }
    let products: StringArray = rows.iter().map(|row| Some(row.product.as_str())).collect();
    let junk: StringArray = rows.iter().map(|row| Some("j".repeat(40) + &row.product)).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("junk", Arc::new(junk)),
        ("image", Arc::new(images.finish())),
        ("captions", Arc::new(captions.finish())),
        ("product_id", Arc::new(products)),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(page)
        .set_write_batch_size(page)
        .set_column_dictionary_enabled("image".into(), false)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Two shards of rows 0..count, in row groups of 7.
pub fn shards(dir: &Path, count: usize) -> Vec<String> {
    let rows: Vec<Row> = (0..count).map(row).collect();
    let (a, b) = rows.split_at(count / 3);
    write(&dir.join("a.parquet"), a, 7);
    write(&dir.join("b.parquet"), b, 7);
    vec![dir.to_str().unwrap().into()]
}

/// The `data` section for these shards.
pub fn config(train: Vec<String>) -> Data {
    Data {
        train: train.into(),
        cache: None,
        columns: configs::Columns::default(),
        text: configs::Text::default(),
        augment: configs::Augment::default(),
        shuffle: Shuffle { streams: Streams::Auto, window_rows: WindowRows::Count(5) },
        workers: Workers::Count(2),
        prefetch: 2,
        max_bad_fraction: 0.01,
    }
}

/// A tokenizer that knows colours and numbers.
pub fn tokenizer() -> Arc<Tokenizer> {
    let mut vocab = serde_json::json!({"?": 0, "red": 1, "blue": 2, "mug": 3});
    for number in 0..300 {
        vocab[number.to_string()] = (4 + number).into();
    }
    vocab["<s>"] = 304.into();
    vocab["</s>"] = 305.into();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 305], "cls": ["<s>", 304],
            "trim_offsets": false, "add_prefix_space": false},
        "model": {"type": "WordLevel", "unk_token": "?", "vocab": vocab},
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Arc::new(Tokenizer::open(&path, 8, Clean::Hf, PadId::End).unwrap())
}

/// A loader with 8 x 8 pictures.
pub fn open(cfg: &Data, batch: usize, shard: Shard, from: Cursor) -> Result<Loader, DataError> {
    Loader::open(cfg, tokenizer(), &Preprocessor::clip(8), batch, 11, shard, from)
}

/// Runs Python from the repository's root with the peers, and returns what it prints.
pub fn python(args: &[&str]) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    assert!(
        root.join(".peers").is_dir() && root.join(".libtorch").is_dir(),
        "the Python peers are missing: run `make test`, which installs the Python peers"
    );
    let run = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .args(args)
        .current_dir(&root)
        .env("PYTHONPATH", ".peers:.libtorch")
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("python3 starts");
    assert!(
        run.status.success(),
        "{args:?} failed (run `make test`, which installs the Python peers):\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

/// Runs `tests/peers/<script> --out <a new folder>` and returns the folder.
pub fn peer(script: &str) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    python(&[&format!("tests/peers/{script}"), "--out", out.path().to_str().unwrap()]);
    out
}

/// Reads a JSON file of a folder.
pub fn json(dir: &Path, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
}
