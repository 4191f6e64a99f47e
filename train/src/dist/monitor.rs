//! Notices within seconds that a process of the run failed, died or stalled, and ends all of them
//! with one reason.
//!
//! Every rank holds a connection to rank 0 and sends a sign of life each second; rank 0 answers in
//! kind. A closed connection means a dead process, silence means a stalled one. Rank 0 decides on
//! the reason and tells all; if rank 0 is the one that died, every rank finds out by itself. The
//! threads here are apart from the main one, which may hang in an exchange of tensors.

use super::state::{State, lock};
use super::wire::{Beat, Ear, Heard, Mouth, ToHub, ToPeer, Verdict};
use anyhow::{Context, Result, bail, ensure};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long the reason of a failed exchange is waited for before this rank gives its own.
const REASON: Duration = Duration::from_secs(3);

/// Time between two signs of life.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches over the processes of a run.
#[derive(Debug)]
pub struct Monitor {
    rank: usize,
    state: Arc<State>,
    role: Role,
    silence: Duration,
}

#[derive(Debug)]
enum Role {
    Hub(Arc<Vec<Peer>>),
    Peer(Arc<Mouth>),
}

/// A rank as rank 0 knows it.
#[derive(Debug)]
struct Peer {
    rank: usize,
    process: String,
    mouth: Mouth,
    last: Mutex<Beat>,
    gone: AtomicBool,
}

impl Monitor {
    /// Rank 0: waits up to `timeout` for the other `world - 1` ranks on `listener`. A rank that is
    /// silent for `silence` counts as stalled.
    pub fn serve(
        listener: &TcpListener,
        token: u64,
        world: usize,
        timeout: Duration,
        silence: Duration,
    ) -> Result<Self> {
        let state = Arc::new(State::new(0, 0));
        let mut peers = Vec::new();
        let mut ears = Vec::new();
        listener.set_nonblocking(true)?;
        let until = Instant::now() + timeout;
        while peers.len() + 1 < world {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    if let Some((peer, ear)) = greet(stream, token, silence)? {
                        peers.push(peer);
                        ears.push(ear);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    ensure!(
                        Instant::now() < until,
                        "{} of {world} ranks came within {} s (dist.timeout_s): start all of them",
                        peers.len() + 1,
                        timeout.as_secs()
                    );
                    thread::sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(e).context("cannot accept the connection of a rank"),
            }
        }
        let peers = Arc::new(peers);
        for (index, ear) in ears.into_iter().enumerate() {
            let (peers, state) = (Arc::clone(&peers), Arc::clone(&state));
            spawn("rank watcher", move || watch(&peers, index, ear, &state, silence))?;
        }
        let (all, watched) = (Arc::clone(&peers), Arc::clone(&state));
        spawn("signs of life", move || {
            while !watched.left.load(SeqCst) && watched.verdict().is_none() {
                all.iter().for_each(|peer| peer.mouth.say(&ToPeer::Beat));
                thread::sleep(INTERVAL);
            }
        })?;
        Self::started(0, state, Role::Hub(peers), silence)
    }

    /// Any other rank: connects to rank 0.
    pub fn connect(
        address: &str,
        token: u64,
        rank: usize,
        local_rank: usize,
        timeout: Duration,
        silence: Duration,
    ) -> Result<Self> {
        let stream = reach(address, timeout)?;
        let mouth = Arc::new(Mouth::new(stream.try_clone()?, silence)?);
        let mut ear = Ear::new(stream, INTERVAL)?;
        mouth.say(&ToHub::Hello { rank, process: process(), token });
        let state = Arc::new(State::new(rank, local_rank));
        let watched = Arc::clone(&state);
        let address = address.to_owned();
        spawn("rank 0 watcher", move || {
            let ended = |reason: String| watched.end(Verdict { rank: 0, reason, told: false });
            let mut silent = Duration::ZERO;
            loop {
                match ear.hear::<ToPeer>() {
                    Heard::Message(ToPeer::Beat) => silent = Duration::ZERO,
                    Heard::Message(ToPeer::End(verdict)) => {
                        watched.end(verdict);
                        return;
                    }
                    Heard::Message(ToPeer::Done) => return,
                    Heard::Closed => {
                        ended(format!("rank 0 (at {address}) {GONE}"));
                        return;
                    }
                    Heard::Silence => {
                        silent += INTERVAL;
                        if silent >= silence {
                            ended(format!("rank 0 (at {address}) {}", quiet(silence)));
                            return;
                        }
                    }
                }
            }
        })?;
        let (speaker, watched) = (Arc::clone(&mouth), Arc::clone(&state));
        spawn("signs of life", move || {
            while !watched.left.load(SeqCst) && watched.verdict().is_none() {
                speaker.say(&ToHub::Beat(watched.beat()));
                thread::sleep(INTERVAL);
            }
        })?;
        Self::started(rank, state, Role::Peer(mouth), silence)
    }

