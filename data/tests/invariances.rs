//! The same batches whatever the number of processes, workers and interruptions.

use crate::support::{config, open, row, shards, tokenizer, write};
use configs::{Augment, Streams, Workers};
use data::{Batch, Cursor, Loader, Preprocessor, Scan, ScanOptions, Shard};
use std::collections::BTreeSet;

const START: Cursor = Cursor { epoch: 0, batch: 0 };

fn take(loader: &mut Loader, count: usize) -> Vec<Batch> {
    (0..count).map(|_| loader.next().unwrap()).collect()
}

/// What makes a sample: its row, pixels, token ids without padding, weight, product, caption and
/// number.
type Content = (String, Vec<u8>, Vec<i64>, f32, [u64; 3]);

fn contents(batch: &Batch) -> Vec<Content> {
    let area = batch.size * batch.size * 3;
    let lengths = [batch.products.len(), batch.captions.len(), batch.numbers.len()];
    assert_eq!(lengths, [batch.len(); 3]);
    (0..batch.len())
        .map(|i| {
            let mut ids = batch.token_ids[i * batch.length..(i + 1) * batch.length].to_vec();
            let end = ids.iter().position(|&id| id == 305).unwrap();
            assert!(ids[end..].iter().all(|&id| id == 305), "padding after the end token");
            ids.truncate(end + 1);
            let pixels = batch.pixels[i * area..(i + 1) * area].to_vec();
            let keys = [batch.products[i], batch.captions[i], batch.numbers[i]];
            (batch.samples[i].to_string(), pixels, ids, batch.weights[i], keys)
        })
        .collect()
}

#[test]
fn an_epoch_holds_every_row_once_up_to_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 103));
    let mut loader = open(&cfg, 8, Shard::WHOLE, START).unwrap();
    assert_eq!((loader.num_rows(), loader.batches_per_epoch()), (103, 12));
    for epoch in 0..2 {
        assert_eq!(loader.cursor(), Cursor { epoch, batch: 0 });
        let batches = take(&mut loader, 12);
        let rows: BTreeSet<String> =
            batches.iter().flat_map(|b| &b.samples).map(ToString::to_string).collect();
        assert_eq!(rows.len(), 96);
    }
    assert_eq!(loader.counts().rows, 192);
}

#[test]
fn a_sample_is_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = config(shards(dir.path(), 60));
    cfg.augment = Augment::default();
    let mut loader = open(&cfg, 12, Shard::WHOLE, START).unwrap();
    let mut colours = BTreeSet::new();
    for batch in take(&mut loader, 5) {
        assert_eq!((batch.size, batch.length), (8, 4));
        for (i, sample) in batch.samples.iter().enumerate() {
            let in_a = sample.shard.ends_with("a.parquet");
            let number = sample.row as usize + if in_a { 0 } else { 20 };
            assert_eq!(batch.pixels[i * 192..i * 192 + 3], [number as u8, 0, 99]);
            let ids = &batch.token_ids[i * 4..i * 4 + 4];
            assert_eq!((ids[0], ids[2], ids[3]), (304, 4 + number as i64, 305));
            colours.insert(ids[1]);
            assert_eq!(sample.product.as_deref(), Some(format!("p{}", number / 2).as_str()));
            let same = batch.samples.iter().zip(&batch.products);
            for (other, hash) in same {
                assert_eq!(other.product == sample.product, *hash == batch.products[i]);
            }
        }
    }
    assert_eq!(colours.len(), 2, "both captions are drawn");
}

#[test]
fn global_batches_are_equal_for_world_1_2_4() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 103));
    let whole: Vec<_> =
        take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 20).iter().map(contents).collect();
    for world in [2, 4] {
        let mut ranks: Vec<_> = (0..world)
            .map(|rank| open(&cfg, 8, Shard { rank, world, local_world: 1 }, START).unwrap())
            .collect();
        for expected in &whole {
            let parts = ranks.iter_mut().flat_map(|rank| contents(&rank.next().unwrap()));
            assert_eq!(&parts.collect::<Vec<_>>(), expected, "world {world}");
        }
    }
}

