//! Times an exact search for `tests/peers/bench_search.py` and prints JSON:
//! `bench_search ITEMS QUERIES WIDTH DEPTH THREADS memory|stream [FOUND]`. Both files are rows of
//! f32. Every query has one relevant item, whose exact rank is found as well. `stream` reads the
//! items block by block instead of holding them. FOUND receives the best items of each query.

use eval::{
    Block, Embeddings, EvalError, Items, Qrels, Ranking, SearchOptions, evaluate, search_items,
};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Rows read at a time.
const BLOCK: usize = 8192;

/// A file of f32 rows, read anew on each pass.
struct Stream {
    path: PathBuf,
    width: usize,
}

impl Items for Stream {
    fn width(&self) -> usize {
        self.width
    }

    fn blocks(&self) -> Box<dyn Iterator<Item = Result<Block<'_>, EvalError>> + '_> {
        let failed = |source| EvalError::Io { action: "read", path: self.path.clone(), source };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(source) => return Box::new(std::iter::once(Err(failed(source)))),
        };
        let mut first = 0;
        Box::new(std::iter::from_fn(move || {
            let values = match read_floats(&mut file, BLOCK * self.width) {
                Ok(values) if values.is_empty() => return None,
                Ok(values) => values,
                Err(source) => return Some(Err(failed(source))),
            };
            let block = Block::new(first, values);
            first += BLOCK;
            Some(Ok(block))
        }))
    }
}

fn read_floats(file: &mut File, most: usize) -> std::io::Result<Vec<f32>> {
    let mut bytes = Vec::new();
    file.take(4 * most as u64).read_to_end(&mut bytes)?;
    Ok(bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
}

fn embeddings(path: &str, prefix: &str, width: usize) -> Result<Embeddings, EvalError> {
    let failed = |source| EvalError::Io { action: "read", path: path.into(), source };
    let mut file = File::open(path).map_err(failed)?;
    let rows = file.metadata().map_err(failed)?.len() as usize / 4 / width;
    let mut values = Vec::with_capacity(rows * width);
    while values.len() < rows * width {
        values.extend(read_floats(&mut file, BLOCK * width).map_err(failed)?);
    }
    Embeddings::new(ids(prefix, rows), width, values)
}

fn ids(prefix: &str, rows: usize) -> Vec<String> {
    (0..rows).map(|row| format!("{prefix}{row}")).collect()
}

/// Peak resident memory, MiB.
fn peak_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? / 1024)
}

fn write_found(path: &str, ranking: &Ranking) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for query in ranking.queries() {
        for hit in &query.top {
            out.write_all(&hit.item.to_le_bytes())?;
            out.write_all(&hit.score.to_le_bytes())?;
        }
    }
    out.flush()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [items, queries, width, depth, threads, mode, found @ ..] = &args[..] else {
        return Err("expected ITEMS QUERIES WIDTH DEPTH THREADS memory|stream [FOUND]".into());
    };
    let width = width.parse()?;
    let queries = embeddings(queries, "q", width)?;
    let options =
        SearchOptions { threads: Some(threads.parse()?), ..SearchOptions::new(depth.parse()?) };
    let num_items = std::fs::metadata(items)?.len() as usize / 4 / width;
    let qrels = Qrels::new(
        queries
            .ids()
            .iter()
            .enumerate()
            .map(|(index, id)| (id.clone(), format!("d{}", index * 7919 % num_items), 1)),
    )?;
    let (ids, items): (Arc<[String]>, Box<dyn Items>) = match mode.as_str() {
        "stream" => {
            let path = Path::new(items).to_owned();
            (ids("d", num_items).into(), Box::new(Stream { path, width }))
        }
        _ => {
            let items = embeddings(items, "d", width)?;
            (items.ids().into(), Box::new(items))
        }
    };
    let start = Instant::now();
    let ranking = search_items(&queries, ids, &*items, &qrels, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let mrr = evaluate(&ranking, &[1])?.metric("mrr");
    if let [found] = found {
        write_found(found, &ranking)?;
    }
    println!("{}", serde_json::json!({ "seconds": seconds, "peak_mib": peak_mib(), "mrr": mrr }));
    Ok(())
}
