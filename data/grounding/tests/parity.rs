//! The detector against transformers' GroundingDinoForObjectDetection and its processor, live, on
//! random models. `tests/peers/grounding_parity.py` says what is compared and why.
#![allow(clippy::unwrap_used)]

mod support;

use grounding::{Detection, Detector, Inputs, Outputs, RgbPicture};
use serde_json::Value;
use support::{Golden, diff, python};
use tch::{Device, Kind, Tensor};

/// Of logits and boxes, as the contract says.
const TOLERANCE: f64 = 1e-4;

/// A batch of the script.
struct Batch {
    n: usize,
    json: Value,
    pictures: Vec<RgbPicture>,
}

impl Batch {
    fn phrases(&self) -> Vec<&str> {
        self.json["phrases"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect()
    }

    fn threshold(&self, of: &str) -> f32 {
        self.json[of].as_f64().unwrap() as f32
    }

    fn smallest_gap(&self) -> f64 {
        self.json["smallest_gap"].as_f64().unwrap()
    }

    fn expected(&self, golden: &Golden, name: &str) -> Tensor {
        golden.get(&format!("{}.{name}", self.n))
    }
}

/// What the script wrote.
struct Case {
    dir: tempfile::TempDir,
    golden: Golden,
    batches: Vec<Batch>,
}

impl Case {
    fn write(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut all = vec!["--out", dir.path().to_str().unwrap(), "--shape"];
        all.extend(args);
        python("grounding_parity.py", &all);
        let golden = Golden::open(&dir.path().join("expected.safetensors"));
        let text = std::fs::read_to_string(dir.path().join("batches.json")).unwrap();
        let json: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(!json.is_empty());
        let batch = |(n, json): (usize, Value)| {
            let numbers = json["pictures"].as_array().unwrap();
            let pictures = numbers.iter().map(|number| golden.picture(number)).collect();
            Batch { n, json, pictures }
        };
        let batches = json.into_iter().enumerate().map(batch).collect();
        Self { dir, golden, batches }
    }