#[test]
fn a_scan_shared_by_ranks_gives_the_same_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = config(shards(dir.path(), 103));
    cfg.max_bad_fraction = 1.0;
    let scan = |rank, world| {
        let options = ScanOptions {
            batch: 7,
            shard: Shard { rank, world, local_world: 1 },
            ..Default::default()
        };
        let picture = Preprocessor::clip(8);
        Scan::open(&cfg.train.paths(), &cfg.columns, tokenizer(), &picture, &options)
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    let whole = scan(0, 1);
    assert_eq!(whole.iter().map(|b| b.number).collect::<Vec<_>>(), (0..15).collect::<Vec<_>>());
    for world in [2, 4] {
        let mut parts: Vec<_> = (0..world).flat_map(|rank| scan(rank, world)).collect();
        parts.sort_by_key(|batch| batch.number);
        assert!(parts == whole, "world {world}");
    }
}

#[test]
fn resuming_at_any_batch_continues_the_same_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 60));
    let mut loader = open(&cfg, 8, Shard::WHOLE, START).unwrap();
    let mut at = Vec::new();
    let whole: Vec<Batch> = (0..16)
        .map(|_| {
            at.push(loader.cursor());
            loader.next().unwrap()
        })
        .collect();
    for (i, &cursor) in at.iter().enumerate() {
        let mut resumed = open(&cfg, 8, Shard::WHOLE, cursor).unwrap();
        assert_eq!(resumed.cursor(), cursor);
        assert_eq!(take(&mut resumed, 2.min(16 - i)), whole[i..(i + 2).min(16)], "{cursor:?}");
    }
    // The end of an epoch is the start of the next; beyond it the data must have changed.
    let end = Cursor { epoch: 0, batch: 7 };
    assert_eq!(open(&cfg, 8, Shard::WHOLE, end).unwrap().cursor(), Cursor { epoch: 1, batch: 0 });
    let beyond = open(&cfg, 8, Shard::WHOLE, Cursor { epoch: 0, batch: 8 });
    let message = beyond.err().unwrap().to_string();
    assert!(
        message.starts_with("cannot continue at batch 8: an epoch of this data has 7"),
        "{message}"
    );
}

#[test]
fn workers_and_prefetch_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = config(shards(dir.path(), 60));
    cfg.augment = Augment { scale: [0.2, 1.0], flip: 0.5, ..Augment::default() };
    let batches = |workers, prefetch| {
        let cfg = configs::Data { workers, prefetch, ..cfg.clone() };
        take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 10)
    };
    let one = batches(Workers::Count(1), 1);
    assert_eq!(one, batches(Workers::Count(5), 3));
    assert_eq!(one, batches(Workers::Auto, 0));
}

#[test]
fn seeds_and_row_group_layout_matter_and_are_fingerprinted() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 60));
    let a = open(&cfg, 8, Shard::WHOLE, START).unwrap().fingerprint();
    assert_eq!(
        a,
        open(&cfg, 8, Shard { rank: 1, world: 2, local_world: 1 }, START).unwrap().fingerprint()
    );
    assert_ne!(a, open(&cfg, 4, Shard::WHOLE, START).unwrap().fingerprint());
    let mut other = cfg.clone();
    other.shuffle.streams = Streams::Count(4);
    assert_ne!(a, open(&other, 8, Shard::WHOLE, START).unwrap().fingerprint());
    let rows: Vec<_> = (0..20).map(row).collect();
    write(&dir.path().join("a.parquet"), &rows, 9);
    assert_ne!(a, open(&cfg, 8, Shard::WHOLE, START).unwrap().fingerprint());
}

#[test]
fn streams_can_be_stated() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = config(shards(dir.path(), 60));
    cfg.shuffle.streams = Streams::Count(3);
    let mut loader = open(&cfg, 6, Shard { rank: 2, world: 3, local_world: 1 }, START).unwrap();
    assert_eq!(loader.next().unwrap().len(), 2);
    let message = open(&cfg, 6, Shard { rank: 0, world: 2, local_world: 1 }, START)
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("expected a divisor of the number of streams (3)"), "{message}");
}

#[test]
fn dropping_a_loader_ends_its_threads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 103));
    let clock = std::time::Instant::now();
    for _ in 0..20 {
        drop(open(&cfg, 8, Shard::WHOLE, START).unwrap());
    }
    assert!(clock.elapsed().as_secs() < 20);
}
