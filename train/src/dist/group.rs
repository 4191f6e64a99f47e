//! The processes of a run as the loop sees them: collectives that end in a reason, not in a hang.
//!
//! Without other processes every call here does nothing and costs nothing, so the loop has one form.

use super::env::{Placement, Rendezvous};
use super::monitor::Monitor;
use super::wire::Verdict;
use crate::loss::Ranks;
use anyhow::{Context, Result, bail};
use configs::{Backend, Dist, GradientDtype};
use data::Shard;
use native::{NativeError, ProcessGroup, Reducer, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// How long the others wait for work that rank 0 does for all, such as saving: its death or stall
/// is noticed by the monitor much earlier.
const LEADER_WORK: Duration = Duration::from_secs(7 * 24 * 3600);

/// This process among all of the run.
#[derive(Debug)]
pub struct Group {
    placement: Placement,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    monitor: Monitor,
    group: ProcessGroup,
    _store: Store,
}

/// The run ends because of another rank.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Ended {
    /// What happened, naming the rank.
    pub reason: String,
    /// Whether this process prints the reason. One of each machine does.
    pub speaks: bool,
}

/// That `dist.backend` can exchange the tensors of `device`.
///
/// # Errors
/// When it cannot.
pub fn check_backend(backend: Backend, device: Device) -> Result<()> {
    match (backend, device.is_cuda()) {
        (Backend::Nccl, false) => bail!(
            "dist.backend: nccl exchanges tensors between GPUs, and this run is on the CPU: set \
             dist.backend: auto, or device: cuda"
        ),
        (Backend::Gloo, true) => bail!(
            "dist.backend: gloo exchanges tensors between CPUs, and this run is on GPUs: set \
             dist.backend: auto, or device: cpu"
        ),
        _ => Ok(()),
    }
}

impl Group {
    /// The only process.
    pub fn alone() -> Self {
        let (rank, local_rank, world, local_world) = (0, 0, 1, Some(1));
        let (rendezvous, source) = (None, "one process");
        let placement = Placement { rank, local_rank, world, local_world, rendezvous, source };
        Self { placement, link: None }
    }

    /// Meets the other processes of `placement`; tensors on `device` can be exchanged.
    ///
    /// # Errors
    /// When not all of them come within `dist.timeout_s`, or `dist.backend` does not fit `device`.
    pub fn join(placement: Placement, cfg: &Dist, device: Device) -> Result<Self> {
        check_backend(cfg.backend, device)?;
        let nccl = device.is_cuda();
        let Some(meet) = placement.rendezvous.clone() else {
            return Ok(Self { placement, link: None });
        };
        let (rank, world) = (placement.rank, placement.world);
        let timeout = Duration::from_secs(cfg.timeout_s);
        let silence = Duration::from_secs(cfg.heartbeat_s);
        let at = || {
            format!("rank {rank} of {world} ({}) at {}:{}", placement.source, meet.host, meet.port)
        };

        let store = connect(&meet, rank, world, timeout).with_context(at)?;
        let loopback = is_loopback(&meet.host);
        let monitor = if rank == 0 {
            let token = token();
            let listener = TcpListener::bind((if loopback { "127.0.0.1" } else { "0.0.0.0" }, 0))
                .context("cannot listen for the other ranks")?;
            store.set("monitor", &format!("{} {token}", listener.local_addr()?.port()))?;
            Monitor::serve(&listener, token, world, timeout, silence)
        } else {
            let said = store.get("monitor").with_context(at)?;
            let (port, token) = said.split_once(' ').context("rank 0 says no address")?;
            let address = format!("{}:{port}", meet.host);
            let (token, local_rank) = (token.parse()?, placement.local_rank);
            Monitor::connect(&address, token, rank, local_rank, timeout, silence)
        }
        .with_context(at)?;
        let interface = loopback.then_some("127.0.0.1");
        let group = ProcessGroup::join(&store, rank, world, timeout, interface, nccl);
        let group = match group {
            Ok(group) => group,
            Err(error) => {
                monitor.fail(&error.to_string());
                return Err(error).with_context(at);
            }
        };
        Ok(Self { placement, link: Some(Link { monitor, group, _store: store }) })
    }

    /// Whether this process writes what the run leaves behind.
    pub fn leads(&self) -> bool {
        self.placement.rank == 0
    }

