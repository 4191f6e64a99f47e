//! Times the metrics of a ranking for `tests/peers/bench_metrics.py` and prints JSON:
//! `bench_metrics QUERIES ITEMS DIR`. Leaves the run and the qrels in DIR.

use eval::{Bootstrap, Embeddings, EvaluateOptions, Qrels, SearchOptions, evaluate, search};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

const WIDTH: usize = 32;
const KS: [usize; 3] = [1, 5, 10];

fn embeddings(random: &mut Rng, prefix: &str, rows: usize) -> Result<Embeddings, eval::EvalError> {
    let values = (0..rows * WIDTH).map(|_| random.f32() * 2.0 - 1.0).collect();
    let ids = (0..rows).map(|row| format!("{prefix}{row}")).collect();
    Embeddings::normalised(ids, WIDTH, values)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [queries, items, dir] = &args[..] else { return Err("expected QUERIES ITEMS DIR".into()) };
    let mut random = Rng::with_seed(1);
    let queries = embeddings(&mut random, "query-", queries.parse()?)?;
    let items = embeddings(&mut random, "product-", items.parse()?)?;
    // Up to 8 judged items each, grades 0 to 3.
    let mut judged = Vec::new();
    for query in queries.ids() {
        let mut of_query = BTreeMap::new();
        for _ in 0..1 + random.usize(..8) {
            of_query.insert(random.usize(..items.len()), random.i32(0..4));
        }
        judged.extend(
            of_query
                .into_iter()
                .map(|(item, grade)| (query.clone(), items.ids()[item].clone(), grade)),
        );
    }
    let qrels = Qrels::new(judged)?;
    let options = SearchOptions { threads: Some(1), ..SearchOptions::new(items.len()) };
    let start = Instant::now();
    let ranking = search(&queries, &items, &qrels, &options)?;
    let search_s = start.elapsed().as_secs_f64();
    // Metrics alone: no intervals, which pytrec_eval has not.
    let bootstrap = Bootstrap { resamples: 0, ..Bootstrap::default() };
    let metrics = EvaluateOptions { bootstrap, ..EvaluateOptions::new(&KS) };
    let start = Instant::now();
    let report = evaluate(&ranking, &metrics)?;
    let metrics_s = start.elapsed().as_secs_f64();

    let dir = Path::new(dir);
    let mut out = BufWriter::new(File::create(dir.join("run.trec"))?);
    ranking.write_run("", &mut out)?;
    out.flush()?;
    let mut out = BufWriter::new(File::create(dir.join("qrels.trec"))?);
    ranking.write_qrels("", &mut out)?;
    out.flush()?;
    let means: BTreeMap<_, _> =
        report.metrics.iter().map(|(name, metric)| (name, metric.value)).collect();
    println!(
        "{}",
        serde_json::json!({ "search_s": search_s, "metrics_s": metrics_s, "means": means })
    );
    Ok(())
}
