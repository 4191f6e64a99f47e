//! Feeds damaged files to the readers: `fuzz pictures COUNT [SEED]`.
//!
//! Each input is a small valid file with random bytes changed, cut, repeated or inserted. A panic
//! that reaches the surface, or more memory than the greatest picture may take, ends the program with
//! the input written to `fuzz-input`. Files in `fuzz-seeds/` are damaged as well. Prints counts, the
//! time and the peak of memory.

#![allow(clippy::unwrap_used, reason = "a driver that cannot go on stops")]

#[path = "../tests/damage.rs"]
mod damage;

use configs::{Augment, Decode};
use damage::{damage, files};
use data::{Picture, Preprocessor, Purpose, Rng, jpeg_decoder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The most memory, mapped or used, that the program may reach: a picture of the greatest size in its
/// file's and in its own pixels, and in libjpeg's coefficients.
const MOST_KIB: u64 = data::MAX_PIXELS * (8 + 3 + 8) / 1024;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (count, seed) = match args.as_slice() {
        [_, kind, count] if kind == "pictures" => (count.parse().unwrap(), 0),
        [_, kind, count, seed] if kind == "pictures" => {
            (count.parse().unwrap(), seed.parse().unwrap())
        }
        _ => panic!("usage: fuzz pictures COUNT [SEED]"),
    };
    pictures(count, seed);
}

fn pictures(count: u64, seed: u64) {
    let mut seeds = files();
    for entry in std::fs::read_dir("fuzz-seeds").into_iter().flatten() {
        seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
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
        let grown = number % 256 == 0 && peak_kib() > MOST_KIB;
        if outcome.is_err() || grown {
            std::fs::write("fuzz-input", &input).unwrap();
            let what = if grown { "memory (of the last 256 inputs)" } else { "panic" };
            eprintln!("input {number}: {what}; see fuzz-input");
            std::process::exit(1);
        }
        decoded += u64::from(outcome.unwrap_or(false));
    }
    println!(
        "{count} damaged pictures in {:.0} s, {decoded} decoded, no panic, peak {:.0} MiB, {}",
        start.elapsed().as_secs_f64(),
        peak_kib() as f64 / 1024.0,
        jpeg_decoder(),
    );
}

/// The greatest size of this process's memory so far, mapped or used.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
