//! `vlclip prepare`: whatever interrupts it, the shards are the same; mistakes end in one message.

mod agent;
#[path = "../data/prepare/tests/refine/server.rs"]
#[allow(dead_code, reason = "some of it is for the agent's own tests")]
mod chat;
#[allow(dead_code, reason = "some of it is for the loader's tests")]
mod s3;
mod store;

use crate::support::{command, python, text, vlclip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A catalogue of 700 products, drawn once.
fn catalogue() -> &'static Path {
    static DRAWN: OnceLock<PathBuf> = OnceLock::new();
    DRAWN.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("catalogue-700");
        let drawn = vlclip(&["sample", "--products", "700", "--out", dir.to_str().unwrap()]);
        assert!(drawn.status.success(), "{}", text(&drawn));
        dir.join("catalogue.parquet")
    })
}

/// `vlclip prepare` of the sample's configuration, with overrides.
fn arguments(out: &Path, more: &[&str]) -> Vec<String> {
    let mut args = vec!["prepare".into(), "configs/prepare/sample.yaml".to_owned()];
    let paths = format!("catalogue.paths={}", catalogue().display());
    let out = format!("output.dir={}", out.display());
    for set in [paths.as_str(), &out, "output.file_mb=1"].iter().chain(more) {
        args.extend(["--set".to_owned(), (*set).to_owned()]);
    }
    args
}