    /// This process's part of the data.
    pub fn shard(&self) -> Shard {
        let Placement { rank, world, local_world, .. } = self.placement;
        // Where nobody says how many share the machine, all of them might.
        Shard { rank, world, local_world: local_world.unwrap_or(world) }
    }

    /// How many processes, in words.
    pub fn describe(&self) -> String {
        match self.placement.world {
            1 => "1 process".to_owned(),
            world => format!("{world} processes ({})", self.placement.source),
        }
    }

    /// Says what this process does, for the others' messages.
    pub fn doing(&self, what: &'static str) {
        if let Some(link) = &self.link {
            *super::state::lock(&link.monitor.state().doing) = what;
        }
    }

    /// Says how many optimiser steps are done.
    pub fn at_step(&self, step: u64) {
        if let Some(link) = &self.link {
            link.monitor.state().step.store(step, SeqCst);
        }
    }

    /// The values of all ranks, ordered by rank. Every rank gives as many.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn gather(&self, mine: &[i64]) -> Result<Vec<i64>> {
        let all = self.exchange(|group| group.all_gather(&Tensor::from_slice(mine)))?;
        Ok(all.map_or_else(|| Ok(mine.to_vec()), |all| Vec::try_from(&all))?)
    }

    /// The bytes of all ranks, ordered by rank; on rank 0 only, nothing elsewhere.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn gather_bytes(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        if self.link.is_none() {
            return Ok(vec![mine]);
        }
        let lengths = self.gather(&[mine.len() as i64])?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = mine;
        padded.resize(usize::try_from(longest)?, 0);
        let parts = self.exchange(|group| group.gather(&Tensor::from_slice(&padded), 0))?;
        let parts = parts.unwrap_or_default().into_iter().zip(lengths);
        parts.map(|(part, len)| Ok(Vec::try_from(&part.narrow(0, 0, len))?)).collect()
    }

    /// Does `work` on rank 0 alone and hands its result to all.
    ///
    /// # Errors
    /// That of `work` on rank 0; elsewhere the reason why rank 0 ended.
    pub fn led<T: Serialize + DeserializeOwned>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.link.is_none() {
            return work();
        }
        let own = if self.leads() { Some(work()?) } else { None };
        let bytes = own.as_ref().map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let length = Tensor::from(bytes.len() as i64);
        self.exchange(|group| group.broadcast(&length, 0, LEADER_WORK))?;
        let told = if self.leads() {
            Tensor::from_slice(&bytes)
        } else {
            Tensor::zeros([i64::try_from(&length)?], (Kind::Uint8, Device::Cpu))
        };
        self.exchange(|group| group.broadcast(&told, 0, LEADER_WORK))?;
        match own {
            Some(own) => Ok(own),
            None => Ok(serde_json::from_slice(&Vec::<u8>::try_from(&told)?)?),
        }
    }

    /// Overwrites tensors with those of rank 0.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn follow_leader<'a>(&self, tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
        for tensor in tensors {
            self.exchange(|group| group.broadcast(tensor, 0, LEADER_WORK))?;
        }
        Ok(())
    }

    /// The least of the ranks' values.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn least(&self, mine: i64) -> Result<i64> {
        let least = Tensor::from_slice(&[mine]);
        self.exchange(|group| group.all_reduce_min(&least))?;
        Ok(least.int64_value(&[0]))
    }

    /// Refuses values that differ between ranks; `what` names them.
    ///
    /// # Errors
    /// Naming the first rank that differs from rank 0.
    pub fn same(&self, what: &str, mine: u64) -> Result<()> {
        let all = self.gather(&[mine.cast_signed()])?;
        let other = all.iter().position(|&value| value != all[0]);
        if let Some(rank) = other {
            bail!("rank {rank} has {what} that rank 0 does not have: give every rank the same");
        }
        Ok(())
    }

    /// Waits for all ranks.
    ///
    /// # Errors
    /// When a rank failed, died, stalled or is later than `dist.timeout_s`: [`Ended`], with the
    /// reason.
    pub fn sum(&self, mine: &Tensor) -> Result<()> {
        self.exchange(|group| group.all_reduce(mine)).map(|_| ())
    }

    /// Sums the gradients of `params`, which are in the order of the forward pass, over all ranks
    /// during the backward pass. `None` with one process.
    ///
    /// # Errors
    /// When the ranks' parameters differ.
    pub fn reducer(&self, params: &[Tensor], dtype: GradientDtype) -> Result<Option<Reducer>> {
        self.exchange(|group| Reducer::new(group, params, dtype == GradientDtype::Bf16))
    }

    /// Runs a collective that was entered elsewhere, such as a backward pass.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn collective<T>(&self, run: impl FnOnce() -> Result<T, NativeError>) -> Result<T> {
        if let Some(link) = &self.link {
            link.monitor.state().exchanges.fetch_add(1, SeqCst);
        }
        run().map_err(|error| self.explain(error))
    }

    /// Tells the other ranks that this one cannot go on, unless the error is theirs.
    pub fn fail(&self, error: &anyhow::Error) {
        if let Some(link) = &self.link
            && error.downcast_ref::<Ended>().is_none()
        {
            link.monitor.fail(&format!("{error:#}"));
        }
    }

    /// Leaves it to rank `reporter` to say why the run ends.
    ///
    /// # Errors
    /// On all ranks but that one, with its reason.
    pub fn yield_to(&self, reporter: usize) -> Result<()> {
        let Some(link) = &self.link else { return Ok(()) };
        if reporter == self.placement.rank {
            return Ok(());
        }
        let silent = format!("rank {reporter} does not say why the run ends");
        let verdict = link.monitor.reason(&silent);
        let unknown = Verdict { rank: reporter, reason: silent, told: false };
        Err(link.ended(verdict.unwrap_or(unknown)))
    }

    /// Ends the run in good order: waits for all ranks, after which nobody's end is a failure.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn leave(&self) -> Result<()> {
        self.sum(&Tensor::from(1i64))?;
        if let Some(link) = &self.link {
            link.monitor.leave();
        }
        Ok(())
    }

    fn exchange<T>(
        &self,
        run: impl FnOnce(&ProcessGroup) -> Result<T, NativeError>,
    ) -> Result<Option<T>> {
        let Some(link) = &self.link else { return Ok(None) };
        self.collective(|| run(&link.group)).map(Some)
    }

    /// The reason behind a failed exchange: another rank's end, if that was it.
    pub fn explain(&self, error: NativeError) -> anyhow::Error {
        let Some(link) = &self.link else { return error.into() };
        match link.monitor.reason(&error.to_string()) {
            Some(verdict) if verdict.rank != self.placement.rank => link.ended(verdict),
            _ => error.into(),
        }
    }
}

