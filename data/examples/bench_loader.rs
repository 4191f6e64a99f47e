//! The training loader of a configuration by itself, in a program that has nothing else in it:
//! `bench_loader CONFIG SECONDS` prints what `vlclip bench data --json` does. The latter has libtorch
//! loaded, as training does, which takes several hundred MiB of memory before anything is read.
//!
//! For `model.init.random` with a ViT for 224 px and CLIP's 77 tokens.

use configs::{Init, RunConfig};
use data::{Cursor, Loader, PadId, Preprocessor, Shard, Throughput, Tokenizer, Until};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [config, seconds] = &args[..] else {
        return Err("usage: bench_loader CONFIG SECONDS".into());
    };
    let cfg = RunConfig::load(Path::new(config), &[])?;
    let Init::Random(init) = &cfg.model.init else {
        return Err("expected model.init.random".into());
    };
    let tokenizer = Tokenizer::open(&init.tokenizer, 77, cfg.data.text.clean, PadId::End)?;
    let (tokenizer, picture) = (Arc::new(tokenizer), Preprocessor::clip(224));
    let (size, from) = (cfg.batch.size, Cursor::default());
    let open = || Loader::open(&cfg.data, tokenizer, &picture, size, cfg.seed, Shard::WHOLE, from);
    let until = Until::Elapsed(Duration::from_secs_f64(seconds.parse()?));
    let found = Throughput::measure(&cfg.data, open, until, cpu_time, |_| {})?;
    print!("{}", found.to_json());
    Ok(())
}

/// User and system time of all threads, in Linux's ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}