fn prepare(out: &Path, more: &[&str]) -> Output {
    let args = arguments(out, more);
    vlclip(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

fn relative(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let name = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
    let all = files(folder).into_iter().map(|(path, bytes)| (name(path), bytes));
    // It names the output's place.
    all.filter(|(path, _)| path != Path::new("prepare.yaml")).collect()
}

/// The shards of all splits.
fn shards(out: &Path) -> Vec<PathBuf> {
    let all = files(out).into_keys();
    all.filter(|path| path.extension().is_some_and(|end| end == "parquet"))
        .filter(|path| path.parent() != Some(out))
        .collect()
}

/// Columns of the rows of shards.
fn table(columns: &str, shards: &[PathBuf]) -> Vec<Value> {
    let mut args = vec![columns];
    args.extend(shards.iter().map(|path| path.to_str().unwrap()));
    serde_json::from_str(&python("shard_rows.py", &args)).unwrap()
}

/// Waits for a child for at most so long; whether it ended.
fn ended(child: &mut std::process::Child, within: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < within {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn killed_at_twenty_moments_it_writes_the_same_shards() {
    let home = tempfile::tempdir().unwrap();
    let whole = home.path().join("whole");
    let begun = Instant::now();
    let output = prepare(&whole, &[]);
    let takes = begun.elapsed();
    assert!(output.status.success(), "{}", text(&output));
    let expected = relative(&whole);
    assert!(expected.len() > 8, "{:?}", expected.keys());

    let torn = home.path().join("torn");
    let args = arguments(&torn, &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (mut kills, mut finished, mut rounds) = (0, 0, 0_u32);
    while kills < 20 {
        rounds += 1;
        assert!(rounds < 200, "{kills} kills");
        let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Moments that differ, all over the time that a run takes.
        let share = f64::from(rounds * 618 % 1000) / 1000.0;
        if ended(&mut child, takes.mul_f64(1.1 * share)) {
            finished += 1;
            assert_eq!(relative(&torn), expected, "after {kills} kills");
            fs::remove_dir_all(&torn).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // There is all or nothing.
        assert!(!torn.exists() || relative(&torn) == expected);
    }
    let output = prepare(&torn, &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(relative(&torn), expected, "{finished} runs ended between the kills");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_signal_keeps_what_is_done() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let args = arguments(&out, &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let journal = home.path().join(".out.work/rows.journal");
    let start = Instant::now();
    while fs::metadata(&journal).map_or(0, |meta| meta.len()) < 100_000 {
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
    process::kill(child.id(), 2).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return; // it had nothing left to do but to write
    }
    assert!(
        said.contains("stopping; what is done is kept; a second signal leaves at once"),
        "{said}"
    );
    assert!(
        said.contains("products are done and kept; the same command goes on from there"),
        "{said}"
    );
    assert!(!said.contains("error"), "{said}");
    assert!(!out.exists());
    let output = prepare(&out, &[]);
    assert!(output.status.success(), "{}", text(&output));
    let again = prepare(&out, &[]);
    assert!(text(&again).contains("found, left as it is"), "{}", text(&again));
}

#[test]
fn output_of_another_configuration_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    assert!(prepare(&out, &["duplicates.enabled=false"]).status.success());
    let before = files(&out);
    let output = prepare(&out, &["output.quality=80"]);
    assert!(!output.status.success());
    let said = text(&output);
    let expected = format!(
        "`{}` holds the work of another run: duplicates.enabled is true, there it is false; \
         output.quality is 80, there it is 90; choose another output.dir, or delete it first",
        out.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert_eq!(files(&out), before);
    // What changes no row may differ.
    let same = ["duplicates.enabled=false", "output.max_reject_fraction=0.5"];
    assert!(text(&prepare(&out, &same)).contains("found, left as it is"));

    let taken = home.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine.txt"), "x").unwrap();
    let said = text(&prepare(&taken, &[]));
    assert!(
        said.contains(
            "already holds something without an `index.json`, so nothing is written there"
        ),
        "{said}"
    );
}

#[test]
fn output_that_cannot_be_written_is_said_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let output = prepare(&file.join("out"), &[]);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("cannot create `") && said.contains("file/.out.partial`"), "{said}");
}

/// A catalogue in JSON lines beside its pictures, and a configuration of it.
fn bad_catalogue(home: &Path) -> String {
    let picture = |name: &str| {
        let image = image::RgbImage::from_fn(90, 60, |x, y| {
            image::Rgb([(x * 2) as u8, (y * 3) as u8, name.len() as u8])
        });
        image.save(home.join(name)).unwrap();
    };
    for name in ["a.png", "bb.png", "ccc.png", "dddd.png"] {
        picture(name);
    }
    fs::write(home.join("torn.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 1]).unwrap();
    let line = |id: &str, image: &str, kind: &str, found: &str| {
        format!(
            "{{\"id\": \"{id}\", \"title\": \"A {id}\", \"type\": \"{kind}\", \"image\": \"{image}\", \"box\": {found}}}"
        )
    };
    let lines = [
        line("1", "a.png", "mug", "[10, 5, 60, 50]"),
        line("2", "bb.png", "mug", "null"),
        line("1", "bb.png", "mug", "null"),
        line("3", "torn.jpg", "mug", "null"),
        line("4", "ccc.png", "spaceship", "null"),
        line("5", "ccc.png", "mug", "[60, 5, 10, 50]"),
        line("6", "ccc.png", "mug", "[100, 5, 120, 50]"),
        line("7", "gone.png", "mug", "null"),
        line("8", "dddd.png", "bowl", "[40, 30, 400, 300]"),
    ];
    fs::write(home.join("products.jsonl"), lines.join("\n")).unwrap();
    let here = home.display();
    let yaml = format!(
        "catalogue:
  paths: {here}/products.jsonl
  product_types: [mug, bowl]
  columns: {{product_id: id, product_type: type}}
grounding: {{kind: given, box: {{columns: box}}}}
output: {{dir: {here}/out, splits: {{train: 1, val: 0, test: 0}}, max_reject_fraction: 0.8}}
"
    );
    fs::write(home.join("prepare.yaml"), yaml).unwrap();
    home.join("prepare.yaml").to_str().unwrap().to_owned()
}

#[test]
fn rejected_products_are_named_with_their_cause() {
    let home = tempfile::tempdir().unwrap();
    let config = bad_catalogue(home.path());
    let output = vlclip(&["prepare", &config]);
    assert!(output.status.success(), "{}", text(&output));
    let index: Value =
        serde_json::from_slice(&fs::read(home.path().join("out/index.json")).unwrap()).unwrap();
    let counts = &index["counts"];
    assert_eq!(counts["rows"], 3);
    assert_eq!(counts["grounding"], serde_json::json!({"given": 2, "no_box": 1}));
    let rejected = serde_json::json!({
        "bad_box": 2, "duplicate_id": 1, "image_not_found": 1, "unknown_type": 1,
        "unreadable_picture": 1,
    });
    assert_eq!(counts["rejected"], rejected);

    let output = vlclip(&[
        "prepare",
        &config,
        "--set",
        "output.max_reject_fraction=0.1",
        "--set",
        &format!("output.dir={}/other", home.path().display()),
    ]);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(
        said.contains("6 of 9 products were rejected, more than output.max_reject_fraction (0.1) allows; the first ones:"),
        "{said}"
    );
    assert!(said.contains("products.jsonl` line 3: duplicate_id: "), "{said}");
    assert!(said.contains("line 4: unreadable_picture: "), "{said}");
    assert!(said.contains("line 5: unknown_type: "), "{said}");
    assert!(
        said.contains("line 6: bad_box: the box [60.0, 5.0, 10.0, 50.0] ends before it begins"),
        "{said}"
    );

    let output = vlclip(&["prepare", &config, "--set", "catalogue.columns.title=name"]);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("no column `name` (catalogue.columns.title)"), "{said}");
}

#[test]
fn a_directory_of_another_model_is_no_detector() {
    let home = tempfile::tempdir().unwrap();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("config.json"), "{\"model_type\": \"clip\"}").unwrap();
    let kind = ["grounding.kind=grounding_dino", &format!("grounding.model={}", model.display())];
    let output = prepare(&home.path().join("out"), &kind);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("clip") && said.contains("grounding-dino"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_detector_finds_the_box_that_ground_prints_first() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    python("grounding_model.py", &["--out", &at("model"), "--shape", "levels"]);
    let mut lines = Vec::new();
    for number in 0..11_u32 {
        let (name, kind) = (format!("{number}.png"), ["mug", "red shoe"][number as usize % 2]);
        let (width, height) = (80 + 7 * number, 120 - 5 * number);
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * (number + 1)) as u8, (y * 3) as u8, ((x * y / 9) % 256) as u8])
        });
        picture.save(home.path().join(&name)).unwrap();
        lines.push(format!(
            "{{\"product_id\": {number}, \"title\": \"A {number}\", \"product_type\": \"{kind}\", \"image\": \"{name}\"}}"
        ));
    }
    fs::write(home.path().join("products.jsonl"), lines.join("\n")).unwrap();
    let yaml = format!(
        "catalogue: {{paths: {}}}
grounding: {{kind: grounding_dino, model: {}, device: cpu, batch: 1, min_px: 4, box_threshold: 0}}
duplicates: {{enabled: false}}
output: {{dir: {}, short_side: null, splits: {{train: 1, val: 0, test: 0}}}}
",
        at("products.jsonl"),
        at("model"),
        at("out")
    );
    fs::write(home.path().join("prepare.yaml"), yaml).unwrap();
    let output = vlclip(&["prepare", &at("prepare.yaml")]);
    assert!(output.status.success(), "{}", text(&output));
    let rows = rows(&home.path().join("out/train/part-00000.parquet"));
    assert_eq!(rows.len(), 11);
    let mut grounded = 0_u64;
    for (id, found) in rows {
        // Where the best boxes are too small there is none.
        let Some(([x0, y0, x1, y1], score)) = found else { continue };
        let kind = ["mug", "red shoe"][id.parse::<usize>().unwrap() % 2];
        let (model, picture) = (at("model"), at(&format!("{id}.png")));
        let least = ["--phrase", kind, "--box-threshold", "0", "--json"];
        let output = vlclip(&[&["ground", "--model", &model, &picture][..], &least].concat());
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let size = ["width", "height"].map(|side| found[side].as_f64().unwrap());
        // One of the boxes: the best ones may be too small.
        let near = found["boxes"].as_array().unwrap().iter().any(|found| {
            let edge = |i: usize, most: f64| found["box"][i].as_f64().unwrap().clamp(0.0, most);
            let edges = [edge(0, size[0]), edge(1, size[1]), edge(2, size[0]), edge(3, size[1])];
            let same =
                edges.iter().zip([x0, y0, x1, y1]).all(|(a, b)| (a - f64::from(b)).abs() < 0.1);
            same && (found["score"].as_f64().unwrap() - f64::from(score)).abs() < 1e-3
        });
        assert!(near, "{id}: {x0} {y0} {x1} {y1} {score}: {found}");
        grounded += 1;
    }
    assert!(grounded >= 6, "{grounded}");

    // Above any score the whole pictures are kept, as they are.
    let sets =
        ["--set", "grounding.box_threshold=1", "--set", &format!("output.dir={}", at("whole"))];
    let output = vlclip(&[&["prepare", &at("prepare.yaml")][..], &sets].concat());
    assert!(output.status.success(), "{}", text(&output));
    let index: Value =
        serde_json::from_slice(&fs::read(home.path().join("whole/index.json")).unwrap()).unwrap();
    let kept = |name: &str| index["counts"]["grounding"][name].as_u64().unwrap_or(0);
    assert_eq!((kept("below_threshold"), kept("no_box")), (grounded, 11 - grounded));
}

/// A box and its score.
type Found = ([f32; 4], f32);

/// Id of the rows of a shard, and box and score where there are any.
fn rows(shard: &Path) -> Vec<(String, Option<Found>)> {
    let number = |value: &Value| value.as_f64().unwrap() as f32;
    table("product_id,box,box_score", &[shard.to_owned()])
        .iter()
        .map(|row| {
            let edges = || ["x0", "y0", "x1", "y1"].map(|edge| number(&row["box"][edge]));
            let found = row["box"].is_object().then(|| (edges(), number(&row["box_score"])));
            (row["product_id"].as_str().unwrap().to_owned(), found)
        })
        .collect()
}
