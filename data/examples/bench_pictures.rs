//! Pictures per second of CPU time of one thread through the training transform: `bench_pictures DIR SIZE`.
//!
//! Prints one JSON object: for each way of decoding, the best of several passes over the JPEGs of
//! DIR, cropped as open_clip's default does and resized to SIZE x SIZE.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use configs::{Augment, Decode};
use data::{Preprocessor, Purpose, Rng, jpeg_decoder};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, size] = args.as_slice() else { panic!("usage: bench_pictures DIR SIZE") };
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let files: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let clip = Preprocessor::clip(size.parse().unwrap());
    let mut slot = vec![0; clip.size * clip.size * 3];
    let mut rate = |decode: Decode| {
        let augment = Augment { decode, ..Augment::default() };
        let mut best = 0.0_f64;
        for pass in 0..8 {
            let start = cpu_seconds();
            for (number, file) in (0..).zip(&files) {
                let mut rng = Rng::new(Purpose::Sample, &[pass, number]);
                clip.train_into(file, &augment, &mut rng, &mut slot).unwrap();
            }
            best = best.max(files.len() as f64 / (cpu_seconds() - start));
        }
        best
    };
    let (fast, exact) = (rate(Decode::Fast), rate(Decode::Exact));
    println!(
        r#"{{"fast": {fast:.1}, "exact": {exact:.1}, "decoder": "{}"}}"#,
        jpeg_decoder().replace(['"', '\\'], "'")
    );
}

/// Seconds that this thread has spent on a processor.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}
