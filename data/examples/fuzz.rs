//! Feeds damaged files to the readers: `fuzz pictures|shards COUNT [SEED]`.
//!
//! Each input is a small valid file with random bytes changed, cut, repeated or inserted. A panic
//! that reaches the surface or is printed, more memory than the greatest picture or page may take, or a
//! shard that takes longer than ten seconds, ends the program with the input written to `fuzz-input`.
//! Files in `fuzz-seeds/` are damaged as well. Prints counts, the time and the peak of memory.

#![allow(clippy::unwrap_used, reason = "a driver that cannot go on stops")]

#[path = "../tests/damage.rs"]
mod damage;
#[path = "../tests/damaged_seeds.rs"]
mod damaged_seeds;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support.rs"]
mod support;

use configs::{Augment, Decode};
use damage::{damage, files};
use data::{Picture, Preprocessor, Purpose, Rng, jpeg_decoder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most memory, mapped or used, that the program may reach: a picture of the greatest size in its
/// file's and in its own pixels, and in libjpeg's coefficients.
const MOST_KIB: u64 = data::MAX_PIXELS * (8 + 3 + 8) / 1024;

/// The most that reading small shards may take: a page of 64 MiB, compressed and not, and the program.
const MOST_KIB_OF_SHARDS: u64 = 1 << 20;
/// The longest that a small shard may take.
const MOST_TIME: Duration = Duration::from_secs(10);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).map(|text| text.parse::<u64>());
    let (Some(kind), Some(Ok(count)), Ok(seed)) =
        (args.first(), number(1), number(2).unwrap_or(Ok(0)))
    else {
        return eprintln!("usage: fuzz pictures|shards COUNT [SEED]");
    };
    match kind.as_str() {
        "pictures" => pictures(count, seed),
        "shards" => shards(count, seed),
        other => eprintln!("expected `pictures` or `shards`, found `{other}`"),
    }
}

/// Adds the files of `fuzz-seeds/`.
fn with_own(mut seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for entry in std::fs::read_dir("fuzz-seeds").into_iter().flatten() {
        seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    seeds
}

/// Ends the program, the input kept.
fn found(number: u64, what: &str, input: &[u8]) -> ! {
    std::fs::write("fuzz-input", input).unwrap();
    eprintln!("input {number}: {what}; see fuzz-input");
    std::process::exit(1)
}

fn shards(count: u64, seed: u64) {
    let seeds = with_own(damaged_seeds::shards());
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer();
    let path = dir.path().join("a.parquet");
    static PRINTED: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        PRINTED.store(true, Ordering::SeqCst);
    }));
    for (number, whole) in seeds.iter().enumerate() {
        std::fs::write(&path, whole).unwrap();
        if let damaged_seeds::Outcome::Refused(error) =
            damaged_seeds::read(&path, &tokenizer, false).unwrap()
        {
            panic!("seed {number}: {error}");
        }
    }
    let (mut read, mut shown, mut slowest) = (0_u64, 0, Duration::ZERO);
    let start = Instant::now();
    static AT: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        let mut before = u64::MAX;
        loop {
            std::thread::sleep(MOST_TIME * 3);
            let now = AT.load(Ordering::SeqCst);
            if now == before {
                eprintln!("input {now}: it does not end; see fuzz-last");
                std::process::exit(1);
            }
            before = now;
        }
    });
    for number in 0..count {
        AT.store(number, Ordering::SeqCst);
        let mut rng = Rng::new(Purpose::Sample, &[seed, number]);
        let mut input = seeds[rng.below(seeds.len() as u64) as usize].clone();
        damaged_seeds::damage_shard(&mut input, &seeds, &mut rng);
        std::fs::write(&path, &input).unwrap();
        // Should the process die, the input is there.
        std::fs::write("fuzz-last", &input).unwrap();
        let begun = Instant::now();
        let outcome = damaged_seeds::read(&path, &tokenizer, rng.below(4) == 0);
        slowest = slowest.max(begun.elapsed());
        match outcome {
            Ok(damaged_seeds::Outcome::Read) => read += 1,
            Ok(damaged_seeds::Outcome::Refused(error)) if shown < 20 => {
                shown += 1;
                eprintln!("for instance: {error}");
            }
            Ok(damaged_seeds::Outcome::Refused(_)) => {}
            Err(error) => found(number, &error.to_string(), &input),
        }
        if PRINTED.load(Ordering::SeqCst) {
            found(number, "a panic was printed", &input);
        }
        if begun.elapsed() > MOST_TIME {
            found(number, "it took too long", &input);
        }
        if peak_kib("VmHWM:") > MOST_KIB_OF_SHARDS {
            found(number, "it took too much memory", &input);
        }
    }
    println!(
        "{count} damaged shards in {:.0} s, {read} read, no panic, slowest {:.2} s, peak {:.0} MiB",
        start.elapsed().as_secs_f64(),
        slowest.as_secs_f64(),
        peak_kib("VmHWM:") as f64 / 1024.0,
    );
}

fn pictures(count: u64, seed: u64) {
    let seeds = with_own(files());
    let clip = Preprocessor::clip(16);
    let mut slot = vec![0; 16 * 16 * 3];
    let mut decoded = 0_u64;
    let start = Instant::now();
    std::panic::set_hook(Box::new(|_| ()));
    for number in 0..count {
        let mut rng = Rng::new(Purpose::Sample, &[seed, number]);
        let mut input = seeds[rng.below(seeds.len() as u64) as usize].clone();
        damage(&mut input, &seeds, &mut rng);
        let mut run = || match rng.below(3) {
            0 => Picture::decode(&input).and_then(|picture| clip.evaluate(&picture)).is_ok(),
            way => {
                let decode = if way == 1 { Decode::Fast } else { Decode::Exact };
                let augment = Augment { decode, scale: [0.1, 1.0], ..Augment::default() };
                clip.train_into(&input, &augment, &mut rng, &mut slot).is_ok()
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(&mut run));
        let grown = number % 256 == 0 && peak_kib("VmPeak:") > MOST_KIB;
        if outcome.is_err() || grown {
            let what = if grown { "memory (of the last 256 inputs)" } else { "panic" };
            found(number, what, &input);
        }
        decoded += u64::from(outcome.unwrap_or(false));
    }
    println!(
        "{count} damaged pictures in {:.0} s, {decoded} decoded, no panic, peak {:.0} MiB, {}",
        start.elapsed().as_secs_f64(),
        peak_kib("VmPeak:") as f64 / 1024.0,
        jpeg_decoder(),
    );
}

/// The greatest size of this process's memory so far, mapped (`VmPeak:`) or used (`VmHWM:`).
fn peak_kib(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
