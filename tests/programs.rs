//! `vlclip` and `vlclip-torch`: what runs without libtorch, and what is handed over.

use crate::support::{command, root, sample, text};
use std::path::Path;
use std::process::Command;

const VLCLIP: &str = env!("CARGO_BIN_EXE_vlclip");

/// What the dynamic loader would load for a program.
fn libraries(program: &str) -> String {
    text(&Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap())
}

#[test]
fn vlclip_is_not_linked_with_libtorch_and_vlclip_torch_is() {
    let (light, whole) = (libraries(VLCLIP), libraries(env!("CARGO_BIN_EXE_vlclip-torch")));
    assert!(light.contains("libc.so"), "{light}");
    assert!(!light.contains("torch") && !light.contains("libc10"), "{light}");
    assert!(whole.contains("libtorch_cpu.so") && whole.contains("libtorch_cuda.so"), "{whole}");
}

/// `vlclip` alone in a folder, as on a machine that only prepares data.
fn alone(dir: &Path) -> Command {
    let program = dir.join("vlclip");
    std::fs::copy(VLCLIP, &program).unwrap();
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

#[test]
fn vlclip_alone_draws_prepares_and_checks_configurations() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = dir.path().join("catalogue");
    let mut drawn = alone(dir.path());
    let drawn = drawn.args(["sample", "--products", "100", "--out"]).arg(&catalogue).output();
    let drawn = drawn.unwrap();
    assert!(drawn.status.success(), "{}", text(&drawn));
    let paths = format!("catalogue.paths={}/catalogue.parquet", catalogue.display());
    let out = format!("output.dir={}", dir.path().join("shards").display());
    let args = ["prepare", "configs/prepare/sample.yaml", "--set", &paths, "--set", &out];
    let prepared =
        Command::new(dir.path().join("vlclip")).args(args).current_dir(root()).output().unwrap();
    assert!(prepared.status.success(), "{}", text(&prepared));
    assert!(dir.path().join("shards/index.json").is_file());
    let checked = alone(dir.path()).args(["config", "check", "configs/quickstart.yaml"]).output();
    assert!(checked.unwrap().status.success());
}

#[test]
fn without_vlclip_torch_the_error_names_it_and_what_runs_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let detector =
        ["prepare", "configs/prepare/sample.yaml", "--set", "grounding.kind=grounding_dino"];
    let detector = [&detector[..], &["--set", "grounding.model=/models/dino"]].concat();
    for args in [&["train", "configs/quickstart.yaml"][..], &["--help"], &[], &detector] {
        let found = alone(dir.path()).args(args).output().unwrap();
        let said = text(&found);
        assert_eq!(found.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.contains("vlclip-torch` is missing: only compare, config"),
            "{args:?}: {said}"
        );
        assert!(said.contains("cargo build --release"), "{said}");
    }
}

#[test]
fn what_is_handed_over_keeps_its_name_arguments_and_exit_code() {
    let help = command(&["--help"]).output().unwrap();
    let said = text(&help);
    assert!(help.status.success() && said.contains("Usage: vlclip <COMMAND>"), "{said}");
    for name in ["train", "prepare", "sample", "compare", "config", "eval"] {
        assert!(said.contains(&format!("\n  {name} ")), "{name}: {said}");
    }
    let wrong = command(&["train", "--no-such-option"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    assert!(text(&wrong).contains("Usage: vlclip train"), "{}", text(&wrong));
    let unknown = command(&["tarin"]).output().unwrap();
    assert!(text(&unknown).contains("a similar subcommand exists: 'train'"), "{}", text(&unknown));
    // A link to the program finds its other half.
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("clip");
    std::os::unix::fs::symlink(VLCLIP, &link).unwrap();
    let found = Command::new(&link).arg("inspect").arg(sample().join("train")).output().unwrap();
    assert!(found.status.success(), "{}", text(&found));
}
