//! How far the loader's order is from a uniform permutation, for rows sorted by class (the worst
//! case): row-group sizes, windows and streams against a shuffle buffer of equal memory.
//!
//! `cargo run --release -p data --example shuffle_quality -- --out data/shuffle` writes `table.md`
//! and `quality.svg`, which `data/shuffle.md` explains.

mod measure;
mod plot;

use data::order::Order;
use data::{DataError, Purpose, Rng};
use measure::{Quality, measure};
use plot::{Panel, Series};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Rows of the data set, rows of a class, rows of a global batch.
const ROWS: usize = 1 << 18;
const CLASS_ROWS: usize = 512;
const BATCH: usize = 1024;
/// What every figure is averaged over.
const SEEDS: [u64; 3] = [1, 2, 3];

const GROUPS: [usize; 4] = [16, 64, 256, 1024];
const WINDOWS: [usize; 6] = [16, 32, 64, 128, 256, 512];
const STREAMS: [usize; 3] = [64, 8, 1];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [flag, out] = args.as_slice() else {
        return Err("expected --out FOLDER".into());
    };
    if flag != "--out" {
        return Err(format!("expected --out FOLDER, found {flag}").into());
    }
    let out = PathBuf::from(out);
    std::fs::create_dir_all(&out)?;

    let uniform = average(|seed| Ok(Rng::new(Purpose::Sample, &[seed]).permutation(ROWS)), 1)?;
    let mut table = format!(
        "# Figures of the shuffle-quality study\n\n{ROWS} rows sorted into {} classes of \
         {CLASS_ROWS}, global batches of {BATCH}; averages over {} seeds. The columns are explained \
         in [shuffle.md](../shuffle.md).\n\n\
         | order | rows in memory | same row group | neighbours' distance | classes | chi-square | \
         chi-square of 16 batches |\n|---|---|---|---|---|---|---|\n",
        ROWS / CLASS_ROWS,
        SEEDS.len()
    );
    let mut row = |name: &str, memory: usize, found: &Quality| {
        let Quality { same_group, distance, classes, batch, sixteen } = found;
        let (distance, classes) = (distance / uniform.distance, classes / uniform.classes);
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {name} | {memory} | {same_group:.2} | {distance:.2} | {classes:.3} | {batch:.2} | \
             {sixteen:.2} |"
        );
    };
    row("uniform permutation", ROWS, &uniform);
    let mut ours = Vec::new();
    for streams in STREAMS {
        for group in GROUPS {
            // Fewer streams than the default are in the table alone, with fewer windows.
            let windows =
                WINDOWS.into_iter().filter(|w| streams == 64 || [32, 128, 512].contains(w));
            for window in windows {
                let found = average(|seed| order(group, streams, window, seed), group)?;
                let name = format!("{streams} streams, window {window}, row groups of {group}");
                row(&name, streams * window, &found);
                ours.push((streams, group, window, found));
            }
        }
    }
    let mut buffers = Vec::new();
    for shard in [256, 4096] {
        for window in WINDOWS {
            let rows = 64 * window;
            let found = average(|seed| Ok(shuffle_buffer(shard, rows, seed)), shard)?;
            row(&format!("shuffle buffer, shards of {shard}"), rows, &found);
            buffers.push((shard, window, found));
        }
    }
    std::fs::write(out.join("table.md"), table)?;

    let panel = |title: &str, log: bool, figure: fn(&Quality, &Quality) -> f64| {
        let line = |name: String, points: Vec<(f64, f64)>, dashed| Series { name, points, dashed };
        let mut series = Vec::new();
        for group in GROUPS {
            let of = ours.iter().filter(|(streams, of, ..)| (*streams, *of) == (64, group));
            let points = of.map(|(_, _, w, found)| (64.0 * *w as f64, figure(found, &uniform)));
            series.push(line(format!("row groups of {group}"), points.collect(), false));
        }
        for shard in [256, 4096] {
            let of = buffers.iter().filter(|(of, ..)| *of == shard);
            let points = of.map(|(_, w, found)| (64.0 * *w as f64, figure(found, &uniform)));
            series.push(line(format!("shuffle buffer, shards of {shard}"), points.collect(), true));
        }
        Panel { title: title.into(), log, series }
    };
    let panels = [
        panel("classes in a batch, 1 = uniform", false, |found, uniform| {
            found.classes / uniform.classes
        }),
        panel("chi-square of 16 batches, 1 = uniform", true, |found, uniform| {
            found.sixteen / uniform.sixteen
        }),
    ];
    std::fs::write(out.join("quality.svg"), plot::svg(&panels))?;
    Ok(())
}

/// The mean quality of the sequences that `make` gives for every seed.
fn average(
    make: impl Fn(u64) -> Result<Vec<usize>, DataError>,
    group: usize,
) -> Result<Quality, DataError> {
    let mut sum = Quality::default();
    for seed in SEEDS {
        sum.add(&measure(&make(seed)?, ROWS, group, CLASS_ROWS, BATCH));
    }
    Ok(sum.over(SEEDS.len() as f64))
}

/// The rows of an epoch in the loader's order, numbered as they lie in the files.
fn order(group: usize, streams: usize, window: usize, seed: u64) -> Result<Vec<usize>, DataError> {
    let groups = vec![group as u64; ROWS / group];
    let order = Order::new(groups, streams, window, seed)?;
    let epoch = order.epoch(0);
    let share = BATCH / streams;
    let batches = order.stream_rows() as usize / share;
    let per_stream = (batches * share) as u64;
    let of_streams: Vec<Vec<usize>> = (0..streams)
        .map(|stream| {
            let mut rows = Vec::new();
            while (rows.len() as u64) < per_stream {
                let window = epoch.window(stream, rows.len() as u64);
                let lying: Vec<usize> = epoch
                    .segments(&window)
                    .into_iter()
                    .flat_map(|s| (s.first..s.first + s.rows).map(move |row| (s.group, row)))
                    .map(|(index, row)| index * group + row as usize)
                    .collect();
                rows.extend(epoch.permutation(&window).into_iter().map(|slot| lying[slot]));
            }
            rows
        })
        .collect();
    let slots = (0..batches).flat_map(|batch| {
        of_streams.iter().flat_map(move |rows| &rows[batch * share..(batch + 1) * share])
    });
    Ok(slots.copied().collect())
}

/// What WebDataset and Hugging Face's iterable data sets do: shards in random order, read one after
/// the other into a buffer of `rows` rows, of which a random one is taken and replaced by the next.
fn shuffle_buffer(shard: usize, rows: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(Purpose::Sample, &[seed]);
    let shards = rng.permutation(ROWS / shard);
    let mut coming = shards.into_iter().flat_map(|index| index * shard..(index + 1) * shard);
    let mut buffer: Vec<usize> = coming.by_ref().take(rows).collect();
    let mut sequence = Vec::with_capacity(ROWS);
    while !buffer.is_empty() {
        let at = rng.below(buffer.len() as u64) as usize;
        sequence.push(match coming.next() {
            Some(next) => std::mem::replace(&mut buffer[at], next),
            None => buffer.swap_remove(at),
        });
    }
    sequence
}
