//! Token ids equal to open_clip's and transformers' on varied captions.

use crate::support::{json, peer};
use configs::Clean;
use data::{PadId, Tokenizer};

#[test]
fn token_ids_equal_open_clips_and_transformers() {
    let dir = peer("captions.py");
    let open =
        |clean| Tokenizer::open(dir.path().join("tokenizer.json"), 77, clean, PadId::End).unwrap();
    let cases = json(dir.path(), "captions.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 200);
    let mut wrong = Vec::new();
    for (clean, key) in [(Clean::OpenClip, "open_clip"), (Clean::Hf, "hf")] {
        let tokenizer = open(clean);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<i64> = serde_json::from_value(case[key].clone()).unwrap();
            let found = tokenizer.encode(text).unwrap();
            if found.ids != expected {
                wrong.push(format!(
                    "{key}: {text:?}\n  expected {expected:?}\n  found    {:?}",
                    found.ids
                ));
            }
            // A caption of exactly 77 tokens is cut or not; any shorter one is whole.
            assert!(found.ids.len() == 77 || !found.truncated);
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
