//! Shards written by the libraries people use give identical samples.

use crate::support::{config, json, open, peer, tokenizer};
use configs::{Columns, Data};
use data::{Captions, Cursor, EvalBatch, Preprocessor, Scan, ScanOptions, Shard};

fn scan(cfg: &Data) -> EvalBatch {
    let options = ScanOptions { captions: Captions::All, ..ScanOptions::default() };
    let picture = Preprocessor::clip(8);
    let mut scan =
        Scan::open(&cfg.train.paths(), &cfg.columns, tokenizer(), &picture, &options).unwrap();
    let batch = scan.next().unwrap().unwrap();
    assert!(scan.next().is_none());
    batch
}

#[test]
fn every_writers_shard_gives_the_same_samples() {
    let dir = peer("write_shards.py");
    let variants = json(dir.path(), "variants.json");
    let mut reference: Option<EvalBatch> = None;
    let names: Vec<&str> =
        variants.as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    for writer in [
        "pyarrow_zstd",
        "pyarrow_snappy",
        "pyarrow_dictionary",
        "pyarrow_large",
        "pandas",
        "polars",
        "duckdb",
        "datasets",
    ] {
        assert!(names.contains(&writer), "{writer} is missing");
    }
    for variant in variants.as_array().unwrap() {
        let name = variant["name"].as_str().unwrap();
        let columns: Columns = serde_json::from_value(variant["columns"].clone()).unwrap();
        let train = vec![dir.path().join(name).to_str().unwrap().to_string()];
        let cfg = Data { columns, ..config(train) };

        let mut batch = scan(&cfg);
        for sample in &mut batch.samples {
            sample.shard = std::path::Path::new("data.parquet").into();
        }
        assert_eq!(batch.len(), 24, "{name}");
        let expected = reference.get_or_insert_with(|| batch.clone());
        if name.ends_with("_text") {
            let first: Vec<_> = expected.captions.iter().map(|c| vec![c[0].clone()]).collect();
            assert_eq!(batch.captions, first, "{name}");
            assert_eq!(batch.pixels, expected.pixels, "{name}");
        } else {
            assert!(batch == *expected, "{name}: {:?}", batch.samples);
        }

        // Training reads them too: two epochs, every row with its weight.
        let mut loader = open(&cfg, 8, Shard::WHOLE, Cursor::default()).unwrap();
        for _ in 0..6 {
            let batch = loader.next().unwrap_or_else(|error| panic!("{name}: {error}"));
            for (sample, weight) in batch.samples.iter().zip(&batch.weights) {
                assert_eq!(*weight, 1.0 + sample.row as f32 / 8.0, "{name}");
                let product = format!("p{}", sample.row / 2);
                assert_eq!(sample.product.as_deref(), Some(product.as_str()), "{name}");
            }
        }
        assert!(loader.counts().bad.is_empty(), "{name}");
    }
}
