//! Which process of how many this one is, as the program that started it says by environment
//! variables. Nothing here opens a connection.

use super::hostlist::first_host;
use super::variables::{PlacementError, Variables, below, refused};

/// The port that PyTorch's launchers use when none is given.
const DEFAULT_PORT: u16 = 29500;

/// This process among all processes of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// From 0, over all machines.
    pub rank: usize,
    /// From 0, on this machine: the GPU to take.
    pub local_rank: usize,
    /// Number of processes of the run.
    pub world: usize,
    /// Number of processes on this machine, where the launcher says it.
    pub local_world: Option<usize>,
    /// Where the processes meet. None exactly if `world` is 1.
    pub rendezvous: Option<Rendezvous>,
    /// Who said so: `torchrun`, `SLURM`, `Open MPI`, `environment` or `one process`.
    pub source: &'static str,
}

/// Where the processes of a run meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendezvous {
    /// Name or address of the machine.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the launcher serves a store at the port, which outlives restarts: then every rank
    /// joins as a client. Otherwise rank 0 serves it.
    pub agent_store: bool,
    /// How often this machine's launcher has started the processes anew. torchrun counts only the
    /// failures on its own machine, so machines may disagree.
    pub generation: String,
}

impl Placement {
    /// Reads the placement from the environment that `env` looks names up in; an empty value counts
    /// as none. The first that applies:
    ///
    /// 1. `RANK` and its companions: torchrun, Kubernetes' `PyTorchJob`, `vlclip launch`;
    /// 2. Open MPI, before SLURM because `mpirun` inside a SLURM job passes on the variables of
    ///    SLURM that describe its own daemons;
    /// 3. SLURM, in a step that `srun` started: a program in the batch script itself is one process,
    ///    whatever `SLURM_NTASKS` says;
    /// 4. one process.
    ///
    /// # Errors
    /// When variables are half set, cannot be read, or contradict one another.
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Result<Self, PlacementError> {
        let env = Variables(env);
        if env.text("RANK").is_some() {
            return env.stated();
        }
        let found = if env.text("OMPI_COMM_WORLD_SIZE").is_some() {
            Some(env.open_mpi()?)
        } else if env.text("SLURM_STEP_ID").is_some() {
            env.slurm()?
        } else {
            None
        };
        // Batch scripts often export WORLD_SIZE and leave the ranks to SLURM.
        if let Some(stated) = env.number("WORLD_SIZE")? {
            let world = found.as_ref().map_or(1, |found| found.world);
            if stated != world {
                return Err(PlacementError {
                    variable: "RANK",
                    expected: format!("a number below WORLD_SIZE ({stated})"),
                    found: match &found {
                        Some(found) => format!("none, and {} has {world} processes", found.source),
                        None => "none".into(),
                    },
                    advice: "set RANK for every process (`vlclip launch` and torchrun do), or \
                             unset WORLD_SIZE"
                        .into(),
                });
            }
        }
        let (local_world, source) = (Some(1), "one process");
        let rendezvous = None;
        let alone = Self { rank: 0, local_rank: 0, world: 1, local_world, rendezvous, source };
        Ok(found.unwrap_or(alone))
    }
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// What torchrun and its like state.
    fn stated(&self) -> Result<Placement, PlacementError> {
        let advice = "set it, or start the processes with `vlclip launch` or torchrun";
        let world = self.required_number("WORLD_SIZE", advice)?;
        let rank = self.required_number("RANK", advice)?;
        below("RANK", rank, "WORLD_SIZE", world)?;
        let local_world = self.number("LOCAL_WORLD_SIZE")?;
        // PyTorchJob states no local rank: a pod is one process.
        let local_rank = match (self.number("LOCAL_RANK")?, local_world) {
            (None, None | Some(1)) => 0,
            _ => self.required_number("LOCAL_RANK", advice)?,
        };
        match local_world {
            Some(size) => below("LOCAL_RANK", local_rank, "LOCAL_WORLD_SIZE", size)?,
            None => below("LOCAL_RANK", local_rank, "WORLD_SIZE", world)?,
        }
        if let Some(size) = local_world.filter(|&size| size > world) {
            let expected = format!("at most WORLD_SIZE ({world})");
            let advice = "correct one of the two";
            return Err(refused("LOCAL_WORLD_SIZE", &expected, &size.to_string(), advice));
        }
        let rendezvous = self.rendezvous(world, |env| env.master_addr("set it"), |_| Ok(None))?;
        let torchrun = self.text("TORCHELASTIC_RUN_ID").is_some();
        let source = if torchrun { "torchrun" } else { "environment" };
        Ok(Placement { rank, local_rank, world, local_world, rendezvous, source })
    }

