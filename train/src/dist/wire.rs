//! What the monitors of two processes say to one another: one JSON value a line over TCP.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

/// Why a run ends before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rank to blame.
    pub rank: usize,
    /// What happened to it, naming the rank.
    pub reason: String,
    /// Whether the rank says so itself; else it was found dead or stalled.
    pub told: bool,
}

/// Where a process stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Exchanges of tensors begun so far.
    pub exchanges: u64,
    /// Optimiser steps done.
    pub step: u64,
    /// What it does, such as `reading data`.
    pub doing: String,
}

/// From a rank to rank 0.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToHub {
    /// The first message.
    Hello {
        /// Who speaks.
        rank: usize,
        /// Process id and machine, for people.
        process: String,
        /// What rank 0 published with its address, so that a stranger is not taken for a rank.
        token: u64,
    },
    /// A sign of life.
    Beat(Beat),
    /// This rank cannot go on.
    Fail(String),
    /// An exchange failed on this rank, for want of another.
    Late(String),
    /// This rank is through.
    Done,
}

/// From rank 0 to a rank.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToPeer {
    /// A sign of life.
    Beat,
    /// The run ends.
    End(Verdict),
    /// Rank 0 is through.
    Done,
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Ear {
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
}

/// What was heard within one interval.
#[derive(Debug)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// Nothing.
    Silence,
    /// The other end is closed or speaks no message of ours.
    Closed,
}

impl Ear {
    /// Listens on `stream`, `interval` at a time.
    pub fn new(stream: TcpStream, interval: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(interval))?;
        Ok(Self { reader: BufReader::new(stream), line: Vec::new() })
    }

    /// Changes how long [`Ear::hear`] listens.
    pub fn set_interval(&self, interval: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(interval))
    }

    /// The next message, if it comes within one interval.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Heard<T> {
        match self.reader.read_until(b'\n', &mut self.line) {
            Ok(0) => Heard::Closed,
            Ok(_) => {
                let message = serde_json::from_slice(&self.line);
                self.line.clear();
                message.map_or(Heard::Closed, Heard::Message)
            }
            // What came of a line stays in `self.line`.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Heard::Silence
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Heard::Silence,
            Err(_) => Heard::Closed,
        }
    }
}

/// The writing half of a connection, shared by threads.
#[derive(Debug)]
pub struct Mouth(Mutex<TcpStream>);

impl Mouth {
    /// Speaks on `stream`; a listener that takes nothing for `patience` counts as gone.
    pub fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self(Mutex::new(stream)))
    }

    /// Sends a message. That a listener has gone is noticed by the reading half.
    pub fn say(&self, message: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(message) else { return };
        line.push(b'\n');
        let mut stream = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = stream.write_all(&line);
    }
}
