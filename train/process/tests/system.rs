//! The system calls on processes, on real processes.
#![allow(clippy::unwrap_used)]

use process::{die_with_parent, exit_now, kill, kill_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}

#[test]
fn a_signal_ends_a_process_or_its_whole_group() {
    let mut child = sleeper().spawn().unwrap();
    kill(child.id(), 0).unwrap();
    kill(child.id(), SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));

    // The shell's own child holds the pipe: it closes only if that one dies, too.
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 600 & echo started; wait"]).process_group(0).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "started");
    kill_group(shell.id(), SIGKILL).unwrap();
    assert!(lines.next().is_none());
    assert_eq!(shell.wait().unwrap().signal(), Some(SIGKILL));
}

#[test]
fn numbers_that_mean_many_processes_are_refused() {
    for pid in [0, 1, u32::MAX] {
        let error = kill(pid, 0).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
        kill_group(pid, 0).unwrap_err();
    }
}

#[test]
fn a_child_dies_with_the_thread_that_started_it() {
    let mut child = std::thread::spawn(|| {
        let mut command = sleeper();
        die_with_parent(&mut command);
        command.spawn().unwrap()
    })
    .join()
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it lives on");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.signal(), Some(SIGKILL));
}

/// Set for the copy of this test program that is to leave at once.
const LEAVE: &str = "VLCLIP_TEST_LEAVE";

#[test]
fn leaving_at_once_runs_no_destructor() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            std::process::exit(1);
        }
    }
    if std::env::var_os(LEAVE).is_some() {
        let _loud = Loud;
        exit_now(7);
    }
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", "leaving_at_once_runs_no_destructor"]).env(LEAVE, "1");
    assert_eq!(copy.stdout(Stdio::null()).status().unwrap().code(), Some(7));
}
