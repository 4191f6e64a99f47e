//! SIGINT and SIGTERM: finish what is under way, save, leave.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Signals this soon after the first are the same request by another way: SLURM, systemd and
/// `timeout` signal a launcher and its processes alike, and the launcher passes it on.
pub const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Set once the process was asked to stop.
#[derive(Clone, Debug)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// Starts listening. The first signal asks the run to save and leave, and is answered at once
    /// with `answer`; a second one, more than a second later, ends the process.
    ///
    /// # Errors
    /// When the system refuses to install a handler.
    pub fn listen(answer: &'static str) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first = None;
            for signal in signals.forever() {
                match first {
                    Some(at) if Instant::now() < at + SAME_REQUEST => continue,
                    Some(_) => std::process::exit(128 + signal),
                    None => first = Some(Instant::now()),
                }
                flag.store(true, Ordering::Relaxed);
                let _ = writeln!(io::stderr(), "{answer}; a second signal leaves at once");
            }
        })?;
        Ok(Self(asked))
    }

    /// One that never comes.
    pub fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Becomes true once a signal has come.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Whether a signal has come.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
