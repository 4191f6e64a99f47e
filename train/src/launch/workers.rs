//! The processes of one start: started together, watched, signalled, never left behind.

use super::layout::Layout;
use super::output::{Console, Stream};
use super::signals;
use signal_hook::consts::SIGKILL;
use std::convert::Infallible;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// How long the last lines of an ended process are waited for: a process that it started may hold
/// its streams open.
const LAST_LINES: Duration = Duration::from_secs(1);

/// One process.
#[derive(Debug)]
struct Worker {
    rank: usize,
    child: Child,
    ended: bool,
    /// Closed when all that it printed was passed on.
    printed: Receiver<Infallible>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Over all machines.
    pub rank: usize,
    pid: u32,
    status: ExitStatus,
}

impl End {
    /// Whether it ended well.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit status as a shell gives it: 128 and the signal if a signal killed it.
    pub fn code(&self) -> u8 {
        let killed = self.status.signal().map(|signal| 128 + signal);
        killed.or(self.status.code()).and_then(|code| code.try_into().ok()).unwrap_or(u8::MAX)
    }

    /// The signal that killed it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// `rank 2 (pid 123) was killed by signal 9 (SIGKILL)`.
    pub fn in_words(&self) -> String {
        let Self { rank, pid, .. } = self;
        match self.signal() {
            Some(signal) => {
                let signal = signals::in_words(signal);
                format!("rank {rank} (pid {pid}) was killed by signal {signal}")
            }
            None => format!("rank {rank} (pid {pid}) exited with status {}", self.code()),
        }
    }
}

/// All processes of one start. Those that still run when it is dropped are killed.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

impl Workers {
    /// Starts a process per local rank with the command that `command` makes for it. They die with
    /// the thread that calls this.
    ///
    /// # Errors
    /// When one cannot be started; those started before are killed.
    pub fn start(
        layout: &Layout,
        console: &Arc<Console>,
        command: impl Fn(usize) -> Command,
    ) -> io::Result<Self> {
        let mut workers = Self(Vec::new());
        for local_rank in 0..layout.local_world {
            let rank = layout.rank(local_rank);
            let mut command = command(local_rank);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            // A group of its own: Ctrl-C reaches the launcher alone, which passes it on once.
            command.process_group(0);
            process::die_with_parent(&mut command);
            let mut child = command.spawn()?;
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let (holder, printed) = mpsc::channel();
            workers.0.push(Worker { rank, child, ended: false, printed });
            relay(console, rank, out, Stream::Out, holder.clone())?;
            relay(console, rank, err, Stream::Err, holder)?;
        }
        Ok(workers)
    }

    /// The processes that ended since the last call, likely causes first: one killed by a signal
    /// before those that gave up because of it.
    ///
    /// # Errors
    /// When the system refuses to say.
    pub fn ended(&mut self) -> io::Result<Vec<End>> {
        let mut ends = Vec::new();
        for worker in self.0.iter_mut().filter(|worker| !worker.ended) {
            let Some(status) = worker.child.try_wait()? else { continue };
            worker.ended = true;
            let _ = worker.printed.recv_timeout(LAST_LINES);
            ends.push(End { rank: worker.rank, pid: worker.child.id(), status });
        }
        ends.sort_by_key(|end| (end.signal().is_none(), end.rank));
        Ok(ends)
    }

    /// The process ids, by rank.
    pub fn pids(&self) -> Vec<u32> {
        self.0.iter().map(|worker| worker.child.id()).collect()
    }

    /// The ranks that still run.
    pub fn running(&self) -> Vec<usize> {
        self.0.iter().filter(|worker| !worker.ended).map(|worker| worker.rank).collect()
    }

    /// Kills those that still run, stopped ones too, and passes on their last lines.
    ///
    /// # Errors
    /// When the system refuses to say whether they ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(SIGKILL);
        while !self.running().is_empty() {
            self.ended()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends a signal to every process that runs and to those that it started.
    pub fn signal(&self, signal: i32) {
        for worker in self.0.iter().filter(|worker| !worker.ended) {
            // One that has just ended needs none.
            let _ = process::kill_group(worker.child.id(), signal);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.signal(SIGKILL);
        for worker in self.0.iter_mut().filter(|worker| !worker.ended) {
            let _ = worker.child.wait();
        }
    }
}

/// Passes on one stream of a process in a thread of its own, which holds `holder` meanwhile.
fn relay(
    console: &Arc<Console>,
    rank: usize,
    from: Option<impl Read + Send + 'static>,
    to: Stream,
    holder: Sender<Infallible>,
) -> io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let console = Arc::clone(console);
    std::thread::Builder::new().name(format!("rank {rank}")).spawn(move || {
        console.relay(rank, from, to);
        drop(holder);
    })?;
    Ok(())
}
