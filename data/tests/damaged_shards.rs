//! Damage to shards, from one byte to a whole file: what is lost, what is said, and that all else comes.

use crate::damaged_seeds::{Outcome, damage_shard, read, shards};
use crate::support::{Row, config, open, python, row, tokenizer, write, write_pages};
use configs::Data;
use data::{Batch, Cause, Cursor, DataError, Loader, Purpose, Rng, Shard};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

const START: Cursor = Cursor { epoch: 0, batch: 0 };

/// Overwrites pages of the pictures in a row group.
fn overwrite_pages(path: &Path, group: usize, pages: std::ops::Range<usize>) {
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&File::open(path).unwrap())
        .unwrap();
    let leaf = 1;
    assert_eq!(metadata.row_group(group).column(leaf).column_path().string(), "image");
    let index = metadata.page_index_for_row_group(group);
    let mut bytes = std::fs::read(path).unwrap();
    for page in &index.page_locations(leaf).unwrap()[pages] {
        let start = page.offset as usize;
        bytes[start..start + page.compressed_page_size as usize].fill(0xee);
    }
    std::fs::write(path, bytes).unwrap();
}

/// 200 rows in row groups of 50 with pages of 5, of which rows 60 to 74 are lost.
fn holed(dir: &Path) -> Data {
    let path = dir.join("a.parquet");
    write_pages(&path, &(0..200).map(row).collect::<Vec<Row>>(), 50, 5);
    overwrite_pages(&path, 1, 2..5);
    let mut cfg = config(vec![path.to_str().unwrap().into()]);
    cfg.max_bad_fraction = 0.1;
    cfg
}

fn epoch(loader: &mut Loader, batches: u64) -> Vec<Batch> {
    (0..batches).map(|_| loader.next().unwrap()).collect()
}

#[test]
fn rows_of_damaged_pages_are_skipped_and_all_others_come() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = holed(dir.path());
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    let batches = epoch(&mut loader, 50);
    assert!(batches.iter().all(|batch| batch.len() == 4));
    let seen: BTreeSet<u64> =
        batches.iter().flat_map(|batch| &batch.samples).map(|sample| sample.row).collect();
    let expected: BTreeSet<u64> = (0..200).filter(|row| !(60..75).contains(row)).collect();
    assert_eq!(seen, expected, "windows of 5 rows that are wholly lost included");
    assert_eq!(loader.counts().bad[&Cause::UnreadableRow], 15);
    let warnings = loader.drain_warnings();
    assert_eq!(warnings.len(), 11, "ten rows and a word on the others: {warnings:#?}");
    let named = |row: u64| {
        warnings.iter().any(|warning| {
            warning.starts_with(&format!("skipped shard `{}` row {row}: ", cfg.train.paths()[0]))
                && warning.contains("unreadable row: row group 1: ")
        })
    };
    assert_eq!((0..200).filter(|row| named(*row)).count(), 10);
    assert!((0..60).chain(75..200).all(|row| !named(row)));
}

#[test]
fn resumed_anywhere_the_stream_around_damage_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = holed(dir.path());
    let batches = epoch(&mut open(&cfg, 4, Shard::WHOLE, START).unwrap(), 60);
    cfg.workers = configs::Workers::Count(1);
    for (number, expected) in batches.iter().enumerate() {
        let number = number as u64;
        let cursor = Cursor { epoch: number / 50, batch: number % 50 };
        let mut resumed = open(&cfg, 4, Shard::WHOLE, cursor).unwrap();
        assert_eq!(&resumed.next().unwrap(), expected, "batch {number}");
    }
}

