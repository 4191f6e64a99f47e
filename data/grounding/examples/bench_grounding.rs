//! Seconds that the detector takes, for `tests/peers/bench_grounding.py`, which has the peer do the same in turns.
//!
//! `bench_grounding MODEL THREADS WIDTHxHEIGHT:FILE...` with files of RGB bytes. For each line of
//! standard input, a phrase, it searches all pictures for it in one batch and prints one JSON object:
//! the seconds from pixels to boxes, those of the model alone, those of all processors, and the best
//! score.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use grounding::{Detector, RgbPicture};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, model, threads, pictures @ ..] = args.as_slice() else {
        panic!("usage: bench_grounding MODEL THREADS WIDTHxHEIGHT:FILE...")
    };
    tch::set_num_threads(threads.parse().unwrap());
    let detector = Detector::load(Path::new(model), Device::Cpu, Kind::Float).unwrap();
    let pictures: Vec<RgbPicture> = pictures
        .iter()
        .map(|picture| {
            let (size, path) = picture.split_once(':').unwrap();
            let (width, height) = size.split_once('x').unwrap();
            let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
            RgbPicture { width, height, pixels: std::fs::read(path).unwrap() }
        })
        .collect();
    for phrase in std::io::stdin().lines() {
        let phrase = phrase.unwrap();
        let phrases = vec![phrase.as_str(); pictures.len()];
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let inputs = detector.inputs(&pictures, &phrases).unwrap();
        let before = start.elapsed();
        let outputs = detector.run(&inputs).unwrap();
        let model = start.elapsed() - before;
        let found = detector.choose(&inputs, &outputs, 0.0, 0.25).unwrap();
        println!(
            r#"{{"seconds": {}, "model": {}, "cpu": {}, "best": {}}}"#,
            start.elapsed().as_secs_f64(),
            model.as_secs_f64(),
            cpu_seconds() - cpu,
            found[0][0].score
        );
    }
}

/// Seconds that all threads of this process have spent on processors, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name in brackets; user and system time are fields 14 and 15 of the whole.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
