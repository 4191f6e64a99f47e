//! Saves, crashes and damage, as a run's folder meets them.

#![allow(clippy::unwrap_used)]

use checkpoints::{CheckpointError, Dtype, RunFolder, TensorView, verify, write_safetensors};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Run {
    _dir: tempfile::TempDir,
    run: RunFolder,
}

fn run() -> Run {
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&dir.path().join("runs"), "a").unwrap();
    Run { _dir: dir, run }
}

impl std::ops::Deref for Run {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.run
    }
}

fn fill(folder: &Path, text: &str) -> Result<(), CheckpointError> {
    fs::write(folder.join("model.bin"), text).unwrap();
    fs::create_dir(folder.join("more")).unwrap();
    fs::write(folder.join("more/state.json"), "{}").unwrap();
    Ok(())
}

fn save(run: &RunFolder, step: u64) -> PathBuf {
    run.save_step(step, |folder| fill(folder, &format!("weights of {step}"))).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn refusal(folder: &Path) -> String {
    let error = verify(folder).unwrap_err().to_string();
    let start = format!("checkpoint `{}` is refused: ", folder.display());
    error.strip_prefix(&start).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn a_saved_step_verifies_and_becomes_the_latest() {
    let run = run();
    assert_eq!(run.newest_valid().unwrap().0, None);
    assert_eq!((run.latest().unwrap(), run.best().unwrap()), (None, None));
    let meta = serde_json::json!({"epoch": 2}).as_object().unwrap().clone();
    let path = run.save_step_with(7, meta, |folder| fill(folder, "abc")).unwrap();
    assert_eq!(path, run.path().join("step-00000007"));
    assert_eq!(names(run.path()), [".lock", "latest", "step-00000007"]);
    assert_eq!(fs::read_to_string(run.path().join("latest")).unwrap(), "step-00000007\n");
    let manifest = verify(&path).unwrap();
    assert_eq!(manifest.version, 1);
    assert_eq!(manifest.meta["step"], 7);
    assert_eq!(manifest.meta["epoch"], 2);
    assert_eq!(manifest.files.keys().collect::<Vec<_>>(), ["model.bin", "more/state.json"]);
    assert_eq!(manifest.files["model.bin"].size, 3);
    assert_eq!(
        manifest.files["model.bin"].sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // SHA-256 of "abc"
    );
    assert_eq!(run.latest().unwrap(), Some(7));
}

#[test]
fn a_failed_write_leaves_everything_as_it_was() {
    let run = run();
    let before = save(&run, 1);
    let full = |folder: &Path| {
        // A disk that is full, as far as this file can tell.
        std::os::unix::fs::symlink("/dev/full", folder.join("model.safetensors")).unwrap();
        let bytes = vec![0; 1 << 21];
        let tensor = TensorView { name: "w", dtype: Dtype::U8, shape: &[1 << 21], bytes: &bytes };
        write_safetensors(&folder.join("model.safetensors"), &[tensor], &BTreeMap::new())
    };
    let error = run.save_step(2, full).unwrap_err().to_string();
    let start = format!(
        "no space left on device while writing `{}`: ",
        run.path().join(".step-00000002.tmp/model.safetensors").display()
    );
    assert!(error.starts_with(&start), "{error}");
    // A step that exists already is not hurt by a failure to replace it.
    assert!(run.save_step(1, full).is_err());
    assert_eq!(names(run.path()), [".lock", "latest", "step-00000001"]);
    assert_eq!(fs::read_to_string(before.join("model.bin")).unwrap(), "weights of 1");
    assert!(verify(&before).is_ok());
    assert_eq!(run.latest().unwrap(), Some(1));
}

#[test]
fn what_cannot_be_listed_is_not_saved() {
    let run = run();
    let link = |folder: &Path| {
        std::os::unix::fs::symlink("/etc/hostname", folder.join("link")).unwrap();
        Ok::<(), CheckpointError>(())
    };
    let error = run.save_step(2, link).unwrap_err().to_string();
    assert!(error.ends_with("link` cannot be part of a checkpoint: it is a link or a device"));
    assert_eq!(names(run.path()), [".lock"]);
}

#[test]
fn the_callers_own_error_comes_back() {
    #[derive(Debug)]
    struct Own(String);
    impl From<CheckpointError> for Own {
        fn from(error: CheckpointError) -> Self {
            Self(error.to_string())
        }
    }
    let error = run().save_step(2, |_| Err(Own("no tensors".into()))).unwrap_err();
    assert_eq!(error.0, "no tensors");
}

#[test]
fn the_same_step_is_replaced() {
    let run = run();
    save(&run, 5);
    let path = run.save_step(5, |folder| fill(folder, "again")).unwrap();
    assert_eq!(fs::read_to_string(path.join("model.bin")).unwrap(), "again");
    assert_eq!(names(run.path()), [".lock", "latest", "step-00000005"]);
}

#[test]
fn each_kind_of_damage_is_refused_by_name() {
    let run = run();
    let path = save(&run, 3);
    let model = path.join("model.bin");
    let manifest = path.join("MANIFEST.json");
    let (good, text) = (fs::read(&model).unwrap(), fs::read_to_string(&manifest).unwrap());

    let mut flipped = good.clone();
    flipped[4] ^= 1;
    fs::write(&model, &flipped).unwrap();
    assert!(refusal(&path).starts_with("file `model.bin` is damaged: its sha256 is "));

    fs::write(&model, &good[..5]).unwrap();
    assert_eq!(refusal(&path), "file `model.bin` has 5 bytes, MANIFEST.json says 12");

    fs::remove_file(&model).unwrap();
    assert_eq!(refusal(&path), "file `model.bin` is missing");
    fs::write(&model, &good).unwrap();
    assert!(verify(&path).is_ok());

    fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert!(refusal(&path).starts_with("MANIFEST.json is damaged: "));
    fs::write(&manifest, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
    assert_eq!(refusal(&path), "MANIFEST.json has version 9, expected 1");
    fs::write(&manifest, text.replace("model.bin", "../model.bin")).unwrap();
    assert!(refusal(&path).contains("it lists \"../model.bin\", outside of the folder"));

    fs::remove_file(&manifest).unwrap();
    assert_eq!(
        refusal(&path),
        "MANIFEST.json is missing, which is written last: the save was cut short"
    );
    assert_eq!(refusal(&run.path().join("step-00000009")), "it is not a folder");
}

#[test]
fn the_newest_sound_step_is_found_past_damaged_ones() {
    let run = run();
    for step in [10, 200, 30] {
        save(&run, step);
    }
    assert_eq!(run.steps().unwrap(), [10, 30, 200]);
    fs::write(run.step_path(200).join("model.bin"), "weights of 2oo").unwrap();
    fs::remove_file(run.step_path(30).join("MANIFEST.json")).unwrap();
    let (newest, rejected) = run.newest_valid().unwrap();
    assert_eq!(newest, Some(run.step_path(10)));
    let rejected: Vec<String> = rejected.iter().map(|(_, why)| why.to_string()).collect();
    assert!(rejected[0].contains("step-00000200` is refused: file `model.bin`"), "{rejected:?}");
    assert!(rejected[1].contains("step-00000030` is refused: MANIFEST.json is missing"));

    fs::remove_dir_all(run.step_path(10)).unwrap();
    let (newest, rejected) = run.newest_valid().unwrap();
    assert_eq!((newest, rejected.len()), (None, 2));
}

#[test]
fn a_crash_at_any_point_of_a_save_is_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let first = RunFolder::create(dir.path(), "a").unwrap();
    let path = save(&first, 1);
    let root = first.path().to_owned();
    drop(first);
    // Half-written, half-removed, and a half-written small file.
    fs::create_dir(root.join(".step-00000002.tmp")).unwrap();
    fs::write(root.join(".step-00000002.tmp/model.bin"), "wei").unwrap();
    fs::create_dir(root.join(".step-00000000.gone")).unwrap();
    fs::write(root.join(".latest.tmp"), "step-").unwrap();
    let run = RunFolder::create(dir.path(), "a").unwrap();
    assert_eq!(names(&root), [".lock", "latest", "step-00000001"]);
    assert_eq!(run.newest_valid().unwrap().0, Some(path.clone()));
    drop(run);
    // Between the two renames of a replacement: the old step comes back.
    fs::rename(&path, root.join(".step-00000001.old")).unwrap();
    fs::create_dir(root.join(".step-00000001.tmp")).unwrap();
    let run = RunFolder::create(dir.path(), "a").unwrap();
    assert_eq!(run.newest_valid().unwrap().0, Some(path.clone()));
    assert_eq!(names(&root), [".lock", "latest", "step-00000001"]);
    drop(run);
    // After both: the old one goes.
    fs::create_dir(root.join(".step-00000001.old")).unwrap();
    let run = RunFolder::create(dir.path(), "a").unwrap();
    assert_eq!(names(&root), [".lock", "latest", "step-00000001"]);
    assert!(verify(&path).is_ok());
    // A save in progress is none of a reader's business.
    fs::create_dir(root.join(".step-00000002.tmp")).unwrap();
    assert_eq!(RunFolder::open(&root).unwrap().steps().unwrap(), [1]);
    assert!(root.join(".step-00000002.tmp").exists());
    drop(run);
}

#[test]
fn pruning_keeps_the_newest_and_the_best() {
    let run = run();
    for step in 1..=6 {
        save(&run, step);
    }
    run.mark_best(2).unwrap();
    assert_eq!(run.best().unwrap(), Some(2));
    assert_eq!(run.prune(2).unwrap(), [1, 3, 4]);
    assert_eq!(run.steps().unwrap(), [2, 5, 6]);
    assert_eq!(run.prune(0).unwrap(), [5]);
    assert_eq!(run.steps().unwrap(), [2, 6]);
    assert_eq!(run.prune(9).unwrap(), [] as [u64; 0]);
    assert_eq!(names(run.path()), [".lock", "best", "latest", "step-00000002", "step-00000006"]);
    run.mark_best(6).unwrap();
    assert_eq!(run.prune(1).unwrap(), [2]);
}

#[test]
fn damaged_steps_above_the_latest_do_not_push_it_out() {
    let run = run();
    for step in [300, 500, 1000, 1500] {
        save(&run, step);
    }
    for step in [1000, 1500] {
        fs::remove_file(run.step_path(step).join("MANIFEST.json")).unwrap();
    }
    // The run resumes from 500.
    let saved = save(&run, 700);
    assert_eq!(run.prune(2).unwrap(), [300]);
    assert_eq!(run.steps().unwrap(), [500, 700, 1000, 1500]);
    assert_eq!(run.newest_valid().unwrap().0, Some(saved));
}

#[test]
fn hidden_things_of_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let root = RunFolder::create(dir.path(), "a").unwrap().path().to_owned();
    for name in [".cache.tmp", ".mine.old", ".mine.gone"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::write(root.join(".notes.old"), "").unwrap();
    fs::write(root.join(".config.yaml.tmp"), "").unwrap();
    drop(RunFolder::create(dir.path(), "a").unwrap());
    assert_eq!(names(&root), [".cache.tmp", ".lock", ".mine.gone", ".mine.old", ".notes.old"]);
}

#[test]
fn marks_must_name_steps() {
    let run = run();
    let error = run.mark_best(4).unwrap_err().to_string();
    assert!(error.starts_with("there is no checkpoint `") && error.ends_with("step-00000004`"));
    fs::write(run.path().join("best"), "../elsewhere\n").unwrap();
    let error = run.prune(1).unwrap_err().to_string();
    assert!(error.contains("best` should hold the name of a step folder of this run"), "{error}");
    assert!(error.ends_with("found \"../elsewhere\""), "{error}");
}

#[test]
fn one_process_trains_in_a_folder_and_any_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = RunFolder::create(dir.path(), "a").unwrap();
    let error = RunFolder::create(dir.path(), "a").unwrap_err().to_string();
    assert!(
        error.ends_with("a` is in use by another training process; stop it or choose another name")
    );
    assert!(RunFolder::open(first.path()).is_ok());
    drop(first);
    assert!(RunFolder::create(dir.path(), "a").is_ok());
}

#[test]
fn folders_that_cannot_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "a/b", "..", ".a"] {
        let error = RunFolder::create(dir.path(), name).unwrap_err().to_string();
        assert!(error.starts_with(&format!("run name {name:?} is not a plain folder name")));
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RunFolder::create(&file, "a").unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot create `{}/a`: ", file.display())), "{error}");
    let error = RunFolder::open(&dir.path().join("none")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read `") && error.contains("none`: "), "{error}");
}