#[test]
fn more_damage_than_allowed_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = holed(dir.path());
    cfg.max_bad_fraction = 0.05;
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    let error = (0..50).find_map(|_| loader.next().err()).unwrap();
    assert!(matches!(error, DataError::TooManyBad { rows: 200, .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("more than max_bad_fraction = 0.05") && text.contains("unreadable row"),
        "{text}"
    );
}

#[test]
fn a_byte_that_only_a_checksum_misses_is_found() {
    let dir = tempfile::tempdir().unwrap();
    // 40 JPEG pictures, which decode with any byte of their data changed, as they are in the file.
    let write = r#"
import io, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from PIL import Image
rng = np.random.default_rng(3)
def jpeg():
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()
table = pa.table({"image": [jpeg() for _ in range(40)], "captions": [f"red {n}" for n in range(40)],
                  "product_id": list(range(40))})
for name, checksum in [("with", True), ("without", False)]:
    pq.write_table(table, f"{sys.argv[1]}/{name}.parquet", compression="NONE", use_dictionary=False,
                   write_page_checksum=checksum, write_statistics=False, data_page_size=4096, write_batch_size=5)
"#;
    python(&["-c", write, dir.path().to_str().unwrap()]);
    let unreadable = |name: &str| {
        let path = dir.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let starts: Vec<usize> =
            (0..bytes.len() - 3).filter(|at| bytes[*at..at + 3] == [0xff, 0xd8, 0xff]).collect();
        assert_eq!(starts.len(), 40);
        // In the last bytes of the data of picture 17, before the next one's length.
        bytes[starts[18] - 12] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut cfg = config(vec![path.to_str().unwrap().into()]);
        cfg.max_bad_fraction = 0.5;
        let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
        let batches = epoch(&mut loader, 10);
        let seen: BTreeSet<u64> =
            batches.iter().flat_map(|batch| &batch.samples).map(|sample| sample.row).collect();
        (loader.counts().bad.clone(), seen, loader.drain_warnings())
    };
    let (bad, seen, _) = unreadable("without.parquet");
    assert!(bad.is_empty(), "nothing tells it: {bad:?}");
    assert_eq!(seen.len(), 40);
    let (bad, seen, warnings) = unreadable("with.parquet");
    assert!(!seen.contains(&17));
    assert_eq!(bad[&Cause::UnreadableRow] as usize + seen.len(), 40);
    assert!((1..=10).contains(&bad[&Cause::UnreadableRow]), "one page is lost: {bad:?}");
    assert!(warnings[0].ends_with("Page CRC checksum mismatch"), "{warnings:?}");
}

#[test]
fn a_bad_shard_among_many_is_left_out_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..10 {
        let rows: Vec<Row> = (number * 40..number * 40 + 40).map(|n| row(n % 250)).collect();
        write(&dir.path().join(format!("good-{number}.parquet")), &rows, 16);
    }
    write(&dir.path().join("none.parquet"), &[], 16);
    let mut cfg = config(vec![dir.path().to_str().unwrap().into()]);
    cfg.max_bad_fraction = 0.2;
    let mut loader = open(&cfg, 8, Shard::WHOLE, START).unwrap();
    assert_eq!(loader.num_rows(), 400);
    assert!(loader.drain_warnings().is_empty(), "a shard without rows is none the worse");
    let good = std::fs::read(dir.path().join("good-3.parquet")).unwrap();
    let schemaless = std::fs::read(dir.path().join("good-0.parquet")).unwrap();
    let renamed = {
        // In the schema and in the paths of the footer alone.
        let mut bytes = schemaless;
        let at: Vec<usize> =
            (0..bytes.len() - 8).filter(|at| &bytes[*at..at + 8] == b"captions").collect();
        at.iter().for_each(|at| bytes[at + 7] = b'z');
        bytes
    };
    let cases: [(&[u8], &str); 4] = [
        (&good[..good.len() * 2 / 3], "it does not end as Parquet files do (PAR1)"),
        (&[&good[..100], &good[good.len() - 8..]].concat(), "its footer"),
        (b"a text file that somebody put here", "it does not end as Parquet files do (PAR1)"),
        (&renamed, "captions"),
    ];
    for (bytes, reason) in cases {
        let path = dir.path().join("bad.parquet");
        std::fs::write(&path, bytes).unwrap();
        let mut loader = open(&cfg, 8, Shard::WHOLE, START).unwrap();
        assert_eq!(loader.num_rows(), 400);
        let warnings = loader.drain_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("left out: shard `"), "{}", warnings[0]);
        assert!(warnings[0].contains("bad.parquet`: "), "{}", warnings[0]);
        assert!(warnings[0].contains(reason), "{}", warnings[0]);
        loader.next().unwrap();
        let strict = Data { max_bad_fraction: 0.0, ..cfg.clone() };
        let text = open(&strict, 8, Shard::WHOLE, START).err().unwrap().to_string();
        assert!(text.contains("bad.parquet`: ") && text.contains(reason), "{text}");
    }
}

#[test]
fn a_thousand_damaged_shards_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let (seeds, tokenizer) = (shards(), tokenizer());
    let (mut came, mut refused) = (0, 0);
    for number in 0..1000 {
        let mut rng = Rng::new(Purpose::Sample, &[7, number]);
        let mut input = seeds[number as usize % seeds.len()].clone();
        damage_shard(&mut input, &seeds, &mut rng);
        std::fs::write(&path, &input).unwrap();
        let begun = Instant::now();
        match read(&path, &tokenizer, number % 4 == 0) {
            Ok(Outcome::Read) => came += 1,
            Ok(Outcome::Refused(_)) => refused += 1,
            Err(error) => panic!("input {number}: {error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "input {number}");
    }
    // Damage of both kinds is among it.
    assert!(came > 100 && refused > 100, "{came} read, {refused} refused");
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(&path, seed).unwrap();
        if let Outcome::Refused(error) = read(&path, &tokenizer, false).unwrap() {
            panic!("seed {number} is whole: {error}");
        }
    }
}
