//! `vlclip verify` as a user sees it: it passes, it can fail, and it refuses what it cannot do.

use crate::support::{TinyRun, command, refused, text};
use std::process::Output;

/// `vlclip verify` of a tiny run.
fn verify(run: &TinyRun, args: &[&str]) -> Output {
    let mut verify = command(&["verify"]);
    verify.arg(run.dir.path().join("run.yaml")).args(args).env("OMP_NUM_THREADS", "1");
    verify.env("TMPDIR", run.dir.path()).output().unwrap()
}

/// The rows of the table for one way of training.
fn rows<'a>(printed: &'a str, way: &str) -> Vec<&'a str> {
    printed.lines().filter(|line| line.starts_with(&format!("{way}  "))).collect()
}

#[test]
fn processes_and_micro_batches_do_not_change_the_training() {
    let run = TinyRun::new();
    for (processes, split, dropout) in
        [("2", "2 processes, 16 each", "0"), ("4", "4 processes, 8 each", "0.5")]
    {
        let dropout = format!("model.patch_dropout={dropout}");
        let output = verify(&run, &["--processes", processes, "--set", &dropout]);
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(0), "{printed}");
        for way in [split, "1 process, 16 at once"] {
            assert_eq!(rows(&printed, way).len(), 3, "{printed}");
        }
        assert!(printed.contains("all within the tolerance: loss 1e-5"), "{printed}");
    }
    // Nothing but the configuration's files is left behind, and no run was made.
    let mut left: Vec<_> = std::fs::read_dir(run.dir.path()).unwrap().collect();
    left.retain(|entry| !entry.as_ref().unwrap().path().is_file());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn in_16_bits_the_loss_alone_is_judged() {
    let run = TinyRun::new();
    let output = verify(&run, &["--set", "precision=bf16", "--batches", "2"]);
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("in bf16, 2 batches"), "{printed}");
    assert!(printed.contains("the loss is within its tolerance of 2e-2"), "{printed}");
}

#[test]
fn a_difference_above_the_tolerance_is_told_with_its_place() {
    let run = TinyRun::new();
    let text = refused(&verify(&run, &["--tolerance", "1e-12", "--batches", "2"]));
    assert!(text.contains("error: the ways of training do not agree"), "{text}");
    for way in ["2 processes, 16 each", "1 process, 16 at once"] {
        assert!(text.contains(&format!("{way}, batch 1: the gradient of `")), "{text}");
        assert_eq!(rows(&text, way).len(), 2, "the table comes first: {text}");
    }
    assert!(text.contains("more than 1.0e-12"), "{text}");
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let run = TinyRun::new();
    for (args, expected) in [
        (&["--processes", "3"][..], "--processes: expected a divisor of batch.size (32), found 3"),
        (
            &["--processes", "8"],
            "expected a divisor of the number of streams that the data is read in (4), found 8",
        ),
        (&["--tolerance=-1"], "--tolerance: expected a finite number from 0, found -1"),
        (&["--batches", "41"], "--batches: expected at most the 40 steps of the run, found 41"),
        (&["--set", "optim.lr=-1"], "optim.lr"),
    ] {
        let text = refused(&verify(&run, args));
        assert!(text.contains(expected), "{text}");
    }
    let text = refused(&command(&["verify", "/nowhere.yaml"]).output().unwrap());
    assert!(text.contains("/nowhere.yaml"), "{text}");
    let no_gpu = ["--device", "cuda", "--processes", "64", "--set", "batch.size=64"];
    let streams = ["--set", "data.shuffle.streams=64"];
    let text = refused(&verify(&run, &[&no_gpu[..], &streams].concat()));
    assert!(text.contains("--device cuda: expected a GPU for each of the 64 processes"), "{text}");
}
