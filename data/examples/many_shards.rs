//! How long a start takes with many shards: `cargo run --release -p data --example many_shards`.
//!
//! Writes shards (10,000 unless an argument says otherwise) below the system's temporary folder,
//! then opens them three times: with nothing known, from the footers kept beside a run, and from
//! there up to the first batch.

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use configs::{Clean, Data};
use data::{Cursor, DataError, Loader, PadId, Preprocessor, Shard, Since, Tokenizer, TrainSet};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 64;
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let shards = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let dir = std::env::temp_dir().join(format!("vlclip-many-shards-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("shards"))?;
    let outcome = measure(&dir, shards);
    std::fs::remove_dir_all(&dir)?;
    outcome
}

fn measure(dir: &Path, shards: usize) -> Result<(), Box<dyn Error>> {
    for shard in 0..shards {
        write(&dir.join(format!("shards/{shard:05}.parquet")), shard)?;
    }
    let train = dir.join("shards").display().to_string();
    let cfg: Data = serde_json::from_value(serde_json::json!({ "train": [train] }))?;
    let memo = dir.join("shards.memo");
    let open = || TrainSet::open(&cfg, Some((&memo, Since::RunBegan)));

    let clock = Instant::now();
    let set = open()?;
    let rows = set.num_rows();
    println!("{shards} shards, {rows} rows: opened in {:.2} s", clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    drop(open()?);
    println!("from kept footers: {:.2} s", clock.elapsed().as_secs_f64());
    let tokenizer = Arc::new(tokenizer(dir)?);
    let clock = Instant::now();
    let set = open()?;
    let at = Cursor { epoch: 0, batch: rows / BATCH as u64 / 2 };
    let picture = Preprocessor::clip(224);
    let mut loader = Loader::over(&set, &cfg, tokenizer, &picture, BATCH, 0, Shard::WHOLE, at)?;
    loader.next()?;
    println!("to the first batch, in mid-epoch: {:.2} s", clock.elapsed().as_secs_f64());
    Ok(())
}

/// One shard of ROWS pictures, with page index and four columns that play no role.
fn write(path: &Path, shard: usize) -> Result<(), Box<dyn Error>> {
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 48, image::Rgb([(shard % 251) as u8, 80, 120]))
        .write_to(&mut picture, image::ImageFormat::Jpeg)?;
    let texts = |what: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..ROWS).map(|row| format!("{what} {shard} {row}")),
        ))
    };
    let ids = Int64Array::from_iter_values((0..ROWS).map(|row| (shard * ROWS + row) as i64));
    let columns: [(&str, ArrayRef); 7] = [
        ("image", Arc::new(BinaryArray::from_iter_values((0..ROWS).map(|_| picture.get_ref())))),
        ("captions", texts("red shoe")),
        ("product_id", Arc::new(ids)),
        ("product_type", texts("shoe")),
        ("caption_raw", texts("raw")),
        ("caption_refined", texts("refined")),
        ("grounding", texts("given")),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let properties = WriterProperties::builder()
        .set_column_dictionary_enabled("image".into(), false)
        .set_max_row_group_row_count(Some(ROWS / 2))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// A tokenizer that knows a few words.
fn tokenizer(dir: &Path) -> Result<Tokenizer, DataError> {
    let json = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 4], "cls": ["<s>", 3],
        "trim_offsets": false, "add_prefix_space": false}, "model": {"type": "WordLevel",
        "unk_token": "?", "vocab": {"?": 0, "red": 1, "shoe": 2, "<s>": 3, "</s>": 4}}}"#;
    let path = dir.join("tokenizer.json");
    std::fs::write(&path, json).map_err(|source| DataError::Io { path: path.clone(), source })?;
    Tokenizer::open(&path, 77, Clean::Hf, PadId::End)
}
