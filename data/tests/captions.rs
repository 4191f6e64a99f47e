//! Captions: what they are made of, what is left out of them, and token ids equal to open_clip's and
//! transformers' on varied captions.

use crate::support::{config, json, open, peer, png, tokenizer};
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray,
    StructArray,
};
use arrow_schema::{DataType, Field, Fields};
use configs::{Clean, Columns, Data};
use data::{Batch, Captions, Cause, Cursor, DataError, Scan, ScanOptions};
use data::{PadId, Preprocessor, Shard, Tokenizer};
use parquet::arrow::ArrowWriter;
use std::path::Path;
use std::sync::Arc;

const ROWS: usize = 60;

/// 60 rows: a list `captions` (null in every third row), a `title`, a `price` (NaN in every fourth),
/// `item.kind`, `stock`, `new`.
fn shard(dir: &Path) -> Data {
    let images: BinaryArray = (0..ROWS).map(|row| Some(png(row))).collect();
    let mut captions = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        match row % 3 {
            0 => captions.append_null(),
            _ => captions.append_value(["red", "blue"].map(Some)),
        }
    }
    let text = |text: &str| Arc::new(StringArray::from(vec![text; ROWS])) as ArrayRef;
    let prices = (0..ROWS).map(|row| if row % 4 == 0 { f64::NAN } else { row as f64 });
    let kind = Fields::from(vec![Field::new("kind", DataType::Utf8, true)]);
    let columns: [(&str, ArrayRef); 8] = [
        ("image", Arc::new(images)),
        ("captions", Arc::new(captions.finish())),
        ("title", text("mug")),
        ("price", Arc::new(Float64Array::from_iter_values(prices))),
        ("item", Arc::new(StructArray::new(kind, vec![text("mug")], None))),
        ("stock", Arc::new(Int32Array::from(vec![7; ROWS]))),
        ("new", Arc::new(BooleanArray::from(vec![true; ROWS]))),
        ("product_id", Arc::new(Int32Array::from_iter_values(0..ROWS as i32))),
    ];
    let columns = columns.map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = std::fs::File::create(dir.join("a.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    config(vec![dir.to_str().unwrap().into()])
}

/// `cfg` with these captions.
fn with(cfg: &Data, captions: serde_json::Value) -> Data {
    let captions = serde_json::from_value(captions).unwrap();
    Data { columns: Columns { captions, ..Columns::default() }, ..cfg.clone() }
}

fn batches(cfg: &Data, count: usize) -> Vec<Batch> {
    let mut loader = open(cfg, 12, Shard::WHOLE, Cursor::default()).unwrap();
    (0..count).map(|_| loader.next().unwrap()).collect()
}

/// Row and words of each sample, in the tokenizer's vocabulary.
fn words(batches: &[Batch]) -> Vec<(u64, String)> {
    let word = |id: &i64| match id {
        0 => Some("?".to_owned()),
        1 => Some("red".to_owned()),
        2 => Some("blue".to_owned()),
        3 => Some("mug".to_owned()),
        id if *id < 304 => Some((id - 4).to_string()),
        _ => None, // start, end and padding
    };
    let of = |batch: &Batch| -> Vec<(u64, String)> {
        let rows = batch.samples.iter().zip(batch.token_ids.chunks(batch.length));
        let text = |ids: &[i64]| ids.iter().filter_map(word).collect::<Vec<_>>().join(" ");
        rows.map(|(sample, ids)| (sample.row, text(ids))).collect()
    };
    batches.iter().flat_map(of).collect()
}

fn three() -> serde_json::Value {
    serde_json::json!([
        {"column": "captions", "weight": 2},
        {"template": "red {item.kind} {price}", "weight": 3},
        "title"
    ])
}

#[test]
fn weighted_columns_and_templates_reach_the_batches() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = with(&shard(dir.path()), three());
    let samples = words(&batches(&cfg, 500));
    assert_eq!(samples.len(), 6_000);
    let (mut list, mut filled, mut full) = (0u32, 0u32, 0u32);
    for (row, text) in &samples {
        let (has_list, has_price) = (row % 3 != 0, row % 4 != 0);
        full += u32::from(has_list && has_price);
        match text.as_str() {
            "mug" => {}
            "red" | "blue" => {
                assert!(has_list, "row {row}: {text}");
                list += u32::from(has_price);
            }
            text => {
                assert!(has_price, "row {row}: {text}");
                assert_eq!(text, format!("red mug {row}"));
                filled += u32::from(has_list);
            }
        }
    }
    // Half of the rows have all: 3,000. A third and a half of them, within six deviations.
    assert!(full.abs_diff(3_000) < 60, "{full}");
    assert!(list.abs_diff(1_000) < 160, "{list}");
    assert!(filled.abs_diff(1_500) < 170, "{filled}");
    // The same whatever was drawn before, and in parts.
    let mut again = open(&cfg, 12, Shard::WHOLE, Cursor { epoch: 7, batch: 2 }).unwrap();
    assert_eq!(words(&[again.next().unwrap()]), samples[37 * 12..38 * 12]);
    let rank = |rank| {
        open(&cfg, 12, Shard { rank, world: 2, local_world: 1 }, Cursor::default()).unwrap().next()
    };
    assert_eq!(words(&[rank(0).unwrap(), rank(1).unwrap()]), samples[..12]);
}