    fn started(rank: usize, state: Arc<State>, role: Role, silence: Duration) -> Result<Self> {
        let watched = Arc::clone(&state);
        spawn("end of the run", move || watched.execute())?;
        Ok(Self { rank, state, role, silence })
    }

    /// Where this process stands, for the others' messages.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// This rank cannot go on: ends the run with `reason` on all ranks.
    pub fn fail(&self, reason: &str) {
        let reason_here = format!("rank {}: {reason}", self.rank);
        let verdict = Verdict { rank: self.rank, reason: reason_here, told: true };
        self.state.ends_by_itself();
        if self.state.verdict().is_some() {
            return;
        }
        match &self.role {
            Role::Hub(peers) => declare(peers, &self.state, verdict),
            Role::Peer(mouth) => mouth.say(&ToHub::Fail(reason.to_owned())),
        }
    }

    /// The reason behind an exchange that failed here with `error`: the other ranks' if there is one.
    pub fn reason(&self, error: &str) -> Option<Verdict> {
        if let Some(verdict) = self.state.wait(REASON) {
            return Some(verdict);
        }
        match &self.role {
            Role::Hub(peers) => {
                declare(peers, &self.state, laggard(peers, &self.state.beat(), 0, error));
            }
            Role::Peer(mouth) => mouth.say(&ToHub::Late(error.to_owned())),
        }
        self.state.wait(self.silence + REASON)
    }

    /// All ranks are through: from here on nobody's end is a failure.
    pub fn leave(&self) {
        self.state.left.store(true, SeqCst);
        match &self.role {
            Role::Hub(peers) => peers.iter().for_each(|peer| peer.mouth.say(&ToPeer::Done)),
            Role::Peer(mouth) => mouth.say(&ToHub::Done),
        }
    }
}

