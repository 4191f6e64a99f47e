//! `vlclip launch` as a user sees it; what it does with processes that die or hang is tested beside
//! the supervisor.

use crate::support::{TinyRun, command, refused, text, vlclip};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Calls `found` until it finds something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_process_prints_whole_under_its_name() {
    let config = ["config", "show", "configs/quickstart.yaml"];
    let plain = vlclip(&config);
    let output = vlclip(&[&["launch", "--nproc-per-node", "2", "--"][..], &config].concat());
    assert!(output.status.success(), "{}", text(&output));
    let (plain, printed) = (String::from_utf8(plain.stdout), String::from_utf8(output.stdout));
    let (plain, printed) = (plain.unwrap(), printed.unwrap());
    assert!(plain.lines().count() > 20, "{plain}");
    for rank in [0, 1] {
        let prefix = format!("[rank {rank}] ");
        let of_rank: Vec<_> = printed.lines().filter_map(|l| l.strip_prefix(&prefix)).collect();
        assert_eq!(of_rank, plain.lines().collect::<Vec<_>>());
    }
    assert_eq!(printed.lines().count(), 2 * plain.lines().count());
}

#[test]
fn a_failure_is_told_with_the_rank_and_its_exit_code() {
    let check = ["--", "config", "check", "nosuch.yaml"];
    let output = vlclip(&[&["launch", "--nproc-per-node", "2"][..], &check].concat());
    let text = refused(&output);
    for rank in [0, 1] {
        let line = format!("[rank {rank}] error: cannot read the configuration file `nosuch.yaml`");
        assert!(text.contains(&line), "{text}");
    }
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("error: rank ") && last.contains("exited with status 1"), "{text}");

    // clap's own exit code comes through.
    let output = vlclip(&["launch", "--nproc-per-node", "1", "--", "train", "--nosuch"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn threads_are_shared_out_unless_the_user_did() {
    let launch = ["launch", "--nproc-per-node", "2", "--", "config", "schema"];
    let output = command(&launch).env_remove("OMP_NUM_THREADS").output().unwrap();
    let said = text(&output).matches("OMP_NUM_THREADS=").count();
    assert_eq!(said, 1, "{}", text(&output));
    let output = command(&launch).env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success() && !text(&output).contains("OMP_NUM_THREADS"));
}

#[test]
fn what_cannot_be_launched_is_refused() {
    let two = ["--nproc-per-node", "2"];
    let nodes = [&two[..], &["--nnodes", "2"]].concat();
    let train = ["--", "train", "configs/quickstart.yaml"];
    for (args, expected) in [
        ([&two[..], &["--", "launch"]].concat(), "a launch cannot start another one"),
        ([&two[..], &["--", "python"]].concat(), "`-- python`: expected a command of vlclip"),
        ([&nodes[..], &train].concat(), "--node-rank: expected a number from 0 to 1"),
        (
            [&nodes[..], &["--node-rank", "2", "--rdzv", "a:1"], &train].concat(),
            "--node-rank 2: expected a number from 0 to 1, as --nnodes is 2",
        ),
        ([&nodes[..], &["--node-rank", "1"], &train].concat(), "--rdzv: expected HOST:PORT"),
    ] {
        let text = refused(&vlclip(&[&["launch"][..], &args].concat()));
        assert!(text.contains(expected), "{text}");
    }
    for (args, expected) in [
        (vec!["--nproc-per-node", "0", "--", "train"], "expected `auto` or a number from 1"),
        (vec!["--nproc-per-node", "2"], "COMMAND"),
        (vec!["--nproc-per-node", "2", "--"], "COMMAND"),
        (vec!["--nproc-per-node", "2", "--rdzv", "a", "--", "train"], "expected HOST:PORT such as"),
    ] {
        let output = vlclip(&[&["launch"][..], &args].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
    let output = command(&["launch", "--nproc-per-node", "auto", "--", "config", "schema"])
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap();
    let text = refused(&output);
    assert!(text.contains("--nproc-per-node auto: expected GPUs to count"), "{text}");
}

/// A launched run of one process that has made some steps: the launcher and the process's id.
fn launched(run: &TinyRun) -> (std::process::Child, u32) {
    let mut launch = command(&["launch", "--nproc-per-node", "1", "--", "train"]);
    launch.arg(run.dir.path().join("run.yaml")).args(["--set", "duration={steps: 100000}"]);
    let err = run.dir.path().join("launch.err");
    launch.env("OMP_NUM_THREADS", "1").stdout(Stdio::null());
    let child = launch.stderr(std::fs::File::create(&err).unwrap()).spawn().unwrap();
    let pid = wait_for("the process's id", || {
        let text = std::fs::read_to_string(&err).unwrap();
        let (_, after) = text.split_once("started rank 0 (pid ")?;
        after.split_once(')')?.0.parse().ok()
    });
    wait_for("a checkpoint", || run.folder().join("latest").is_file().then_some(()));
    (child, pid)
}

/// Whether a process runs; one that waits to be reaped does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    let state = |stat: String| stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
    stat.ok().and_then(state) == Some(false)
}

#[test]
fn sigterm_saves_the_run_though_the_launcher_passes_it_on() {
    let run = TinyRun::new();
    let (mut launcher, pid) = launched(&run);
    assert!(runs(pid));
    // To both, as SLURM and systemd do: the process is asked twice, and still saves.
    let both = [launcher.id(), pid].map(|pid| pid.to_string());
    let asked = Command::new("kill").arg("-TERM").args(both).status().unwrap();
    assert!(asked.success());
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
    assert!(!runs(pid));
    let said = std::fs::read_to_string(run.dir.path().join("launch.err")).unwrap();
    assert!(said.contains("signal 15 (SIGTERM) passed on to rank 0"), "{said}");
    assert!(said.contains("[rank 0] stopping after this step with a checkpoint"), "{said}");
}

#[test]
fn a_killed_launcher_leaves_no_process_behind() {
    let run = TinyRun::new();
    let (mut launcher, pid) = launched(&run);
    assert!(runs(pid));
    launcher.kill().unwrap(); // SIGKILL
    launcher.wait().unwrap();
    wait_for("the process's end", || (!runs(pid)).then_some(()));
}
