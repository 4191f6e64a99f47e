//! `vlclip embed` and `vlclip search`: what is written is what the model says, what is found is right,
//! and what cannot be answered is refused.

use crate::support::{TinyRun, python, refused, sample, text, vlclip};
use arrow_array::cast::AsArray;
use eval::StoreReader;
use index::IndexInfo;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A trained tiny model, and beside it what the tests write.
fn run() -> &'static TinyRun {
    static RUN: OnceLock<TinyRun> = OnceLock::new();
    RUN.get_or_init(|| {
        let run = TinyRun::new();
        run.train_to_the_end(&[]);
        run
    })
}

fn model() -> String {
    run().folder().join("latest").display().to_string()
}

/// A row of the shards.
struct Product {
    id: String,
    kind: String,
    caption: String,
    picture: Vec<u8>,
}

/// The rows of the sample's training shards, in order; each is another product.
fn products() -> Vec<Product> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(sample().join("train"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    let mut products = Vec::new();
    for file in files {
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in file.build().unwrap() {
            let batch = batch.unwrap();
            let texts = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let (ids, kinds) = (texts("product_id"), texts("product_type"));
            let captions = batch.column_by_name("captions").unwrap().as_list::<i32>();
            let pictures = batch.column_by_name("image").unwrap().as_binary::<i32>();
            for row in 0..batch.num_rows() {
                products.push(Product {
                    id: ids.value(row).into(),
                    kind: kinds.value(row).into(),
                    caption: captions.value(row).as_string::<i32>().value(0).into(),
                    picture: pictures.value(row).to_vec(),
                });
            }
        }
    }
    products
}

fn embed(args: &[&str]) -> String {
    let (model, items) = (model(), sample().join("train").display().to_string());
    let mut all = vec!["embed", "--model", &model, "--items", &items, "--device", "cpu"];
    all.extend(args);
    let output = vlclip(&all);
    let printed = text(&output);
    assert!(output.status.success(), "{args:?}: {printed}");
    printed
}

/// The pictures' embeddings and an index of them by product type, written once.
fn pictures() -> (String, String) {
    static WRITTEN: OnceLock<(String, String)> = OnceLock::new();
    let written = WRITTEN.get_or_init(|| {
        let dir = run().dir.path();
        let out = dir.join("pictures.parquet").display().to_string();
        let index = dir.join("pictures.index").display().to_string();
        let printed = embed(&["--group", "product_type", "--out", &out, "--index", &index]);
        for part in [
            "products, width 24, f32, side image",
            "graphs by product_type, f16",
            "captions as queries",
            "queries/s on one thread",
        ] {
            assert!(printed.contains(part), "expected `{part}` in:\n{printed}");
        }
        (out, index)
    });
    written.clone()
}

/// Ids, groups and rows of a file.
fn read(path: &str) -> (Vec<String>, Vec<Option<String>>, Vec<Vec<f32>>) {
    let (matrix, groups) = StoreReader::open(Path::new(path)).unwrap().read_all().unwrap();
    (matrix.ids().to_vec(), groups, matrix.rows().map(<[f32]>::to_vec).collect())
}

fn search(index: &str, args: &[&str]) -> Value {
    let model = model();
    let mut all = vec!["search", "--model", &model, "--index", index, "--device", "cpu", "--json"];
    all.extend(args);
    let output = vlclip(&all);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_side_is_written_in_the_order_of_the_set() {
    let dir = run().dir.path();
    let path = |name: &str| dir.join(name).display().to_string();
    let products = products();
    let (ids, groups, images) = read(&pictures().0);
    assert_eq!(ids, products.iter().map(|product| product.id.clone()).collect::<Vec<_>>());
    let kinds: Vec<_> = products.iter().map(|product| Some(product.kind.clone())).collect();
    assert_eq!(groups, kinds);
    embed(&["--side", "text", "--out", &path("text.parquet"), "--batch", "7"]);
    embed(&["--side", "image=0.7,text=0.3", "--out", &path("both.parquet")]);
    embed(&["--dtype", "f16", "--out", &path("half.parquet")]);
    let (_, none, texts) = read(&path("text.parquet"));
    assert!(none.iter().all(Option::is_none));
    let (of_both, _, both) = read(&path("both.parquet"));
    assert_eq!(of_both, ids);
    let (_, _, halves) = read(&path("half.parquet"));
    for row in 0..ids.len() {
        let sum: Vec<f32> = images[row]
            .iter()
            .zip(&texts[row])
            .map(|(image, text)| 0.7 * image + 0.3 * text)
            .collect();
        let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        for at in 0..24 {
            assert!((both[row][at] - sum[at] / norm).abs() < 1e-5, "row {row}");
            assert!((halves[row][at] - images[row][at]).abs() < 1e-3, "row {row}");
        }
    }
    let origin = StoreReader::open(Path::new(&path("both.parquet"))).unwrap();
    let origin = origin.origin().unwrap().clone();
    assert_eq!((origin.side.as_str(), origin.clean.as_str()), ("image=0.7,text=0.3", "hf"));
    let files: Vec<&String> = origin.model.hashes.keys().collect();
    assert_eq!(
        files,
        ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]
    );
}

#[test]
fn queries_are_embedded_as_products_are() {
    let dir = run().dir.path();
    let path = |name: &str| dir.join(name).display().to_string();
    let products = products();
    let (texts, captions) = (path("captions.parquet"), path("captions.index"));
    embed(&["--side", "text", "--out", &texts, "--index", &captions]);
    let queries = path("queries.txt");
    let lines: Vec<&str> = products.iter().step_by(9).map(|p| p.caption.as_str()).collect();
    std::fs::write(&queries, lines.join("\n") + "\n").unwrap();
    let answers = search(&captions, &["--queries", &queries, "--k", "3", "--exact"]);
    assert_eq!(answers.as_array().unwrap().len(), lines.len());
    for (answer, line) in answers.as_array().unwrap().iter().zip(&lines) {
        assert_eq!(answer["query"], *line);
        let best = &answer["items"][0];
        // Several products may have the caption.
        let of = products.iter().find(|product| best["id"] == product.id.as_str()).unwrap();
        let score = best["score"].as_f64().unwrap();
        assert!((score - 1.0).abs() < 2e-3, "{line}: {best}");
        assert_eq!((&best["rank"], of.caption.to_lowercase()), (&1.into(), line.to_lowercase()));
    }

    let (_, index) = pictures();
    for product in products.iter().step_by(40) {
        let file = path("query.jpg");
        std::fs::write(&file, &product.picture).unwrap();
        for how in [&[][..], &["--exact"], &["--product-type", &product.kind]] {
            let mut args = vec!["--image", &file, "--k", "5"];
            args.extend(how);
            let answers = search(&index, &args);
            let items = answers[0]["items"].as_array().unwrap();
            assert_eq!(items.len(), 5);
            assert!((items[0]["score"].as_f64().unwrap() - 1.0).abs() < 2e-3, "{items:?}");
            if how.contains(&"--product-type") {
                assert!(items.iter().all(|item| item["group"] == product.kind.as_str()));
            }
        }
    }

    let model = model();
    let table =
        vlclip(&["search", "--model", &model, "--index", &index, "--k", "2", "red bag", "mug"]);
    assert!(table.status.success(), "{}", text(&table));
    let table = String::from_utf8(table.stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines[0], lines[5], lines.len()), ("red bag", "mug", 9), "{table}");
    assert!(
        lines[1].starts_with("rank   score  id") && lines[1].ends_with("product_type"),
        "{table}"
    );
    assert!(lines[2].starts_with("   1  "), "{table}");
}

