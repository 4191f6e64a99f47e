//! A run that was interrupted goes on as if it had not been.

use crate::support::TinyRun;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts training and waits until `metrics.jsonl` records `step`.
fn train_past(run: &TinyRun, step: u64, args: &[&str]) -> std::process::Child {
    let child = run.train(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let reached = || {
        let path = run.folder().join("metrics.jsonl");
        std::fs::read_to_string(path)
            .is_ok_and(|text| text.contains(&format!("\"kind\":\"step\",\"step\":{step},")))
    };
    while !reached() {
        assert!(Instant::now() < deadline, "step {step} was not reached in time");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn assert_same_file(a: &Path, b: &Path, name: &str) {
    let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
    assert!(read(a) == read(b), "{name} differs");
}

fn assert_same_run(expected: &TinyRun, found: &TinyRun, steps: u64) {
    let last = |run: &TinyRun| run.folder().join(format!("step-{steps:08}"));
    for name in ["model.safetensors", "train_state.safetensors", "train_state.json"] {
        assert_same_file(&last(expected), &last(found), name);
    }
    assert_eq!(expected.metrics(), found.metrics());
}

/// Some 250 rows make 7 batches an epoch: step 17 lies in the third epoch, step 40 in the sixth.
#[test]
fn kill_9_and_resume_equal_the_uninterrupted_run_bit_for_bit() {
    let whole = TinyRun::new();
    whole.train_to_the_end(&[]);
    let steps = whole.metrics().iter().filter(|record| record["kind"] == "step").count();
    assert_eq!(steps, 40);
    let epochs = whole.metrics().last().map(|record| record["epoch"].clone());
    assert_ne!(epochs, Some(0.into()), "the run crosses epochs");

    let cut = TinyRun::new();
    let mut child = train_past(&cut, 17, &[]);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    cut.train_to_the_end(&[]);
    assert_same_run(&whole, &cut, 40);

    // Once more, with the whole batch at once: gradients are sums, so only rounding differs.
    let unsplit = TinyRun::new();
    unsplit.train_to_the_end(&["--set", "batch.micro=32"]);
    let losses = |run: &TinyRun| -> Vec<f64> {
        run.metrics().iter().filter_map(|record| record["loss"].as_f64()).collect()
    };
    for (a, b) in losses(&whole).iter().zip(losses(&unsplit)) {
        assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
    }
}

#[test]
fn runs_in_16_bits_with_recomputation_and_patch_dropout_resume_bit_for_bit() {
    for precision in ["precision=pure_bf16", "precision=fp16"] {
        let sets = [
            precision,
            "memory.recompute=blocks",
            "model.patch_dropout=0.25",
            "batch.micro=auto",
            "duration={steps: 12}",
        ];
        let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let whole = TinyRun::new();
        let said = whole.train_to_the_end(&args);
        assert!(said.contains("32 pairs through the towers at once; memory about "), "{said}");
        let loss = |record: &serde_json::Value| record["loss"].as_f64();
        let losses: Vec<f64> = whole.metrics().iter().filter_map(loss).collect();
        assert!(losses.last() < losses.first(), "{precision}: {losses:?}");

        let cut = TinyRun::new();
        let mut child = train_past(&cut, 7, &args);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        cut.train_to_the_end(&args);
        assert_same_run(&whole, &cut, 12);
    }
}

#[test]
fn sigterm_saves_and_leaves_and_a_damaged_checkpoint_is_passed_over() {
    // An evaluation at every step: seconds of work, so that the signal finds the run at it, and one
    // evaluation that the stopping run leaves to the next.
    const STEPS: u64 = 60;
    let long = ["--set", "duration={steps: 60}", "--set", "eval.every={steps: 1}"];
    let whole = TinyRun::new();
    whole.train_to_the_end(&long);

    let cut = TinyRun::new();
    let never = ["--set", "checkpoint.every={steps: 1000}"];
    let child = train_past(&cut, 12, &[&long[..], &never].concat());
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a run that saves and leaves has done what it was asked");
    let latest = std::fs::read_to_string(cut.folder().join("latest")).unwrap();
    let step: u64 = latest.trim().strip_prefix("step-").unwrap().parse().unwrap();
    assert!((12..STEPS).contains(&step), "{latest}");

    // Go on to a second checkpoint, damage it, and go on again from the first.
    let often = ["--set", "checkpoint.every={steps: 2}"];
    let mut child = train_past(&cut, step + 5, &[&long[..], &often].concat());
    child.kill().unwrap();
    child.wait().unwrap();
    let latest = std::fs::read_to_string(cut.folder().join("latest")).unwrap();
    let weights = cut.folder().join(latest.trim()).join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 1]).unwrap();
    let text = cut.train_to_the_end(&long);
    assert!(text.contains("passed over") && text.contains("model.safetensors"), "{text}");
    assert_same_run(&whole, &cut, STEPS);
}

#[test]
fn going_on_with_another_run_in_the_same_folder_is_refused() {
    let run = TinyRun::new();
    run.train_to_the_end(&["--set", "duration.steps=5"]);
    let text = run.train_fails(&["--set", "seed=4", "--set", "data.augment.flip=0.5"]);
    assert!(text.contains("belongs to a run with another `seed`, `data.augment`"), "{text}");
    let text = run.train_fails(&["--resume", "never"]);
    assert!(text.contains("--resume never would overwrite them"), "{text}");
    let text = run.train_fails(&["--resume", "/nowhere/step-00000005"]);
    assert!(text.contains("/nowhere/step-00000005"), "{text}");
    let first = run.folder().join("step-00000005");
    run.train_to_the_end(&["--set", "duration.steps=10"]);
    let text = run.train_fails(&["--resume", first.to_str().unwrap()]);
    assert!(text.contains("holds checkpoints up to step 10, later than"), "{text}");
    // A finished run has nothing left to do, and says so with its report.
    let text = run.train_to_the_end(&["--set", "duration.steps=10"]);
    assert!(text.contains("finished after step 10 of 10"), "{text}");
    assert!(text.contains("report: "), "{text}");
}
