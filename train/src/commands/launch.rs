//! `vlclip launch`.

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use std::ffi::OsString;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use train::launch::{Console, Layout, Meeting, Supervisor, stop_signals};

/// Start a command of vlclip as several processes that train as one, and watch over them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  vlclip launch --nproc-per-node auto -- train configs/vit-l-14-8gpu.yaml\n  \
                  vlclip launch --nproc-per-node 8 --nnodes 2 --node-rank 0 --rdzv node00:29500 \\\n              \
                                -- train configs/vit-l-14-8gpu.yaml"
)]
pub struct Args {
    /// Number of processes on this machine; `auto` is one per GPU.
    #[arg(long, value_name = "N|auto")]
    nproc_per_node: NumProcesses,
    /// Number of machines; start the same command on each.
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nnodes: u32,
    /// This machine, from 0; needed with several.
    #[arg(long, value_name = "R")]
    node_rank: Option<u32>,
    /// Machine 0 and a port that is free there; needed with several machines.
    #[arg(long, value_name = "HOST:PORT")]
    rdzv: Option<Meeting>,
    /// How often all processes are started anew after one failed.
    #[arg(long, value_name = "K", default_value_t = 0)]
    max_restarts: u32,
    /// How long the others may take to end when one failed; then they are killed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u32,
    /// The command of vlclip and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug)]
enum NumProcesses {
    Auto,
    Given(u32),
}

impl FromStr for NumProcesses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(number) if number > 0 => Ok(Self::Given(number)),
            _ => Err("expected `auto` or a number from 1".into()),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    check_command(&args.command)?;
    let layout = layout(args)?;
    let omp_threads = omp_threads(layout.local_world);
    if let Some(threads) = omp_threads {
        eprintln!("OMP_NUM_THREADS={threads} for each process; set it to choose another number");
    }
    let supervisor = Supervisor {
        program: super::this_program()?,
        args: args.command.clone(),
        layout,
        omp_threads,
        grace: Duration::from_secs(args.grace.into()),
        max_restarts: args.max_restarts,
    };
    let stop = stop_signals().context("cannot listen for signals")?;
    let code = supervisor
        .run(&Arc::new(Console::standard()), &stop)
        .context("cannot start or watch the processes")?;
    Ok(ExitCode::from(code))
}

/// Refuses here what every process would refuse.
fn check_command(command: &[OsString]) -> Result<()> {
    let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    ensure!(
        name != "launch",
        "`-- launch`: a launch cannot start another one; write the command that the processes run, \
         such as `-- train CONFIG`"
    );
    ensure!(
        super::Command::has_subcommand(&name),
        "`-- {name}`: expected a command of vlclip such as `-- train CONFIG`"
    );
    Ok(())
}

fn layout(args: &Args) -> Result<Layout> {
    let local_world = match args.nproc_per_node {
        NumProcesses::Given(number) => number as usize,
        NumProcesses::Auto => {
            let gpus = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
            ensure!(
                gpus > 0,
                "--nproc-per-node auto: expected GPUs to count, but libtorch sees none: check \
                 `nvidia-smi`, or give a number"
            );
            gpus
        }
    };
    let nodes = args.nnodes;
    let node_rank = match args.node_rank {
        Some(rank) if rank < nodes => rank,
        Some(rank) => bail!(
            "--node-rank {rank}: expected a number from 0 to {}, as --nnodes is {nodes}",
            nodes - 1
        ),
        None if nodes == 1 => 0,
        None => bail!(
            "--node-rank: expected a number from 0 to {}, another one on each of the {nodes} \
             machines, found none",
            nodes - 1
        ),
    };
    ensure!(
        nodes == 1 || args.rdzv.is_some(),
        "--rdzv: expected HOST:PORT, the name of machine 0 and a port that is free there, the same \
         on each of the {nodes} machines, found none"
    );
    Ok(Layout {
        local_world,
        num_nodes: nodes as usize,
        node_rank: node_rank as usize,
        meeting: args.rdzv.clone(),
    })
}

/// An equal share of the cores, unless the user chose or there is nobody to share with.
pub fn omp_threads(local_world: usize) -> Option<usize> {
    if local_world == 1 || std::env::var_os("OMP_NUM_THREADS").is_some() {
        return None;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some((cores / local_world).max(1))
}
