//! A child process that is waited for: its words go to a log, a request to stop is passed on.

use anyhow::{Context, Result, bail};
use process::StopSignal;
use signal_hook::consts::SIGINT;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Lines of the log that are shown when a child fails, and how far back they are looked for.
const LAST_LINES: usize = 12;
const LAST_BYTES: u64 = 1 << 14;
/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// How waiting for a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It did what it was to do.
    Well,
    /// It was stopped, or not even started, as `stop` asked.
    Stopped,
}

/// Runs `command` to its end, with what it says appended to `log`. Once `stop` is asked for, so is
/// the child, which may save what it has.
///
/// # Errors
/// When it cannot be started or fails: with the command and the end of the log.
pub(super) fn run(mut command: Command, log: &Path, stop: &StopSignal) -> Result<Ended> {
    if stop.asked() {
        return Ok(Ended::Stopped);
    }
    let words = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write `{}`", log.display()))?;
    let start = words.metadata().map_or(0, |file| file.len());
    let copy = words.try_clone().with_context(|| format!("cannot write `{}`", log.display()))?;
    command.stdin(Stdio::null()).stdout(copy).stderr(words);
    // A group of its own: Ctrl-C reaches this process alone, which passes it on once.
    command.process_group(0);
    process::die_with_parent(&mut command);
    let mut child =
        command.spawn().with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let mut told = false;
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child process")? {
            break status;
        }
        if stop.asked() && !told {
            // One that has just ended needs no signal.
            let _ = process::kill_group(child.id(), SIGINT);
            told = true;
        }
        std::thread::sleep(POLL);
    };
    if told {
        return Ok(Ended::Stopped);
    }
    if !status.success() {
        bail!(
            "`{}` {}; `{}` ends:\n{}",
            shown(&command),
            in_words(status),
            log.display(),
            tail(log, start)
        );
    }
    Ok(Ended::Well)
}

fn in_words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            format!("was killed by signal {}", crate::launch::in_words(signal))
        }
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended".into(),
    }
}

/// The command as a shell takes it.
fn shown(command: &Command) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:@+".contains(c);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| {
        let word = word.to_string_lossy();
        let bare = !word.is_empty() && word.chars().all(plain);
        if bare { word.into_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The last lines that a child wrote into `log`, which was `start` bytes long before.
fn tail(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(LAST_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_the_command_and_its_last_words_alone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let log = dir.path().join("log");
        let stop = StopSignal::never();
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            run(command, &log, &stop)
        };
        assert_eq!(shell("echo fine").expect("it succeeds"), Ended::Well);
        let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo $i >&2; done; exit 7";
        let message = shell(script).expect_err("it fails").to_string();
        assert!(message.starts_with(&format!("`sh -c '{script}'` exited with status 7;")));
        assert!(
            message.ends_with(
                " ends:\n  2\n  3\n  4\n  5\n  6\n  7\n  8\n  9\n  10\n  11\n  12\n  13"
            )
        );
        let message = shell("kill -9 $$").expect_err("it dies").to_string();
        assert!(message.contains("was killed by signal 9 (SIGKILL)"), "{message}");
        assert!(!message.contains("13"), "not the words of the one before: {message}");
        let text = std::fs::read_to_string(&log).expect("written");
        assert!(text.starts_with("fine\n1\n"), "{text}");
    }
}
