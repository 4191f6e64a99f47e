//! What a run leaves behind, seen from outside.

use crate::support::{TinyRun, python};
use checkpoints::{TensorFile, write_safetensors};
use configs::Clean;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use train::{ModelDir, tensors};

#[test]
fn a_step_folder_is_a_hugging_face_model_with_the_same_embeddings_and_token_ids() {
    let run = TinyRun::new();
    run.train_to_the_end(&["--set", "duration.steps=6"]);
    let step = run.folder().join("step-00000006");
    let model_dir = ModelDir::open(&step, Clean::Hf).unwrap();
    let model = model_dir.load(Device::Cpu).unwrap();

    let captions = ["a red mug", "LARGE blue chair, striped!!", "x y z ".repeat(40).as_str()]
        .map(str::to_owned);
    let encoded: Vec<Vec<i64>> =
        captions.iter().map(|caption| model_dir.tokenizer.encode(caption).unwrap().ids).collect();
    let context = model_dir.tokenizer.context_length();
    let pad = model_dir.tokenizer.pad_id();
    let padded: Vec<i64> = encoded
        .iter()
        .flat_map(|ids| ids.iter().copied().chain(std::iter::repeat(pad)).take(context))
        .collect();
    let ids_bt = Tensor::from_slice(&padded).view([3, context as i64]);
    let noise =
        ((Tensor::arange(3 * 32 * 32 * 3, (Kind::Double, Device::Cpu)) * 1.3).sin() + 1.0) * 127.0;
    let pixels_bhwc = noise.view([3, 32, 32, 3]).to_kind(Kind::Uint8);
    let mean = Tensor::from_slice(&model_dir.picture.mean);
    let std = Tensor::from_slice(&model_dir.picture.std);
    let normalised = ((pixels_bhwc.to_kind(Kind::Float) / 255.0) - mean) / std;

    let io = tempfile::tempdir().unwrap();
    let (inputs, outputs) = (io.path().join("in.safetensors"), io.path().join("out.safetensors"));
    let text = io.path().join("captions.json");
    std::fs::write(&text, serde_json::to_string(&captions).unwrap()).unwrap();
    let stored: Vec<_> = [
        ("pixels", &pixels_bhwc),
        ("pixel_values", &normalised.permute([0, 3, 1, 2])),
        ("input_ids", &ids_bt),
    ]
    .map(|(name, tensor)| (name, tensors::to_stored(tensor).unwrap()))
    .into();
    let views: Vec<_> = stored.iter().map(|(name, t)| tensors::named(name, t)).collect();
    write_safetensors(&inputs, &views, &BTreeMap::new()).unwrap();
    let args = [&step, &inputs, &outputs].map(|path| path.to_str().unwrap());
    python("reload.py", &[args[0], args[1], args[2], "--captions", text.to_str().unwrap()]);

    let theirs = TensorFile::open(&outputs).unwrap();
    let get = |name: &str| tensors::from_stored(&theirs.tensor(name).unwrap()).unwrap();
    let diff = |a: &Tensor, b: &Tensor| f64::try_from((a - b).abs().max()).unwrap();
    tch::no_grad(|| {
        assert!(diff(&model.encode_image(&pixels_bhwc, None), &get("image_embeds")) < 1e-5);
        assert!(diff(&model.encode_text(&ids_bt), &get("text_embeds")) < 1e-5);
    });
    assert!(get("caption_ids").equal(&ids_bt), "{:?} {ids_bt:?}", get("caption_ids"));
}

#[test]
fn frozen_towers_keep_their_weights_and_the_rest_learns() {
    let weights = |run: &TinyRun, step: &str| {
        let file = TensorFile::open(&run.folder().join(step)).unwrap();
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        names.into_iter().map(move |name| (file.tensor(&name).unwrap(), name))
    };
    let run = TinyRun::new();
    run.train_to_the_end(&[
        "--set",
        "model.freeze={image: all, text: {blocks: 1}}",
        "--set",
        "duration.steps=3",
        "--set",
        "checkpoint.every={steps: 1}",
    ]);
    let after = weights(&run, "step-00000003");
    for ((before, name), (after, _)) in weights(&run, "step-00000001").zip(after) {
        let frozen = name.starts_with("vision_model.")
            || name.starts_with("visual_projection.")
            || name.starts_with("text_model.embeddings.")
            || name.starts_with("text_model.encoder.layers.0.");
        assert_eq!(before == after, frozen, "{name}");
    }
}

#[test]
fn a_run_keeps_its_best_and_newest_checkpoints_and_all_reports() {
    let run = TinyRun::new();
    let text = run.train_to_the_end(&[]);
    assert!(text.contains("chance") && text.contains("before") && text.contains("after"), "{text}");
    let read = |name: &str| std::fs::read_to_string(run.folder().join(name)).unwrap();
    assert_eq!(read("latest").trim(), "step-00000040");
    for step in ["00000000", "00000020", "00000040"] {
        assert!(run.folder().join(format!("eval/step-{step}/report.json")).is_file());
    }
    let steps: Vec<_> = std::fs::read_dir(run.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("step-"))
        .collect();
    // checkpoint.keep: 3, and the best if it is older.
    assert!((3..=4).contains(&steps.len()), "{steps:?}");
    let evals: Vec<_> =
        run.metrics().into_iter().filter(|record| record["kind"] == "eval").collect();
    assert_eq!(evals.len(), 3);
    let hits = |i: usize| evals[i]["text_to_image/hits@5"].as_f64().unwrap();
    if hits(1).max(hits(2)) > hits(0) {
        let best = if hits(2) > hits(1) { "step-00000040" } else { "step-00000020" };
        assert_eq!(read("best").trim(), best);
    }
    assert!(read("config.yaml").contains("# vlclip "), "provenance stands above the configuration");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_step_and_samples() {
    let run = TinyRun::new();
    let text = run.train_fails(&["--set", "optim.lr=1e30", "--set", "optim.max_grad_norm=null"]);
    for part in ["step 2: loss", "not finite", "the weights were not updated", "shard `", "row "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn bf16_follows_f32() {
    let losses = |args: &[&str]| -> Vec<f64> {
        let run = TinyRun::new();
        run.train_to_the_end(&[&["--set", "duration.steps=10"], args].concat());
        run.metrics().iter().filter_map(|record| record["loss"].as_f64()).collect()
    };
    let (full, half) = (losses(&[]), losses(&["--set", "precision=bf16"]));
    assert_eq!(full.len(), 10);
    assert_ne!(full, half);
    for (a, b) in full.iter().zip(half) {
        assert!((a - b).abs() < 0.05, "{a} {b}");
    }
}