#[test]
fn numbers_and_booleans_fill_templates() {
    let dir = tempfile::tempdir().unwrap();
    let template = serde_json::json!({"template": "{stock} {new} mug {price}"});
    let mut cfg = with(&shard(dir.path()), template);
    let mut loader = open(&cfg, 12, Shard::WHOLE, Cursor::default()).unwrap();
    let error = (0..5).find_map(|_| loader.next().err()).unwrap().to_string();
    assert!(error.contains("(no caption: "), "{error}");
    assert!(error.contains("): no caption: no text in `price`"), "{error}");

    cfg.max_bad_fraction = 0.25;
    let mut loader = open(&cfg, 12, Shard::WHOLE, Cursor::default()).unwrap();
    let batches: Vec<Batch> = (0..5).map(|_| loader.next().unwrap()).collect();
    for (row, text) in words(&batches) {
        assert!(row % 4 != 0);
        assert_eq!(text, format!("7 ? mug {row}"), "`true` is not in the vocabulary");
    }
    assert_eq!(loader.counts().bad[&Cause::NoCaption], 15);
    assert_eq!((loader.counts().rows, loader.counts().truncated), (60, 0));
}

#[test]
fn pictures_do_not_depend_on_captions() {
    let dir = tempfile::tempdir().unwrap();
    let mut plain = shard(dir.path());
    plain.columns.captions = "title".into();
    plain.augment.scale = [0.2, 1.0];
    let mut other = with(&plain, three());
    other.text.word_dropout = 0.5;
    other.text.caption_dropout = 0.5;
    let (plain, other) = (batches(&plain, 5), batches(&other, 5));
    assert_ne!(words(&plain), words(&other));
    for (a, b) in plain.iter().zip(&other) {
        assert_eq!(a.pixels, b.pixels);
        assert_eq!(a.samples, b.samples);
    }
}

