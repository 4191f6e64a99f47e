//! `vlclip verify`.

use anyhow::{Context, Result, ensure};
use configs::{Micro, RunConfig};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use train::dist::Ended;
use train::launch::{Console, Layout, Supervisor, stop_signals};
use train::verify::{Tolerances, compare, judge, table, train_part};

/// How long the other processes may take to end when one failed.
const GRACE: Duration = Duration::from_secs(10);

/// Show that neither the number of processes nor micro-batches change the training.
///
/// Trains the first batches of a configuration as one process with the whole batch, as several
/// processes, and as one process with micro-batches, and compares loss, gradients and weights.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  vlclip verify configs/quickstart.yaml\n  \
                  vlclip verify configs/vit-b-32.yaml --device cuda --processes 8 --set precision=f32\n\n\
                  Gradients and weights of each batch are compared through files: about 16 bytes for \
                  every parameter and batch in the folder for temporary files (TMPDIR).")]
pub struct Args {
    /// YAML file.
    config: PathBuf,
    /// Replace a value, as `key.path=value`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Number of processes to compare one with; 1 compares micro-batches only.
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// How many batches are trained.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    batches: u64,
    /// The greatest relative difference of each figure. By default 1e-5 in f32; 2e-2 of the loss
    /// alone in other precisions, whose gradients may be nothing but rounding.
    #[arg(long, value_name = "X")]
    tolerance: Option<f64>,
    /// Where to train; on GPUs each process needs its own.
    #[arg(long, value_name = "cpu|cuda", default_value = "cpu", value_parser = ["cpu", "cuda"])]
    device: String,
    /// Be a process that trains one way, and write what comes out into this folder.
    #[arg(long, value_name = "DIR", hide = true)]
    part: Option<PathBuf>,
}

/// A way of training the same batches.
struct Way {
    name: String,
    processes: usize,
    /// Pairs through the towers at once, where there are more.
    micro: usize,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cfg = RunConfig::load(&args.config, &args.overrides)?;
    if let Some(dir) = &args.part {
        return match train_part(&cfg, args.batches, dir) {
            // Another rank's end ends this one, and that one says so.
            Err(error) if error.downcast_ref::<Ended>().is_some_and(|ended| !ended.speaks) => {
                Ok(ExitCode::FAILURE)
            }
            done => done.map(|()| ExitCode::SUCCESS),
        };
    }
    check(args, &cfg)?;
    let allowed = args.tolerance.map_or_else(|| Tolerances::of(&cfg), Tolerances::all);
    let stop = stop_signals().context("cannot listen for signals")?;
    let dir = tempfile::tempdir().context("cannot make a folder for temporary files")?;

    let (size, processes) = (cfg.batch.size, args.processes as usize);
    let whole = Way { name: format!("1 process, {size} at once"), processes: 1, micro: size };
    let micro = micro_batch(&cfg);
    let cut = Way { name: format!("1 process, {micro} at once"), processes: 1, micro };
    let each = size / processes;
    let split = Way { name: format!("{processes} processes, {each} each"), processes, micro: size };
    let mut others = vec![cut];
    if processes > 1 {
        others.insert(0, split);
    }

    let reference = dir.path().join("reference");
    if let Some(code) = start(args, &whole, &reference, &stop)? {
        return Ok(code);
    }
    let mut found = Vec::new();
    for way in others {
        let part = dir.path().join("part");
        if let Some(code) = start(args, &way, &part, &stop)? {
            return Ok(code);
        }
        found.push((way.name, compare(&reference, &part, args.batches)?));
        std::fs::remove_dir_all(&part)?; // as large as the model, many times
    }
    super::print(&format!(
        "differences from `{}` in {}, {} batches of {}\n\n{}\n",
        whole.name,
        serde_json::to_value(cfg.precision)?.as_str().unwrap_or_default(),
        args.batches,
        args.config.display(),
        table(&found)
    ))?;
    judge(&found, &allowed)?;
    let loss = allowed.loss;
    super::print(&match allowed.others {
        Some(others) => format!(
            "all within the tolerance: loss {loss:.0e}, gradients {others:.0e}, weights \
             {others:.0e} of the learning rate\n"
        ),
        None => format!(
            "the loss is within its tolerance of {loss:.0e}; gradients and weights are not judged \
             where arithmetic rounds to fewer bits than f32: add --set precision=f32 --set \
             dist.gradients=f32\n"
        ),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses at once what would be refused only after a part was trained.
fn check(args: &Args, cfg: &RunConfig) -> Result<()> {
    let (processes, size) = (args.processes as usize, cfg.batch.size);
    ensure!(
        size.is_multiple_of(processes),
        "--processes: expected a divisor of batch.size ({size}), found {processes}"
    );
    let num_streams = cfg.data.shuffle.streams.number(size);
    ensure!(
        num_streams.is_multiple_of(processes),
        "--processes: expected a divisor of the number of streams that the data is read in \
         ({num_streams}), found {processes}: choose another number, or set data.shuffle.streams"
    );
    if let Some(tolerance) = args.tolerance {
        ensure!(
            tolerance.is_finite() && tolerance >= 0.0,
            "--tolerance: expected a finite number from 0, found {tolerance}"
        );
    }
    if args.device == "cuda" {
        let gpus = tch::Cuda::device_count();
        ensure!(
            gpus >= i64::from(args.processes),
            "--device cuda: expected a GPU for each of the {processes} processes, but libtorch \
             sees {gpus}: check `nvidia-smi`, lower --processes (1 compares micro-batches only), or \
             use --device cpu"
        );
    }
    Ok(())
}

/// Pairs through the towers at once: those of the configuration where they are fewer than a batch,
/// else a quarter of it, or the next number below that divides it.
fn micro_batch(cfg: &RunConfig) -> usize {
    let size = cfg.batch.size;
    match cfg.batch.micro {
        Some(Micro::Count(micro)) if micro < size => micro,
        _ => (1..=size / 4).rev().find(|&micro| size.is_multiple_of(micro)).unwrap_or(1),
    }
}

/// Trains one way in processes of their own, one way after the other, so that memory holds one
/// model per process. The exit status where that failed, which was told by then.
fn start(args: &Args, way: &Way, dir: &Path, stop: &Receiver<i32>) -> Result<Option<ExitCode>> {
    std::fs::create_dir(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    eprintln!("training: {}", way.name);
    let mut command: Vec<OsString> = vec!["verify".into(), args.config.clone().into()];
    let own = [
        format!("device={}", args.device),
        "dist.backend=auto".into(),
        format!("batch.micro={}", way.micro),
    ];
    for text in args.overrides.iter().chain(&own) {
        command.extend(["--set".into(), text.into()]);
    }
    command.extend(["--batches".into(), args.batches.to_string().into()]);
    command.extend(["--part".into(), dir.into()]);
    let layout = Layout { local_world: way.processes, num_nodes: 1, node_rank: 0, meeting: None };
    let supervisor = Supervisor {
        program: super::this_program()?,
        args: command,
        layout,
        omp_threads: super::launch::omp_threads(way.processes),
        grace: GRACE,
        max_restarts: 0,
    };
    let code = supervisor
        .run(&Arc::new(Console::standard()), stop)
        .context("cannot start or watch the processes")?;
    Ok((code != 0).then(|| ExitCode::from(code)))
}
