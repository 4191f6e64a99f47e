//! Safetensors files against the reference library, and every way in which one can be broken.

#![allow(clippy::unwrap_used)]

use checkpoints::{Dtype, TensorFile, TensorView, write_safetensors};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the reference library and returns what it prints.
fn python(action: &str, path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (peers, torch) = (root.join(".peers"), root.join(".libtorch"));
    assert!(peers.is_dir(), "run `make test`, which installs the Python peers");
    let path_of_modules = std::env::join_paths([peers, torch]).unwrap();
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .arg(root.join("tests/peers/safetensors_files.py"))
        .arg(action)
        .arg(path)
        .env("PYTHONPATH", path_of_modules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn pt() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_owned(), "pt".to_owned())])
}

fn error(path: &Path) -> String {
    match TensorFile::open(path) {
        Ok(file) => panic!("opened {:?}", file.names().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    }
}

/// What `tests/peers/safetensors_files.py` writes, as name, dtype, shape, little-endian bytes.
fn expected() -> Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)> {
    let f32s = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    vec![
        ("brain", Dtype::BF16, vec![3], vec![0xC0, 0x3F, 0x00, 0xC0, 0x40, 0x40]),
        ("bytes", Dtype::U8, vec![2], vec![0, 255]),
        ("empty", Dtype::F32, vec![0, 4], vec![]),
        ("half", Dtype::F16, vec![2], vec![0x00, 0x3E, 0x00, 0xC0]),
        ("ids", Dtype::I64, vec![1, 2], [7_i64, -1].iter().flat_map(|x| x.to_le_bytes()).collect()),
        ("mask", Dtype::Bool, vec![3], vec![1, 0, 1]),
        ("scale", Dtype::F64, vec![], 2.5_f64.to_le_bytes().to_vec()),
        ("small", Dtype::I32, vec![1], (-3_i32).to_le_bytes().to_vec()),
        ("text.weight", Dtype::F32, vec![2, 3], f32s(&[0.0, 0.25, 0.5, 0.75, 1.0, 1.25])),
    ]
}

#[test]
fn what_python_writes_is_read_whole_or_sharded() {
    let dir = tempfile::tempdir().unwrap();
    python("write", dir.path());
    for path in ["", "model.safetensors", "sharded", "sharded/model.safetensors.index.json"] {
        let file = TensorFile::open(&dir.path().join(path)).unwrap();
        assert_eq!(file.metadata(), pt());
        assert!(file.contains("half") && !file.contains("other"));
        let expected = expected();
        assert!(file.names().eq(expected.iter().map(|e| e.0)), "{path}");
        for (name, dtype, shape, bytes) in expected {
            let info = file.info(name).unwrap();
            assert_eq!((info.dtype, &info.shape), (dtype, &shape), "{name}");
            let tensor = file.tensor(name).unwrap();
            assert_eq!((tensor.dtype, tensor.shape, tensor.bytes), (dtype, shape, bytes), "{name}");
        }
        let missing = file.tensor("other").unwrap_err().to_string();
        assert!(missing.starts_with("tensor `other` is not in `"), "{missing}");
    }

    // The same files, broken where an index and its shards can disagree.
    let sharded = dir.path().join("sharded");
    let index = sharded.join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let first = "model-00001-of-00002.safetensors";
    fs::write(
        &index,
        text.replace("\"weight_map\": {", &format!("\"weight_map\": {{\"x\": \"{first}\", ")),
    )
    .unwrap();
    let found = error(&sharded);
    assert!(found.starts_with("tensor `x` is not in `") && found.contains(first), "{found}");
    fs::write(&index, text.replace(first, "../model.safetensors")).unwrap();
    assert!(error(&sharded).contains("expected the name of a file beside it for `brain`"));
    fs::write(&index, &text[..40]).unwrap();
    assert!(
        error(&sharded).contains("model.safetensors.index.json` is not a valid index of shards")
    );
    fs::write(&index, "{}").unwrap();
    assert!(error(&sharded).contains("missing field `weight_map`"));
    fs::write(&index, &text).unwrap();
    fs::remove_file(sharded.join(first)).unwrap();
    let found = error(&sharded);
    assert!(found.starts_with("shard `") && found.contains(&format!("{first}` is missing; `")));
}

#[test]
fn python_reads_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let tensors = expected();
    let views: Vec<TensorView> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| TensorView { name, dtype: *dtype, shape, bytes })
        .collect();
    write_safetensors(&path, &views, &pt()).unwrap();
    let read: Value = serde_json::from_str(&python("read", &path)).unwrap();
    assert_eq!(read["metadata"], json!({"format": "pt"}));
    let found = &read["tensors"];
    assert_eq!(found.as_object().unwrap().len(), tensors.len());
    let weight = json!({"dtype": "torch.float32", "shape": [2, 3],
                        "values": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]});
    assert_eq!(found["text.weight"], weight);
    assert_eq!(found["scale"], json!({"dtype": "torch.float64", "shape": [], "values": [2.5]}));
    assert_eq!(found["half"]["values"], json!([1.5, -2.0]));
    assert_eq!(found["brain"]["values"], json!([1.5, -2.0, 3.0]));
    assert_eq!(
        found["ids"],
        json!({"dtype": "torch.int64", "shape": [1, 2], "values": [7.0, -1.0]})
    );
    assert_eq!(found["small"]["values"], json!([-3.0]));
    assert_eq!(found["bytes"]["values"], json!([0.0, 255.0]));
    assert_eq!(
        found["mask"],
        json!({"dtype": "torch.bool", "shape": [3], "values": [1.0, 0.0, 1.0]})
    );
    assert_eq!(found["empty"]["shape"], json!([0, 4]));

    // Byte for byte what Python writes, too.
    python("write", dir.path());
    let theirs = fs::read(&path).unwrap();
    write_safetensors(&path, &views, &pt()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), theirs);
}

