//! `samples.jsonl` says what every step trained on. However often and whenever a run is killed, it
//! trains on what the uninterrupted one trains on: nothing twice, nothing left out.

use crate::support::{TinyRun, mixture, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Shard, row and product.
type Row = (String, u64, String);

/// What `samples.jsonl` says of every step: its number, its epoch and its rows.
fn consumed(run: &TinyRun) -> Vec<(u64, u64, Vec<Row>)> {
    let text = std::fs::read_to_string(run.folder().join("samples.jsonl")).unwrap();
    let step = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let shard = |index: &Value| {
            record["shards"][index.as_u64().unwrap() as usize].as_str().unwrap().to_owned()
        };
        let rows = record["rows"].as_array().unwrap().iter().map(|row| {
            (shard(&row[0]), row[1].as_u64().unwrap(), row[2].as_str().unwrap().to_owned())
        });
        (record["step"].as_u64().unwrap(), record["epoch"].as_u64().unwrap(), rows.collect())
    };
    text.lines().map(step).collect()
}

/// How often each row was trained on.
fn times<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<&'a Row, u64> {
    let mut times = BTreeMap::new();
    rows.for_each(|row| *times.entry(row).or_default() += 1);
    times
}

/// How many kills there are: a few in every test run, more where asked.
fn kills() -> u64 {
    std::env::var("VLCLIP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

/// A number in [0, 1) that looks random and is the same in every test run (splitmix64).
fn drawn(n: u64) -> f64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Runs to the end, killed at moments from its start to `longest` later until it has been killed
/// `most` times. Returns how often it was; fewer times where it came to its end before.
fn run_with_kills(run: &TinyRun, args: &[&str], longest: Duration, seed: u64, most: u64) -> u64 {
    for kill in 0..most {
        let mut child =
            run.train(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(longest.mul_f64(drawn(seed + kill)));
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            return kill;
        }
        child.kill().unwrap(); // SIGKILL
        let output = child.wait_with_output().unwrap();
        let said = text(&output);
        assert!(!said.contains("error: ") && !said.contains("passed over"), "{said}");
    }
    run.train_to_the_end(args);
    most
}

/// Kills runs `total` times in all and compares each with the uninterrupted one, which is returned.
fn killed_runs_consume_the_same(args: &[&str], total: u64) -> TinyRun {
    let args = [args, &["--resume", "auto", "--set", "log.samples=true"]].concat();
    let whole = TinyRun::new();
    let start = Instant::now();
    whole.train_to_the_end(&args);
    // Runs that are killed at once get nowhere, those that are killed late are killed once.
    let longest = start.elapsed().mul_f64(0.8);
    let expected = consumed(&whole);
    let (mut killed, mut rounds) = (0, 0);
    while killed < total {
        let run = TinyRun::new();
        killed += run_with_kills(&run, &args, longest, 1000 * rounds + killed, total - killed);
        let found = consumed(&run);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected, found, "after {killed} kills");
        }
        assert_eq!(expected.len(), found.len(), "after {killed} kills");
        rounds += 1;
        assert!(rounds < 10 * total, "runs end before they can be killed");
    }
    println!("{killed} kills of {rounds} runs, each within {longest:?} of a start");
    whole
}

#[test]
fn whenever_it_is_killed_a_run_trains_on_every_row_once_an_epoch() {
    let args = ["--set", "data.workers=3", "--set", "data.prefetch=3"];
    let whole = consumed(&killed_runs_consume_the_same(&args, kills()));
    let steps: Vec<u64> = whole.iter().map(|(step, ..)| *step).collect();
    assert_eq!(steps, (1..=40).collect::<Vec<_>>());
    let last = whole.last().unwrap().1;
    assert!(last >= 3, "the run crosses epochs");
    for epoch in 0..last {
        let rows = || whole.iter().filter(|(_, of, _)| *of == epoch).flat_map(|(_, _, rows)| rows);
        assert!(rows().count() >= 200);
        assert!(times(rows()).values().all(|&times| times == 1), "epoch {epoch}");
    }
    assert_ne!(whole[0].2, whole[7].2, "every epoch has an order of its own");
}

#[test]
fn whenever_it_is_killed_a_mixture_goes_on_in_each_of_its_sources() {
    let mixture = mixture();
    let args = ["--set", &mixture, "--set", "duration={steps: 20}", "--set", "data.workers=3"];
    let whole = killed_runs_consume_the_same(&args, kills().div_ceil(3));
    let steps = consumed(&whole);
    assert_eq!(steps.len(), 20);
    let is_shop = |row: &&Row| row.0.contains("/train/");
    let all = || steps.iter().flat_map(|(.., rows)| rows);
    let shop = all().filter(is_shop).count();
    assert!(shop.abs_diff(20 * 32 * 3 / 4) <= 8, "{shop} of 640 rows");
    // A source is read through before it begins anew: 480 rows of some 250, 160 of some 25.
    for (source, rows) in [
        ("shop", all().filter(is_shop).collect::<Vec<_>>()),
        ("raw", all().filter(|row| !is_shop(row)).collect()),
    ] {
        let times = times(rows.iter().copied());
        let (least, most) = (times.values().min().unwrap(), times.values().max().unwrap());
        let passes = rows.len().div_ceil(times.len()) as u64;
        assert!(*most <= passes + 1 && most - least <= 2, "{source}: {least} to {most} times");
    }
}
