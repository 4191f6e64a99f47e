//! The published JSON schema accepts what loading accepts, refuses what it refuses, and describes
//! every key.

#![allow(clippy::unwrap_used)]

use configs::RunConfig;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn recipes() -> Vec<PathBuf> {
    std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect()
}

/// Checks `value` against `schema` by the keywords that our schema uses. A keyword it does not know
/// fails the test, so nothing passes unchecked. A validator crate would bring 38 packages along;
/// this one was compared with jsonschema 0.38 on the same cases.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(rules) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err(format!("{at}: refused")) } else { Ok(()) };
    };
    for (keyword, rule) in rules {
        let holds = match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "$defs" => true,
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(target).unwrap(), value, at)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|t| has_type(t, value)),
                one => has_type(one, value),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > rule.as_f64().unwrap()),
            "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap()),
            // Formats (uint64, double) are notes for readers.
            "format" => true,
            "oneOf" => {
                let fits = |s: &&Value| check(root, s, value, at).is_ok();
                rule.as_array().unwrap().iter().filter(fits).count() == 1
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|s| check(root, s, value, at).is_ok()),
            "required" => value.as_object().is_none_or(|object| {
                rule.as_array().unwrap().iter().all(|k| object.contains_key(k.as_str().unwrap()))
            }),
            "properties" => {
                for (key, below) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        check(root, below, inner, &format!("{at}/{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false), "{at}");
                let known = rules.get("properties").and_then(Value::as_object);
                value.as_object().is_none_or(|object| {
                    object.keys().all(|k| known.is_some_and(|names| names.contains_key(k)))
                })
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}/{i}"))?;
                }
                true
            }
            "minItems" => value.as_array().is_none_or(|a| a.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|a| a.len() as u64 <= rule.as_u64().unwrap()),
            other => panic!("the schema uses `{other}` at {at}, which this test does not check"),
        };
        if !holds {
            return Err(format!("{at}: {value} does not fit {keyword}: {rule}"));
        }
    }
    Ok(())
}

fn has_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("unknown type `{other}`"),
    }
}

#[test]
fn every_recipe_fits_the_schema_as_written_and_as_resolved() {
    let schema = configs::schema();
    for path in recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        let written: Value = serde_saphyr::from_str(&text).unwrap();
        let resolved = serde_json::to_value(RunConfig::load(&path, &[]).unwrap()).unwrap();
        for instance in [written, resolved] {
            if let Err(reason) = check(&schema, &schema, &instance, "") {
                panic!("{}: {reason}", path.display());
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_loading_refuses() {
    let schema = configs::schema();
    let text = std::fs::read_to_string(&recipes()[0]).unwrap();
    let good: Value = serde_saphyr::from_str(&text).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[key] = value;
        check(&schema, &schema, &changed, "").is_ok()
    };
    assert!(with("/data/workers", "auto".into()));
    assert!(with("/data/workers", 3.into()));
    assert!(!with("/data/workers", "many".into()));
    assert!(!with("/data/workers", 0.into()));
    assert!(with("/data/shuffle", serde_json::json!({"streams": 8})));
    assert!(!with("/data/shuffle", serde_json::json!({"streams": "all"})));
    let source = serde_json::json!({"name": "a", "paths": ["b"], "weight": 2});
    assert!(with("/data/train", serde_json::json!(["a", "b"])));
    assert!(with("/data/train", serde_json::json!([source, source])));
    assert!(!with("/data/train", serde_json::json!(["a", source])));
    assert!(!with("/data/train", serde_json::json!([{"name": "a", "paths": ["b"]}])));
    assert!(!with("/data/train", "a".into()));
    let captions = |value| with("/data/columns", serde_json::json!({ "captions": value }));
    let template = serde_json::json!({"template": "a {b}"});
    assert!(captions("title".into()));
    assert!(captions(template.clone()));
    assert!(captions(serde_json::json!(["title", template, {"column": "c", "weight": 0.5}])));
    assert!(!captions(serde_json::json!([])));
    assert!(!captions(serde_json::json!([["title"]])));
    assert!(!captions(serde_json::json!({"column": "c", "weight": 0})));
    assert!(!captions(serde_json::json!({"column": "c", "template": "{c}"})));
    assert!(!captions(serde_json::json!({"weight": 1})));
    assert!(with("/log/every", serde_json::json!({"minutes": 0.5})));
    assert!(!with("/log/every", serde_json::json!({"steps": 1, "minutes": 0.5})));
    assert!(!with("/log/every", serde_json::json!({"hours": 1})));
    assert!(!with("/batch/sise", 3.into()));
    assert!(!with("/batch/size", "64".into()));
    assert!(with("/model/freeze", serde_json::json!({"image": "all", "text": {"blocks": 2}})));
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(at: &str, schema: &Value, bare: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, property) in properties {
                if property.get("description").is_none() {
                    bare.push(format!("{at}.{key}"));
                }
            }
        }
    }
    let schema = configs::schema();
    let mut bare = Vec::new();
    walk("", &schema, &mut bare);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(name, definition, &mut bare);
    }
    // Variants of an enumeration carry their description one level up.
    bare.retain(|key| {
        !["steps", "epochs", "minutes", "blocks", "pretrained", "random"]
            .iter()
            .any(|variant| key.ends_with(variant))
    });
    assert!(bare.is_empty(), "{bare:?}");
}
