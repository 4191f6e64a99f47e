//! The signals that ask the launcher to stop.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::mpsc::{self, Receiver};

/// Every SIGINT and SIGTERM from now on, by number.
///
/// # Errors
/// When the system refuses to install a handler.
pub fn stop_signals() -> io::Result<Receiver<i32>> {
    let (send, receive) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let _ = send.send(signal);
        }
    })?;
    Ok(receive)
}

/// `9 (SIGKILL)`.
pub fn in_words(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => format!("{signal} ({name})"),
        None => signal.to_string(),
    }
}
