//! `vlclip inspect`, and what training says of its data before the first step.

use crate::support::{TinyRun, refused, sample, text, vlclip};
use serde_json::Value;

/// Standard output of a command that succeeds.
fn printed(args: &[&str]) -> String {
    let output = vlclip(args);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shards_as_table_as_json_and_as_contact_sheet() {
    let dir = tempfile::tempdir().unwrap();
    let sheet = dir.path().join("rows.png");
    let shards = sample().join("train");
    let tokenizer = sample().join("tokenizer.json");
    let mut args = vec!["inspect", shards.to_str().unwrap(), "--tokenizer"];
    args.extend([tokenizer.to_str().unwrap(), "--context", "24", "--rows", "all"]);
    let table = printed(&args);
    for part in ["1: 245 rows", "is `image`", "row groups", "0 (0.0 %) [all rows]", "product_type"]
    {
        assert!(table.contains(part), "expected `{part}` in:\n{table}");
    }
    args.extend(["--json", "--contact-sheet", sheet.to_str().unwrap()]);
    let found: Value = serde_json::from_str(&printed(&args)).unwrap();
    assert_eq!(found["rows"], 245);
    assert_eq!(found["pictures"]["seen"]["exact"], true);
    assert_eq!(found["captions"]["unit"], "tokens");
    assert_eq!(found["captions"]["context_length"], 24);
    assert_eq!(found["unusable"]["by_cause"], serde_json::json!({}));
    assert_eq!(found["slices"]["column"], "product_type");
    let png = std::fs::read(&sheet).unwrap();
    assert_eq!(png.first_chunk(), Some(b"\x89PNG\r\n\x1a\n"));

    // A configuration says the same of columns and model.
    let run = TinyRun::new();
    let config = run.dir.path().join("run.yaml");
    let found = printed(&["inspect", "--config", config.to_str().unwrap(), "--json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["pictures"]["input_px"], 32);
    assert_eq!(found["captions"]["context_length"], 24);
}

#[test]
fn roles_without_a_column_say_what_would_fit() {
    let shards = sample().join("train");
    let shards = shards.to_str().unwrap();
    let text = refused(&vlclip(&["inspect", shards, "--columns", "image=jpg,captions=title"]));
    for part in ["no column `jpg` for `image`", "set --columns image to one that fits: image"] {
        assert!(text.contains(part), "expected `{part}` in:\n{text}");
    }
    let text = refused(&vlclip(&["inspect", shards, "--slice", "colour"]));
    assert!(text.contains("slice: expected a column of text or integers"), "{text}");
    let text = refused(&vlclip(&["inspect", "nowhere/*.parquet"]));
    assert!(text.contains("nowhere/*.parquet"), "{text}");
}

#[test]
fn checkpoints_and_the_warnings_before_training() {
    let run = TinyRun::new();
    let text = run.train_to_the_end(&[
        "--set",
        "duration.steps=1",
        "--set",
        "data.shuffle.streams=1",
        "--set",
        "data.shuffle.window_rows=8",
    ]);
    let said = "the run ends after 1 steps, before its first epoch does (7)";
    assert!(text.contains(&format!("warning: {said}")), "{text}");

    let latest = run.folder().join("latest");
    let latest = latest.to_str().unwrap();
    let shown = printed(&["inspect", latest]);
    for part in ["step        1", "valid: every file", "2 layers, 32 wide", "32 px in patches of 8"]
    {
        assert!(shown.contains(part), "expected `{part}` in:\n{shown}");
    }
    let found: Value = serde_json::from_str(&printed(&["inspect", latest, "--json"])).unwrap();
    assert_eq!((&found["step"], &found["manifest"]), (&1.into(), &"valid".into()));
    let weights = run.folder().join("step-00000001/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    assert!(refused(&vlclip(&["inspect", latest])).contains("sha256"));
}