#[test]
fn equal_content_gives_equal_bytes_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = expected();
    let view = |i: usize| {
        let (name, dtype, shape, bytes) = &tensors[i];
        TensorView { name, dtype: *dtype, shape, bytes }
    };
    let forward: Vec<TensorView> = (0..tensors.len()).map(view).collect();
    let backward: Vec<TensorView> = (0..tensors.len()).rev().map(view).collect();
    let metadata: BTreeMap<String, String> =
        (0..20).map(|i| (format!("key{i}"), i.to_string())).collect();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write_safetensors(&a, &forward, &metadata).unwrap();
    write_safetensors(&b, &backward, &metadata).unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert_eq!(TensorFile::open(&a).unwrap().metadata(), metadata);
    // Nothing at all is a file as well.
    write_safetensors(&a, &[], &pt()).unwrap();
    assert_eq!(TensorFile::open(&a).unwrap().names().count(), 0);
}

#[test]
fn tensors_that_do_not_hold_together_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let write = |views: &[TensorView]| {
        write_safetensors(&path, views, &BTreeMap::new()).unwrap_err().to_string()
    };
    let good = TensorView { name: "w", dtype: Dtype::F32, shape: &[2], bytes: &[0; 8] };
    let found = write(&[TensorView { shape: &[3], ..good }]);
    assert!(found.starts_with("tensor `w` cannot be written to `"), "{found}");
    assert!(found.ends_with("expected 12 bytes for F32 of shape [3], found 8"), "{found}");
    let found = write(&[TensorView { shape: &[usize::MAX, 2], ..good }]);
    assert!(found.contains("expected more than memory holds bytes"), "{found}");
    assert!(write(&[good, good]).ends_with("expected each name once, found it twice"));
    let reserved = TensorView { name: "__metadata__", ..good };
    assert!(write(&[reserved]).ends_with("this name is reserved by the format"));
    assert!(!path.exists());
    let error = write_safetensors(&path.join("x"), &[good], &BTreeMap::new());
    assert!(error.unwrap_err().to_string().starts_with("cannot write `"));
}

#[test]
fn broken_files_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let view = TensorView { name: "w", dtype: Dtype::F32, shape: &[4], bytes: &[1; 16] };
    write_safetensors(&path, &[view], &pt()).unwrap();
    let good = fs::read(&path).unwrap();
    let broken = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        error(&path)
    };
    let found = broken(&good[..good.len() - 3]);
    assert!(found.contains("model.safetensors` is cut short: its header promises"), "{found}");
    assert!(found.contains(&format!("{} bytes, the file has {}", good.len(), good.len() - 3)));
    let found = broken(&[&good[..], &[0]].concat());
    assert!(found.contains("is longer than it says"), "{found}");
    let found = broken(&good[..20]);
    assert!(found.contains("the file has 20 in all; it is cut short"), "{found}");
    let found = broken(&good[..5]);
    assert!(found.contains("expected 8 bytes of header length, the file has 5 bytes"), "{found}");
    let found = broken(b"PK\x03\x04 this is a zip file from torch.save");
    assert!(found.contains("the format allows 100000000; is this a safetensors file?"), "{found}");
    let mut json = good.clone();
    json[9] = b'!';
    let found = broken(&json);
    assert!(found.contains("is not a valid safetensors file: its header says: "), "{found}");
    let overlap = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let found = broken(&[&(overlap.len() as u64).to_le_bytes()[..], overlap, &[0; 8]].concat());
    assert!(found.contains("invalid offset for tensor `a`"), "{found}");
    // A dtype that is of no use here does not keep the others from being read.
    let other = br#"{"a":{"dtype":"U16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#;
    fs::write(&path, [&(other.len() as u64).to_le_bytes()[..], other, &[0, 0, 9]].concat())
        .unwrap();
    let file = TensorFile::open(dir.path()).unwrap();
    assert_eq!(file.tensor("b").unwrap().bytes, [9]);
    let found = file.tensor("a").unwrap_err().to_string();
    assert!(found.contains("has dtype U16; expected one of F32, F64"), "{found}");
}

#[test]
fn places_without_weights_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let found = error(dir.path());
    assert!(found.contains("holds neither `model.safetensors` nor `model.safetensors.index.json`"));
    let found = error(&dir.path().join("none.safetensors"));
    assert!(found.starts_with("cannot read `") && found.contains("none.safetensors`: "), "{found}");
}
