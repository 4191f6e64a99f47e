//! Shards that other libraries wrote train as they are.

use crate::support::{TinyRun, python};
use serde_json::Value;

#[test]
fn shards_of_every_library_train() {
    let run = TinyRun::new();
    let dir = run.dir.path().join("others");
    python("write_shards.py", &["--out", dir.to_str().unwrap()]);
    let text = std::fs::read_to_string(dir.join("variants.json")).unwrap();
    let variants: Vec<Value> = serde_json::from_str(&text).unwrap();
    for library in ["pyarrow", "pandas", "polars", "duckdb", "datasets"] {
        let written = variants.iter().any(|v| v["name"].as_str().unwrap().starts_with(library));
        assert!(written, "{library} wrote none of {variants:?}");
    }
    for variant in &variants {
        let name = variant["name"].as_str().unwrap();
        let shards = format!("data.train=['{}']", dir.join(name).display());
        let columns = variant["columns"].as_object().unwrap();
        let roles: Vec<String> = columns
            .iter()
            .map(|(role, column)| format!("data.columns.{role}={}", column.as_str().unwrap()))
            .collect();
        let overrides = [
            shards.as_str(),
            &format!("name={name}"),
            "eval=null",
            "batch={size: 8, micro: 4}",
            "duration={epochs: 2}",
            "checkpoint.every={steps: 100}",
        ];
        let args: Vec<&str> = overrides
            .into_iter()
            .chain(roles.iter().map(String::as_str))
            .flat_map(|set| ["--set", set])
            .collect();
        let text = run.train_to_the_end(&args);
        // 24 rows in batches of 8, twice.
        assert!(text.contains("finished after step 6 of 6"), "{name}: {text}");
        assert!(text.contains("no bad rows"), "{name}: {text}");
    }
}