    fn open_mpi(&self) -> Result<Placement, PlacementError> {
        let number =
            |name| self.required_number(name, "start the program with Open MPI's `mpirun`");
        let world = number("OMPI_COMM_WORLD_SIZE")?;
        let rank = number("OMPI_COMM_WORLD_RANK")?;
        let local_world = number("OMPI_COMM_WORLD_LOCAL_SIZE")?;
        let local_rank = number("OMPI_COMM_WORLD_LOCAL_RANK")?;
        below("OMPI_COMM_WORLD_RANK", rank, "OMPI_COMM_WORLD_SIZE", world)?;
        let size = "OMPI_COMM_WORLD_LOCAL_SIZE";
        below("OMPI_COMM_WORLD_LOCAL_RANK", local_rank, size, local_world)?;
        let one_machine = local_world == world;
        let host = |env: &Self| match env.master_addr("pass it on with `mpirun -x MASTER_ADDR`") {
            Err(_) if one_machine => Ok("127.0.0.1".into()),
            found => found,
        };
        let port = |env: &Self| {
            let job = env.text(env.first_set(["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"]));
            Ok(job.filter(|_| one_machine).map(|job| port_of(fnv1a(&job))))
        };
        let rendezvous = self.rendezvous(world, host, port)?;
        let (local_world, source) = (Some(local_world), "Open MPI");
        Ok(Placement { rank, local_rank, world, local_world, rendezvous, source })
    }

    /// None in a step that `srun` did not start.
    fn slurm(&self) -> Result<Option<Placement>, PlacementError> {
        let number = |name| self.required_number(name, "start the program with `srun`");
        let step = number("SLURM_STEP_ID")?;
        if step >= FIRST_SPECIAL_STEP {
            return Ok(None);
        }
        let total = self.first_set(["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]);
        let world = number(total)?;
        let rank = number("SLURM_PROCID")?;
        let local_rank = number("SLURM_LOCALID")?;
        below("SLURM_PROCID", rank, total, world)?;
        below("SLURM_LOCALID", local_rank, total, world)?;
        let host = |env: &Self| match env.text("MASTER_ADDR") {
            Some(host) => Ok(host),
            None => env.first_host(),
        };
        // 7919 shares no factor with the number of ports: the steps of a job differ.
        let port =
            |_: &Self| Ok(Some(port_of(number("SLURM_JOB_ID")? as u64 + 7919 * step as u64)));
        let rendezvous = self.rendezvous(world, host, port)?;
        let source = "SLURM";
        Ok(Some(Placement { rank, local_rank, world, local_world: None, rendezvous, source }))
    }

    /// The machine of the step's first task.
    fn first_host(&self) -> Result<String, PlacementError> {
        let name = self.first_set(["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"]);
        let expected = "hosts such as `node[01-04],gpu7`";
        let advice = "set MASTER_ADDR to the name or address of rank 0's machine";
        let list = self.required_text(name, expected, advice)?;
        first_host(&list).ok_or_else(|| refused(name, expected, &list, advice))
    }

    fn master_addr(&self, advice: &str) -> Result<String, PlacementError> {
        self.required_text("MASTER_ADDR", "the name or address of rank 0's machine", advice)
    }

    /// Where `world` processes meet; `port` is asked if `MASTER_PORT` is not set.
    fn rendezvous(
        &self,
        world: usize,
        host: impl Fn(&Self) -> Result<String, PlacementError>,
        port: impl Fn(&Self) -> Result<Option<u16>, PlacementError>,
    ) -> Result<Option<Rendezvous>, PlacementError> {
        if world == 1 {
            return Ok(None);
        }
        let port = match self.port("MASTER_PORT")? {
            Some(port) => port,
            None => port(self)?.unwrap_or(DEFAULT_PORT),
        };
        let restarts = self.first_set(["VLCLIP_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"]);
        Ok(Some(Rendezvous {
            host: host(self)?,
            port,
            agent_store: self.text("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|it| it == "True"),
            generation: self.text(restarts).unwrap_or_else(|| "0".into()),
        }))
    }
}

/// SLURM numbers steps from 0; the numbers from here on stand for the batch script, an interactive
/// shell and the like (`slurm.h`).
const FIRST_SPECIAL_STEP: usize = 0xffff_fff0;

/// A port for the job of this number: all its processes find the same, and other jobs on the machine
/// most likely another. It lies below those that Linux gives to clients (32768 and up).
fn port_of(job: u64) -> u16 {
    20_000 + (job % 12_000) as u16
}

/// The FNV-1a hash, which every build computes alike.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