#[test]
fn usearch_in_python_opens_the_graphs_and_finds_the_same() {
    let (store, index) = pictures();
    let printed = python("usearch_neighbours.py", &[&index, &store, "5"]);
    let found: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let info = IndexInfo::read(Path::new(&index)).unwrap();
    assert_eq!(found.as_object().unwrap().len(), info.graphs.len());
    let (ids, _, rows) = read(&store);
    let opened = index::Index::open(Path::new(&index)).unwrap();
    for graph in &info.graphs {
        let peer = &found[&graph.name];
        assert!(peer["recall"].as_f64().unwrap() >= 0.95, "{peer}");
        for (key, answer) in peer["answers"].as_object().unwrap() {
            let row: usize = key.parse().unwrap();
            let k = answer["keys"].as_array().unwrap().len();
            let ours =
                opened.search(&rows[row], k, graph.group.as_deref(), index::How::Graph).unwrap();
            for (ours, (key, score)) in ours.iter().zip(
                answer["keys"].as_array().unwrap().iter().zip(answer["scores"].as_array().unwrap()),
            ) {
                let score = score.as_f64().unwrap();
                // Items of equal score may stand in another order.
                let same = ids[usize::try_from(key.as_u64().unwrap()).unwrap()] == ours.id;
                assert!((f64::from(ours.score) - score).abs() < 1e-3, "{ours:?} {score}");
                assert!(same || (f64::from(ours.score) - score).abs() < 1e-6, "{ours:?} {key}");
            }
        }
    }
}