impl Link {
    /// The end of this rank because of another.
    fn ended(&self, verdict: Verdict) -> anyhow::Error {
        let state = self.monitor.state();
        state.ends_by_itself();
        Ended { speaks: state.speaks(&verdict), reason: verdict.reason }.into()
    }
}

impl Ranks for Group {
    fn rank(&self) -> usize {
        self.placement.rank
    }

    fn world(&self) -> usize {
        self.placement.world
    }

    fn all_gather(&self, rows: &Tensor) -> Result<Tensor, NativeError> {
        let Some(link) = &self.link else { return Ok(rows.shallow_clone()) };
        link.monitor.state().exchanges.fetch_add(1, SeqCst);
        link.group.all_gather(rows)
    }

    fn all_reduce(&self, sum: &mut Tensor) -> Result<(), NativeError> {
        let Some(link) = &self.link else { return Ok(()) };
        link.monitor.state().exchanges.fetch_add(1, SeqCst);
        link.group.all_reduce(sum)
    }
}

/// The store of this round: with torchrun the agent's, else one that rank 0 serves.
fn connect(meet: &Rendezvous, rank: usize, world: usize, timeout: Duration) -> Result<Store> {
    // A store outlives the processes of a failed round only where an agent serves it; what they left
    // in it must not be found again.
    let prefix = format!("vlclip/{}", meet.generation);
    let (serve, all) = if meet.agent_store { (false, None) } else { (rank == 0, Some(world)) };
    let store = Store::connect(&meet.host, meet.port, serve, all, timeout, &prefix);
    store.context(
        "not all ranks came together: check that all were started, that MASTER_ADDR can be reached \
         from everywhere, and that MASTER_PORT is free",
    )
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A number that a stranger does not guess.
fn token() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