#[test]
fn dropout_empties_captions_and_leaves_words_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = with(&shard(dir.path()), serde_json::json!({"template": "red {stock} {title}"}));
    cfg.text.caption_dropout = 0.25;
    cfg.text.word_dropout = 0.5;
    let found = batches(&cfg, 500);
    assert_eq!(found[..20], batches(&cfg, 20), "a function of the seed");
    let texts = words(&found);
    let share = |text: &str| texts.iter().filter(|(_, t)| t == text).count() as f64 / 6_000.0;
    // Of three words all are left out in 1/8 of cases; one of them, each as likely, then stays.
    let each = 0.75 * (1.0 / 8.0);
    let one = each + each / 3.0;
    for (text, expected) in [
        ("", 0.25),
        ("red 7 mug", each),
        ("red 7", each),
        ("red mug", each),
        ("7 mug", each),
        ("red", one),
        ("7", one),
        ("mug", one),
    ] {
        // Six standard deviations of 6,000 draws: 0.034 for 1/4.
        assert!((share(text) - expected).abs() < 0.034, "{text:?}: {}", share(text));
    }
    // Empty captions are one caption; what is framed is the start and the end token.
    for batch in &found {
        let rows = batch.token_ids.chunks(batch.length).zip(&batch.captions);
        let empty: Vec<_> = rows.filter(|(ids, _)| ids[..2] == [304, 305]).collect();
        assert!(empty.windows(2).all(|pair| pair[0].1 == pair[1].1));
    }
    cfg.text.word_dropout = 1.0;
    let message = open(&cfg, 12, Shard::WHOLE, Cursor::default()).err().unwrap().to_string();
    assert_eq!(message, "data.text.word_dropout: expected a number in [0, 1), found 1");
}

#[test]
fn captions_cut_to_the_context_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    // Six words fit between start and end; the seventh is cut.
    let six = "red red red red red {title}";
    let choice = serde_json::json!([{"template": six}, {"template": six.to_owned() + " {title}"}]);
    let cfg = with(&shard(dir.path()), choice);
    let mut loader = open(&cfg, 12, Shard::WHOLE, Cursor::default()).unwrap();
    (0..100).for_each(|_| drop(loader.next().unwrap()));
    let counts = loader.counts();
    assert_eq!(counts.rows, 1_200);
    assert!(counts.truncated.abs_diff(600) < 105, "{}", counts.truncated);
}

#[test]
fn evaluation_sees_the_first_alternative_or_all_without_dropout() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = with(&shard(dir.path()), three());
    cfg.text.caption_dropout = 0.9;
    let scan = |captions| {
        let options = ScanOptions { captions, ..ScanOptions::default() };
        let picture = Preprocessor::clip(8);
        let scan =
            Scan::open(&cfg.train.paths(), &cfg.columns, tokenizer(), &picture, &options).unwrap();
        let batches: Result<Vec<_>, DataError> = scan.collect();
        batches.unwrap().into_iter().flat_map(|batch| batch.captions).collect::<Vec<_>>()
    };
    let first = scan(Captions::First);
    assert_eq!(first[..5], [["mug"], ["red"], ["red"], ["red mug 3"], ["red"]]);
    let all = scan(Captions::All);
    assert_eq!(all.len(), ROWS);
    assert_eq!(all[0], ["mug"]);
    assert_eq!(all[1], ["red", "blue", "red mug 1", "mug"]);
    assert_eq!(all[3], ["red mug 3", "mug"]);
    assert_eq!(all[4], ["red", "blue", "mug"]);
}

#[test]
fn token_ids_equal_open_clips_and_transformers() {
    let dir = peer("captions.py");
    let open =
        |clean| Tokenizer::open(dir.path().join("tokenizer.json"), 77, clean, PadId::End).unwrap();
    let cases = json(dir.path(), "captions.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 200);
    let mut wrong = Vec::new();
    for (clean, key) in [(Clean::OpenClip, "open_clip"), (Clean::Hf, "hf")] {
        let tokenizer = open(clean);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<i64> = serde_json::from_value(case[key].clone()).unwrap();
            let found = tokenizer.encode(text).unwrap();
            if found.ids != expected {
                wrong.push(format!(
                    "{key}: {text:?}\n  expected {expected:?}\n  found    {:?}",
                    found.ids
                ));
            }
            // A caption of exactly 77 tokens is cut or not; any shorter one is whole.
            assert!(found.ids.len() == 77 || !found.truncated);
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
