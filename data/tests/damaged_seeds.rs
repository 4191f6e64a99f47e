//! Small shards of every shape, damage to them, and their reading: for the tests and for
//! `examples/fuzz.rs`.

use crate::damage::damage;
use arrow_array::builder::{
    BinaryBuilder, FixedSizeListBuilder, ListBuilder, StringBuilder, StringDictionaryBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryViewArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field};
use configs::{Columns, Data, Shuffle, Streams, WindowRows, Workers};
use data::{
    Captions, Cursor, DataError, Loader, Preprocessor, Rng, Scan, ScanOptions, Shard, Tokenizer,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use std::path::Path;
use std::sync::Arc;

const ROWS: usize = 24;

/// A few small shards, each of another shape.
pub fn shards() -> Vec<Vec<u8>> {
    let images: Vec<Option<Vec<u8>>> =
        (0..ROWS).map(|row| (row != 5).then(|| picture(row))).collect();
    let plain: ArrayRef = {
        let mut bytes = BinaryBuilder::new();
        images.iter().for_each(|image| bytes.append_option(image.as_deref()));
        Arc::new(bytes.finish())
    };
    let view: ArrayRef = Arc::new(BinaryViewArray::from_iter(images.iter().map(Option::as_deref)));
    let paths: ArrayRef = Arc::new(StringArray::from_iter((0..ROWS).map(|_| None::<&str>)));
    let hugging: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), plain.clone()),
        (Arc::new(Field::new("path", DataType::Utf8, true)), paths),
    ]));
    let texts: Vec<Option<String>> =
        (0..ROWS).map(|row| (row != 7).then(|| format!("red mug {row}"))).collect();
    let text: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let large: ArrayRef = Arc::new(LargeStringArray::from(texts));
    let mut list = ListBuilder::new(StringBuilder::new());
    let mut fixed = FixedSizeListBuilder::new(StringBuilder::new(), 2);
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    for row in 0..ROWS {
        match row {
            9 => list.append_null(),
            _ => list.append_value((0..row % 4).map(|n| Some(format!("blue {row} {n}")))),
        }
        fixed.values().append_value(format!("blue {row}"));
        fixed.values().append_null();
        fixed.append(row != 3);
        words.append_value(["red", "blue", "mug"][row % 3]);
    }
    let (list, fixed): (ArrayRef, ArrayRef) = (Arc::new(list.finish()), Arc::new(fixed.finish()));
    let words: ArrayRef = Arc::new(words.finish());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let whole = || {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(10))
            .set_data_page_row_count_limit(4)
            .set_write_batch_size(4)
    };
    let pages = || whole().set_column_dictionary_enabled("image".into(), false);
    let unindexed =
        || whole().set_offset_index_disabled(true).set_statistics_enabled(EnabledStatistics::None);
    let second = |encoding| {
        pages()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_column_encoding("captions".into(), encoding)
    };
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let shapes = [
        (&plain, &list, &ids, pages().build()),
        (&plain, &text, &words, pages().set_compression(Compression::SNAPPY).build()),
        (&hugging, &list, &words, whole().set_compression(zstd).build()),
        (&hugging, &text, &ids, unindexed().set_compression(Compression::SNAPPY).build()),
        (&view, &large, &words, unindexed().build()),
        (&plain, &fixed, &ids, whole().set_compression(Compression::LZ4_RAW).build()),
        (
            &plain,
            &words,
            &ids,
            whole().set_compression(Compression::GZIP(GzipLevel::default())).build(),
        ),
        (
            &view,
            &list,
            &ids,
            unindexed().set_compression(Compression::BROTLI(BrotliLevel::default())).build(),
        ),
        (&plain, &text, &ids, second(Encoding::DELTA_BYTE_ARRAY).build()),
        (
            &plain,
            &list,
            &ids,
            second(Encoding::DELTA_LENGTH_BYTE_ARRAY).set_compression(zstd).build(),
        ),
    ];
    let write = |(image, captions, product, properties): (&ArrayRef, &ArrayRef, &ArrayRef, _)| {
        let columns = [("image", image), ("captions", captions), ("product_id", product)];
        let columns = columns.map(|(name, array)| (name, array.clone(), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut out = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        out
    };
    shapes.into_iter().map(write).collect()
}

/// A PNG of 2 x 2 pixels.
fn picture(number: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(2, 2, image::Rgb([number as u8, 9, 99]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Changes a shard: anywhere, or in its footer alone, which most of a large file's damage does not
/// reach, with the lengths around it kept.
pub fn damage_shard(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let size = input.len();
    let stated = input.last_chunk::<8>().map(|end| [end[0], end[1], end[2], end[3]]);
    let footer = stated.map_or(0, |stated| u32::from_le_bytes(stated) as usize);
    let first = size.saturating_sub(footer + 8);
    match rng.below(4) {
        0 => damage(input, seeds, rng),
        // Bytes changed where they stand.
        1 => {
            for _ in 0..=rng.below(3) {
                let at = first + rng.below((size - first) as u64) as usize;
                input[at] ^= 1 << rng.below(8);
            }
        }
        2 => {
            for _ in 0..=rng.below(3) {
                let at = rng.below(first.max(1) as u64) as usize;
                input[at] = rng.below(256) as u8;
            }
        }
        // A footer damaged in its length, too, behind intact pages.
        _ => {
            let mut tail = input[first..size - 8].to_vec();
            let tails: Vec<Vec<u8>> =
                seeds.iter().map(|seed| seed[seed.len() / 2..].to_vec()).collect();
            damage(&mut tail, &tails, rng);
            input.truncate(first);
            input.extend_from_slice(&tail);
            input.extend_from_slice(&(tail.len() as u32).to_le_bytes());
            input.extend_from_slice(b"PAR1");
        }
    }
}

/// How reading a shard ended.
pub enum Outcome {
    /// Rows came, perhaps not all of them.
    Read,
    /// It was refused.
    Refused(DataError),
}

/// Reads a shard to its end or to an error; as training does where `train`.
pub fn read(path: &Path, tokenizer: &Arc<Tokenizer>, train: bool) -> Result<Outcome, DataError> {
    let columns = Columns { weight: None, ..Columns::default() };
    let paths = vec![path.to_str().unwrap().to_owned()];
    let clip = Preprocessor::clip(2);
    let ended = if train {
        let cfg = Data {
            train: paths.into(),
            cache: None,
            columns,
            text: configs::Text::default(),
            augment: configs::Augment::default(),
            shuffle: Shuffle { streams: Streams::Auto, window_rows: WindowRows::Count(5) },
            workers: Workers::Count(1),
            prefetch: 1,
            max_bad_fraction: 1.0,
        };
        let from = Cursor::default();
        Loader::open(&cfg, tokenizer.clone(), &clip, 4, 1, Shard::WHOLE, from)
            .and_then(|mut loader| (0..8).try_for_each(|_| loader.next().map(|_| ())))
    } else {
        let options = ScanOptions {
            workers: Workers::Count(1),
            captions: Captions::All,
            max_bad_fraction: 1.0,
            ..ScanOptions::default()
        };
        Scan::open(&paths, &columns, tokenizer.clone(), &clip, &options)
            .and_then(|mut scan| scan.try_for_each(|batch| batch.map(|_| ())))
    };
    match ended {
        Ok(()) => Ok(Outcome::Read),
        // What gets here went past every place that looks for damage.
        Err(error @ (DataError::Panic { .. } | DataError::Io { .. })) => Err(error),
        Err(error) => Ok(Outcome::Refused(error)),
    }
}