#[test]
fn what_cannot_be_embedded_or_answered_is_refused() {
    let dir = run().dir.path();
    let path = |name: &str| dir.join(name).display().to_string();
    let (model, items) = (model(), sample().join("train").display().to_string());
    let (store, index) = pictures();
    let embedding = |args: &[&str]| {
        let mut all = vec!["embed", "--model", &model, "--items", &items];
        all.extend(args);
        refused(&vlclip(&all))
    };
    let searching = |args: &[&str]| {
        let mut all = vec!["search", "--model", &model];
        all.extend(args);
        refused(&vlclip(&all))
    };
    let contains = |text: String, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "expected `{part}` in:\n{text}");
        }
    };
    let out = path("refused.parquet");
    contains(
        embedding(&["--out", &out, "--group", "colour"]),
        &["no column `colour` for `labels`", "product_type"],
    );
    let (folder, file) = (dir.display().to_string(), store.clone());
    for occupied in [&folder, &file] {
        contains(
            embedding(&["--out", &out, "--index", occupied]),
            &[occupied, "is there already and is no index"],
        );
    }
    contains(embedding(&["--out", &out, "--batch", "0"]), &["--batch: expected at least 1"]);
    assert!(!Path::new(&out).exists());
    let hidden = std::fs::read_dir(dir).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial")
    });
    assert_eq!(hidden.count(), 0, "half files are left");
    let wrong = text(&vlclip(&[
        "embed", "--model", &model, "--items", &items, "--out", &out, "--side", "both",
    ]));
    contains(wrong, &["`image`, `text`, or weights such as", "found `both`"]);

    contains(searching(&["--index", &index]), &["nothing to search for", "--image FILE"]);
    contains(searching(&["--index", &index, "  "]), &["text 1 is empty"]);
    std::fs::write(path("lines.txt"), "red bag\n\nmug\n").unwrap();
    contains(
        searching(&["--index", &index, "--queries", &path("lines.txt")]),
        &["lines.txt` line 2 is empty"],
    );
    contains(searching(&["--index", &path("none"), "mug"]), &["none", "found nothing there"]);
    contains(searching(&["--index", &store, "mug"]), &["pictures.parquet", "found a file"]);
    contains(
        searching(&["--index", &index, "--k", "100000", "mug"]),
        &["k = 100000 is larger than the ", "choose k of at most"],
    );
    contains(
        searching(&["--index", &index, "--product-type", "spaceship", "mug"]),
        &["has no product_type `spaceship`; it has: "],
    );
    contains(
        searching(&["--index", &index, "--image", &path("no.jpg")]),
        &["cannot read", "no.jpg"],
    );
    std::fs::write(path("bad.jpg"), "no picture").unwrap();
    contains(
        searching(&["--index", &index, "--image", &path("bad.jpg")]),
        &["picture `", "bad.jpg`"],
    );

    // Another model: the same shape, other weights.
    let folder = run().folder();
    let former = folder.join("step-00000035").display().to_string();
    let other = ["search", "--model", &former, "--index", &index, "mug"];
    contains(
        refused(&vlclip(&other)),
        &["was made with the model", "is another one (model.safetensors differ)", "--force"],
    );
    let forced = vlclip(&[&other[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", text(&forced));
}