    fn detector(&self, kind: Kind) -> Detector {
        Detector::load(&self.dir.path().join("model"), Device::Cpu, kind).unwrap()
    }
}

/// Pixel values, masks and token ids are equal, to the bit.
fn inputs_are_equal(batch: &Batch, golden: &Golden, inputs: &Inputs) {
    let what = |name: &str| format!("batch {}: {name}", batch.n);
    let values = batch.expected(golden, "pixel_values");
    assert_eq!(inputs.pixels.values.size(), values.size(), "{}", what("size"));
    assert!(inputs.pixels.values.equal(&values), "{}", what("pixel_values"));
    assert!(inputs.pixels.mask.equal(&batch.expected(golden, "pixel_mask")), "{}", what("mask"));
    let ids = batch.expected(golden, "input_ids");
    for (row, expected) in (0..).zip(&inputs.token_ids) {
        let found: Vec<i64> = Vec::try_from(ids.get(row)).unwrap();
        let (ours, padding) = found.split_at(expected.len());
        assert_eq!(ours, expected, "{}", what("input_ids"));
        assert!(padding.iter().all(|&id| id == 0), "{}", what("padding"));
    }
}

/// What is allowed in f32: 1e-4, and where transformers itself is off by more than a fifth of that from its
/// own f64, because a random model amplifies rounding, five times as much as it is.
fn tolerance(own_rounding: f64) -> f64 {
    TOLERANCE.max(5.0 * own_rounding)
}

/// Minus infinity where transformers has it, and the same numbers elsewhere.
fn logits_differ(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert!(ours.isfinite().equal(&theirs.isfinite()));
    let finite = |x: &Tensor| x.masked_fill(&x.isfinite().logical_not(), 0.0);
    diff(&finite(ours), &finite(theirs))
}

fn outputs_agree(batch: &Batch, golden: &Golden, outputs: &Outputs, suffix: &str) -> (f64, f64) {
    let logits =
        logits_differ(&outputs.logits, &batch.expected(golden, &format!("logits{suffix}")));
    let boxes = diff(&outputs.boxes, &batch.expected(golden, &format!("boxes{suffix}")));
    println!(
        "batch {} f{}: logits {logits:e}, boxes {boxes:e}, smallest gap {:e}, own rounding {}",
        batch.n,
        if suffix.is_empty() { "32" } else { "64" },
        batch.smallest_gap(),
        batch.json["own_rounding"],
    );
    let own = if suffix.is_empty() { batch.json["own_rounding"].as_f64() } else { None };
    let most = tolerance(own.unwrap_or(0.0));
    assert!(logits < most && boxes < most, "batch {}: {logits:e} {boxes:e}", batch.n);
    (logits, boxes)
}

/// The same boxes are chosen, with the same words.
fn choice_agrees(batch: &Batch, found: &[Vec<Detection>]) {
    let expected = batch.json["detections"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    let mut chosen = 0;
    for ((found, expected), picture) in found.iter().zip(expected).zip(&batch.pictures) {
        let mut expected: Vec<&Value> = expected.as_array().unwrap().iter().collect();
        expected
            .sort_by(|a, b| b["score"].as_f64().unwrap().total_cmp(&a["score"].as_f64().unwrap()));
        assert_eq!(found.len(), expected.len(), "batch {}", batch.n);
        let px = picture.width.max(picture.height) as f64;
        for (found, expected) in found.iter().zip(expected) {
            let score = expected["score"].as_f64().unwrap();
            assert!((f64::from(found.score) - score).abs() < TOLERANCE);
            assert_eq!(Some(found.phrase.as_str()), expected["phrase"].as_str());
            for (edge, expected) in found.xyxy.iter().zip(expected["box"].as_array().unwrap()) {
                let error = (f64::from(*edge) - expected.as_f64().unwrap()).abs();
                assert!(error < TOLERANCE * px, "batch {}: {error} px", batch.n);
            }
            chosen += 1;
        }
    }
    assert!(chosen > 0, "batch {}: nothing is found, nothing compared", batch.n);
}

fn agrees_with_transformers(shape: &str) {
    let case = Case::write(&[shape]);
    let (single, double) = (case.detector(Kind::Float), case.detector(Kind::Double));
    for batch in &case.batches {
        let inputs = double.inputs(&batch.pictures, &batch.phrases()).unwrap();
        inputs_are_equal(batch, &case.golden, &inputs);
        outputs_agree(batch, &case.golden, &double.run(&inputs).unwrap(), "64");
        // Nearer than this, rounding may exchange two queries.
        assert!(batch.smallest_gap() > 1e-5, "batch {}: another seed, please", batch.n);
        let outputs = single.run(&inputs).unwrap();
        outputs_agree(batch, &case.golden, &outputs, "");
        let (box_threshold, text_threshold) =
            (batch.threshold("box_threshold"), batch.threshold("text_threshold"));
        let found = single
            .detect(&batch.pictures, &batch.phrases(), box_threshold, text_threshold)
            .unwrap();
        choice_agrees(batch, &found);
    }
}

#[test]
fn four_levels_of_which_two_are_added() {
    agrees_with_transformers("levels");
}

#[test]
fn a_box_head_for_each_layer() {
    agrees_with_transformers("unshared");
}

#[test]
fn five_levels_of_odd_sizes_from_shards() {
    agrees_with_transformers("shards");
}

#[test]
fn one_level_from_half_precision() {
    agrees_with_transformers("single");
}

/// Swin-T, BERT base, 900 queries, six layers each.
const PUBLISHED: [&str; 5] = ["published-tiny", "--shortest", "320", "--batches", "2"];

#[test]
fn the_published_tiny_size() {
    let case = Case::write(&[&PUBLISHED[..], &["--only", "f64"]].concat());
    let detector = case.detector(Kind::Double);
    for batch in &case.batches {
        let inputs = detector.inputs(&batch.pictures, &batch.phrases()).unwrap();
        inputs_are_equal(batch, &case.golden, &inputs);
        let outputs = detector.run(&inputs).unwrap();
        outputs_agree(batch, &case.golden, &outputs, "64");
        let found = detector.choose(
            &inputs,
            &outputs,
            batch.threshold("box_threshold"),
            batch.threshold("text_threshold"),
        );
        choice_agrees(batch, &found.unwrap());
    }
}

/// How far two sets of queries are apart, each from the nearest of the other.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let far = Tensor::cdist(a, b, 2.0, 0);
    let nearest = |axis: i64| far.argmin(axis, false);
    let (to_b, to_a) = (b.index_select(0, &nearest(1)), a.index_select(0, &nearest(0)));
    diff(a, &to_b).max(diff(b, &to_a))
}

/// Queries in another order are the same queries where all start alike: each of ours is one of
/// theirs, and each of theirs one of ours. Places without a proposal make equal ones.
#[test]
fn the_published_tiny_size_in_f32() {
    let case = Case::write(&[&PUBLISHED[..], &["--only", "f32", "--alike"]].concat());
    let (detector, double) = (case.detector(Kind::Float), case.detector(Kind::Double));
    for batch in &case.batches {
        let inputs = detector.inputs(&batch.pictures, &batch.phrases()).unwrap();
        inputs_are_equal(batch, &case.golden, &inputs);
        let outputs = detector.run(&inputs).unwrap();
        // In f64 both are the same (`the_published_tiny_size`), so ours tells how far theirs is off.
        let exact = double.run(&inputs).unwrap();
        let of = |logits: Tensor, boxes: Tensor| {
            let finite = logits.masked_fill(&logits.isfinite().logical_not(), 0.0);
            Tensor::cat(&[finite, boxes], 2).to_kind(Kind::Double)
        };
        let exact = of(exact.logits, exact.boxes);
        let ours = of(outputs.logits, outputs.boxes);
        let theirs =
            of(batch.expected(&case.golden, "logits"), batch.expected(&case.golden, "boxes"));
        for i in 0..ours.size()[0] {
            let error = apart(&ours.get(i), &theirs.get(i));
            let own = apart(&theirs.get(i), &exact.get(i));
            let from_exact = apart(&ours.get(i), &exact.get(i));
            println!(
                "batch {}, picture {i}: {error:e}; from f64: {from_exact:e}, theirs {own:e}",
                batch.n
            );
            assert!(error < tolerance(own), "batch {}, picture {i}: {error:e}, {own:e}", batch.n);
        }
    }
}
