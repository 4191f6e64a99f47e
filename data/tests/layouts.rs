//! Properties of the stream over any layout of shards, whatever reads it.

use crate::support::{Row, config, open, row, write};
use configs::{Columns, Data, Source, Streams, Train, WindowRows, Workers};
use data::{Batch, Cursor, Loader, Shard};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Writes shards of so many rows, each cut into row groups of so many.
fn layout(dir: &Path, shards: &[(usize, usize)]) -> Vec<String> {
    let mut number = 0;
    for (index, (rows, group)) in shards.iter().enumerate() {
        let content: Vec<Row> = (number..number + rows).map(row).collect();
        number += rows;
        write(&dir.join(format!("{index:02}.parquet")), &content, *group);
    }
    vec![dir.to_str().unwrap().into()]
}

fn ids(batch: &Batch) -> Vec<String> {
    batch.samples.iter().map(ToString::to_string).collect()
}

/// The samples of `count` global batches, rank after rank, from a cursor on.
fn stream(cfg: &Data, batch: usize, world: usize, from: Cursor, count: usize) -> Vec<Vec<String>> {
    let open = |rank| open(cfg, batch, Shard { rank, world, local_world: 1 }, from).unwrap();
    let mut ranks: Vec<Loader> = (0..world).map(open).collect();
    let next = |ranks: &mut Vec<Loader>| {
        ranks.iter_mut().flat_map(|rank| ids(&rank.next().unwrap())).collect()
    };
    (0..count).map(|_| next(&mut ranks)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_stream_is_the_same_for_any_world_and_resumes_anywhere(
        shards in prop::collection::vec((0usize..60, 1usize..25), 1..5),
        share in 1usize..3,
        window in 1usize..40,
        workers in 1usize..5,
        world in prop::sample::select(vec![2usize, 4, 8, 16]),
        resume in 0.0f64..1.0,
    ) {
        let rows: usize = shards.iter().map(|(rows, _)| rows).sum();
        let batch = 16 * share;
        prop_assume!(rows >= batch);
        let dir = tempfile::tempdir().unwrap();
        let mut cfg = config(layout(dir.path(), &shards));
        cfg.shuffle.window_rows = WindowRows::Count(window);
        cfg.shuffle.streams = Streams::Count(16);
        let start = Cursor::default();
        let per_epoch = open(&cfg, batch, Shard::WHOLE, start).unwrap().batches_per_epoch();
        let count = per_epoch as usize * 2;
        let whole = stream(&cfg, batch, 1, start, count);

        for epoch in whole.chunks(per_epoch as usize) {
            let distinct: BTreeSet<&String> = epoch.iter().flatten().collect();
            prop_assert_eq!(distinct.len(), per_epoch as usize * batch, "a row came twice");
            // Under one batch, and the rows that the streams cannot share equally.
            prop_assert!(rows - distinct.len() < batch + 16);
        }
        cfg.workers = Workers::Count(workers);
        prop_assert_eq!(&stream(&cfg, batch, world, start, count), &whole, "world {}", world);

        let at = (count as f64 * resume) as usize;
        let from = Cursor { epoch: at as u64 / per_epoch, batch: at as u64 % per_epoch };
        let rest = stream(&cfg, batch, world, from, count - at);
        prop_assert_eq!(&rest[..], &whole[at..], "resumed at {:?}", from);
    }
}

/// Two sources, the second with names of its own for its columns.
fn mixed(dir: &Path, sizes: [usize; 2], weights: [f64; 2]) -> Data {
    let source = |name: &str, rows: usize, weight| {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Source { name: name.into(), paths: layout(&folder, &[(rows, 9)]), weight, columns: None }
    };
    let mut sources =
        vec![source("shop", sizes[0], weights[0]), source("web", sizes[1], weights[1])];
    sources[1].columns = Some(Columns { captions: "junk".into(), ..Columns::default() });
    Data { train: Train::Sources(sources), ..config(vec![]) }
}

#[test]
fn a_mixture_keeps_to_its_weights_and_to_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = mixed(dir.path(), [90, 40], [3.0, 1.0]);
    cfg.shuffle.streams = Streams::Count(4);
    let start = Cursor::default();
    let mut loader = open(&cfg, 8, Shard::WHOLE, start).unwrap();
    assert_eq!((loader.num_rows(), loader.batches_per_epoch()), (130, 16));
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let whole: Vec<Vec<String>> = (0..60)
        .map(|_| {
            let batch = loader.next().unwrap();
            for (index, sample) in batch.samples.iter().enumerate() {
                let source = sample.shard.parent().unwrap().file_name().unwrap();
                let tokens = &batch.token_ids[index * batch.length..][..batch.length];
                seen.entry(source.to_str().unwrap().into()).or_default().push(
                    // The second source's captions are words that the tokenizer does not know.
                    tokens.iter().filter(|&&id| id == 0).count(),
                );
            }
            ids(&batch)
        })
        .collect();
    let counts = loader.counts();
    assert_eq!(counts.sources.values().sum::<u64>(), 480);
    let shop = counts.sources["shop"];
    assert!((352..=368).contains(&shop), "3 of 4 of 480 is 360: {shop}");
    assert_eq!(counts.sources["shop"], seen["shop"].len() as u64);
    assert!(seen["shop"].iter().all(|unknown| *unknown == 0));
    assert!(seen["web"].iter().all(|unknown| *unknown > 0), "its own columns are read");
    for world in [2, 4] {
        assert_eq!(stream(&cfg, 8, world, start, 60), whole, "world {world}");
    }
    for at in [1, 15, 16, 33, 59] {
        let from = Cursor { epoch: at / 16, batch: at % 16 };
        assert_eq!(stream(&cfg, 8, 1, from, 60 - at as usize), whole[at as usize..], "{from:?}");
    }
    // No source repeats a row before it has given all others: 40 rows, 4 streams of 10.
    let web: Vec<&String> = whole.iter().flatten().filter(|id| id.contains("/web/")).collect();
    let first: BTreeSet<&&String> = web[..32].iter().collect();
    assert_eq!(first.len(), 32);
}

#[test]
fn weights_are_part_of_what_a_run_goes_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let print = |weights| {
        let cfg = mixed(dir.path(), [60, 40], weights);
        open(&cfg, 4, Shard::WHOLE, Cursor::default()).unwrap().fingerprint()
    };
    assert_eq!(print([1.0, 2.0]), print([1.0, 2.0]));
    assert_ne!(print([1.0, 2.0]), print([2.0, 1.0]));
}
