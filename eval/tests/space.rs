//! Alignment, uniformity, modality gap and the distribution of scores equal what numpy and scipy
//! compute from the same vectors.

use eval::{Embeddings, Qrels, SearchOptions, Side, scores, search, space};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What tests/peers/space.py makes of the sides and the matching rows.
fn peer(input: &Value) -> Value {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("input.json");
    std::fs::write(&file, input.to_string()).expect("writes");
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .current_dir(ROOT)
        .env("PYTHONPATH", ".peers:.libtorch")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("tests/peers/space.py")
        .arg(file)
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 runs");
    assert!(
        output.status.success(),
        "space.py failed; are the Python peers installed (`make test`)?"
    );
    serde_json::from_slice(&output.stdout).expect("space.py prints JSON")
}

fn rows(prefix: &str, count: usize, width: usize, seed: u32) -> Embeddings {
    // Weyl sequences: spread out, and the same everywhere.
    let value = |at: usize| ((at as f64 + 1.0) * (f64::from(seed).sqrt())).fract() - 0.4;
    let values = (0..count * width).map(|at| value(at) as f32).collect();
    let ids = (0..count).map(|at| format!("{prefix}{at}")).collect();
    Embeddings::normalised(ids, width, values).expect("valid rows")
}

#[test]
fn equals_numpy_and_scipy() {
    for (texts, images, width) in [(7, 5, 3), (120, 90, 32), (300, 300, 64)] {
        let (text, image) = (rows("t", texts, width, 2), rows("i", images, width, 3));
        let pairs: Vec<(usize, usize)> =
            (0..texts).flat_map(|t| [(t, t % images), (t, (t * 7 + 1) % images)]).collect();
        let mut distinct = pairs;
        distinct.sort_unstable();
        distinct.dedup();
        let judged = distinct.iter().map(|(t, i)| (format!("t{t}"), format!("i{i}"), 1));
        let qrels = Qrels::new(judged).expect("distinct");
        let sides = [Side { name: "text", rows: &text }, Side { name: "image", rows: &image }];
        let found = space(sides[0], Some(sides[1]), &qrels, Some(14.0), 0).expect("valid");
        let ranking = search(&text, &image, &qrels, &SearchOptions::new(5)).expect("valid");
        let spread = scores(&text, &image, &ranking, |_, _| true, 0).expect("valid").expect("some");

        let matrix = |side: &Embeddings| side.rows().map(<[f32]>::to_vec).collect::<Vec<_>>();
        let expected = peer(&json!({
            "text": matrix(&text), "image": matrix(&image), "pairs": distinct, "bins": spread.bins,
        }));
        let near = |found: f64, name: &str| {
            let expected = expected[name].as_f64().unwrap_or_else(|| panic!("no {name}"));
            assert!((found - expected).abs() < 1e-6, "{name}: {found}, numpy {expected}");
        };
        near(found.alignment.expect("pairs"), "alignment");
        near(found.uniformity["text"], "uniformity_text");
        near(found.uniformity["image"], "uniformity_image");
        near(found.modality_gap.expect("two sides"), "modality_gap");
        near(spread.positive_mean, "positive_mean");
        near(spread.negative_mean, "negative_mean");
        // All pairs are here; a score that rounds across an edge may change its bin.
        for (found, name) in [(&spread.positives, "positives"), (&spread.negatives, "negatives")] {
            let expected: Vec<usize> =
                serde_json::from_value(expected[name].clone()).expect("counts");
            assert_eq!(found.iter().sum::<usize>(), expected.iter().sum::<usize>(), "{name}");
            let apart: usize = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).sum();
            assert!(apart <= 4, "{name}: {found:?}, numpy {expected:?}");
        }
    }
}
