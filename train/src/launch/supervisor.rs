//! Watches over the processes of a run: passes signals on, ends all when one fails, starts anew.

use super::layout::Layout;
use super::output::Console;
use super::signals;
use super::workers::{End, Workers};
use process::SAME_REQUEST;
use signal_hook::consts::SIGKILL;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often the processes are looked after.
const TICK: Duration = Duration::from_millis(50);

/// What to start on this machine, and what to do when it fails.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The program, the same for every rank.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Which ranks it holds.
    pub layout: Layout,
    /// Threads of each process (`OMP_NUM_THREADS`). None leaves it as it is.
    pub omp_threads: Option<usize>,
    /// How long the others may go on when one has failed; then they are killed.
    pub grace: Duration,
    /// How often all of them are started anew after a failure.
    pub max_restarts: u32,
}

/// How one start of all processes ended.
enum Ended {
    /// All of them well, some perhaps because they were asked to stop.
    Well,
    /// By a second signal to stop, this one.
    Killed(i32),
    /// By the failure of this one first. `stopping`: a signal had asked them to stop, or did since.
    Failed { first: End, stopping: bool },
}

impl Supervisor {
    /// Starts the processes and watches over them until they are done; `stop` gives the signals that
    /// ask them to stop. Returns the exit status: 0, that of the rank that failed first, or 128 and
    /// the signal that killed it. Call it from the main thread: the processes die with its caller.
    ///
    /// # Errors
    /// When a process cannot be started or watched; the others are killed.
    pub fn run(&self, console: &Arc<Console>, stop: &Receiver<i32>) -> io::Result<u8> {
        let mut restarts = 0;
        loop {
            let (first, stopping) = match self.once(restarts, console, stop)? {
                Ended::Well => return Ok(0),
                Ended::Killed(signal) => return Ok(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
                Ended::Failed { first, stopping } => (first, stopping),
            };
            let again = restarts < self.max_restarts && !stopping && stop.try_recv().is_err();
            let kind = if again { "warning" } else { "error" };
            let advice = match first.signal() {
                Some(SIGKILL) => "; if nobody did that, memory ran out: see `dmesg`",
                Some(_) => "",
                None => "; what it or another rank printed above says why",
            };
            console.say(&format!("{kind}: {}, the first to fail{advice}", first.in_words()));
            if !again {
                return Ok(first.code());
            }
            restarts += 1;
            let of = self.max_restarts;
            console
                .say(&format!("restart {restarts} of {of}: all ranks, from the newest checkpoint"));
        }
    }

    /// Starts all processes once and waits until none is left.
    fn once(
        &self,
        restarts: u32,
        console: &Arc<Console>,
        stop: &Receiver<i32>,
    ) -> io::Result<Ended> {
        let meeting = self.layout.meet()?;
        let command = |local_rank| {
            let mut command = Command::new(&self.program);
            command.args(&self.args);
            self.layout.tell(&mut command, local_rank, &meeting, restarts);
            if let Some(threads) = self.omp_threads {
                command.env("OMP_NUM_THREADS", threads.to_string());
            }
            command
        };
        let mut workers = Workers::start(&self.layout, console, command)?;
        let (ranks, pids) = (named(&workers.running()), listed(&workers.pids()));
        console.say(&format!("started {ranks} (pid {pids}), meeting at {meeting}"));

        let mut stopping: Option<Instant> = None; // since when
        let mut failed: Option<(End, Instant)> = None; // the first, and when the others must be gone
        loop {
            match stop.recv_timeout(TICK) {
                Ok(_) if stopping.is_some_and(|since| since.elapsed() < SAME_REQUEST) => {}
                Ok(signal) => {
                    let (name, ranks) = (signals::in_words(signal), named(&workers.running()));
                    if stopping.is_some() {
                        console.say(&format!("second signal, {name}: killing {ranks}"));
                        workers.kill()?;
                        return Ok(Ended::Killed(signal));
                    }
                    stopping = Some(Instant::now());
                    workers.signal(signal);
                    let text = format!("signal {name} passed on to {ranks}; a second one kills");
                    console.say(&text);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            }
            for end in workers.ended()?.into_iter().filter(|end| !end.success()) {
                console.say(&end.in_words());
                failed.get_or_insert_with(|| (end, Instant::now() + self.grace));
                if !workers.running().is_empty() && failed.is_some_and(|(first, _)| first == end) {
                    let (ranks, grace_s) = (named(&workers.running()), self.grace.as_secs());
                    console.say(&format!("waiting up to {grace_s} s for {ranks} to end"));
                }
            }
            match failed {
                Some((first, gone)) if workers.running().is_empty() || Instant::now() >= gone => {
                    if !workers.running().is_empty() {
                        console.say(&format!("killing {}", named(&workers.running())));
                        workers.kill()?;
                    }
                    return Ok(Ended::Failed { first, stopping: stopping.is_some() });
                }
                None if workers.running().is_empty() => return Ok(Ended::Well),
                _ => {}
            }
        }
    }
}

/// `rank 2` or `ranks 0, 2, 3`.
fn named(ranks: &[usize]) -> String {
    format!("{} {}", if ranks.len() == 1 { "rank" } else { "ranks" }, listed(ranks))
}

fn listed(numbers: &[impl ToString]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
pub mod tests;