impl Drop for Monitor {
    /// Rank 0 stays until the others have heard the reason, which a closed connection could cut off.
    fn drop(&mut self) {
        if let (Role::Hub(peers), Some(_)) = (&self.role, self.state.verdict()) {
            let until = Instant::now() + REASON;
            while Instant::now() < until && !peers.iter().all(|peer| peer.gone.load(SeqCst)) {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

const GONE: &str = "ended without a word: killed, out of memory or crashed; its own output and the \
                    kernel's log may say more";

fn quiet(silence: Duration) -> String {
    format!(
        "gave no sign of life for {} s (dist.heartbeat_s): its process is stopped or its machine \
         hangs",
        silence.as_secs()
    )
}

/// Takes a rank's first message; `None` if it is a stranger.
fn greet(stream: TcpStream, token: u64, silence: Duration) -> Result<Option<(Peer, Ear)>> {
    let mouth = Mouth::new(stream.try_clone()?, silence)?;
    let mut ear = Ear::new(stream, silence)?;
    let Heard::Message(ToHub::Hello { rank, process, token: said }) = ear.hear() else {
        return Ok(None);
    };
    if said != token {
        return Ok(None);
    }
    ear.set_interval(INTERVAL)?;
    let (last, gone) = (Mutex::default(), AtomicBool::new(false));
    Ok(Some((Peer { rank, process, mouth, last, gone }, ear)))
}

/// Follows one rank until it is through or gone.
fn watch(peers: &[Peer], index: usize, mut ear: Ear, state: &State, silence: Duration) {
    let peer = &peers[index];
    let rank = peer.rank;
    let name = format!("rank {rank} ({})", peer.process);
    let mut silent = Duration::ZERO;
    loop {
        let mut told = false;
        let reason = match ear.hear::<ToHub>() {
            Heard::Message(ToHub::Beat(beat)) => {
                *lock(&peer.last) = beat;
                silent = Duration::ZERO;
                continue;
            }
            Heard::Message(ToHub::Hello { .. }) => continue,
            Heard::Message(ToHub::Fail(reason)) => {
                told = true;
                format!("rank {rank}: {reason}")
            }
            Heard::Message(ToHub::Late(error)) => {
                declare(peers, state, laggard(peers, &state.beat(), rank, &error));
                continue;
            }
            Heard::Message(ToHub::Done) => {
                peer.gone.store(true, SeqCst);
                return;
            }
            Heard::Silence => {
                silent += INTERVAL;
                if silent < silence {
                    continue;
                }
                format!("{name} {}; last {}", quiet(silence), standing(&lock(&peer.last)))
            }
            Heard::Closed => {
                peer.gone.store(true, SeqCst);
                format!("{name} {GONE}; last {}", standing(&lock(&peer.last)))
            }
        };
        declare(peers, state, Verdict { rank, reason, told });
        if peer.gone.load(SeqCst) || silent >= silence {
            return;
        }
    }
}

/// Rank 0 ends the run.
fn declare(peers: &[Peer], state: &State, verdict: Verdict) {
    let message = ToPeer::End(verdict.clone());
    if state.end(verdict) {
        peers.iter().for_each(|peer| peer.mouth.say(&message));
    }
}

/// The rank that an exchange which failed on rank `found_by` was waiting for: the one that has begun
/// the fewest.
fn laggard(peers: &[Peer], own: &Beat, found_by: usize, error: &str) -> Verdict {
    let mut ranks = vec![(0, own.clone())];
    ranks.extend(peers.iter().map(|peer| (peer.rank, lock(&peer.last).clone())));
    let most = ranks.iter().map(|(_, beat)| beat.exchanges).max().unwrap_or(0);
    match ranks.iter().min_by_key(|(rank, beat)| (beat.exchanges, *rank)) {
        Some((rank, beat)) if beat.exchanges < most => Verdict {
            rank: *rank,
            told: false,
            reason: format!(
                "rank {rank} did not come to exchange {most} of tensors, for which rank {found_by} \
                 waited (dist.timeout_s); last {} ({error})",
                standing(beat)
            ),
        },
        _ => Verdict { rank: found_by, reason: format!("rank {found_by}: {error}"), told: true },
    }
}

fn standing(beat: &Beat) -> String {
    format!("heard of at step {}, {}", beat.step, beat.doing)
}

fn reach(address: &str, timeout: Duration) -> Result<TcpStream> {
    let until = Instant::now() + timeout;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(e) if Instant::now() >= until => {
                bail!("cannot reach rank 0 at {address} within {} s: {e}", timeout.as_secs())
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.into()).spawn(body).context("cannot start a thread")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(exchanges: u64, doing: &str) -> Beat {
        Beat { exchanges, step: 17, doing: doing.into() }
    }

    /// Rank 0 with two others, whose last signs of life are given.
    fn peers(last: [Beat; 2]) -> Vec<Peer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = |(rank, last): (usize, Beat)| Peer {
            rank,
            process: "process 1 on here".into(),
            mouth: Mouth::new(TcpStream::connect(address).unwrap(), INTERVAL).unwrap(),
            last: Mutex::new(last),
            gone: AtomicBool::new(false),
        };
        [1, 2].into_iter().zip(last).map(peer).collect()
    }

    #[test]
    fn the_rank_that_began_the_fewest_exchanges_is_the_late_one() {
        let all = peers([beat(57, "computing gradients"), beat(55, "reading data")]);
        let verdict = laggard(&all, &beat(57, "computing gradients"), 1, "timed out");
        assert_eq!(verdict.rank, 2);
        assert_eq!(
            verdict.reason,
            "rank 2 did not come to exchange 57 of tensors, for which rank 1 waited \
             (dist.timeout_s); last heard of at step 17, reading data (timed out)"
        );
    }

    #[test]
    fn an_exchange_that_all_ranks_came_to_is_told_by_the_one_it_failed_on() {
        let all = peers([beat(57, "evaluating"), beat(57, "evaluating")]);
        let verdict = laggard(&all, &beat(57, "evaluating"), 2, "connection reset");
        assert_eq!((verdict.rank, verdict.reason.as_str()), (2, "rank 2: connection reset"));
    }
}
