//! Several processes are one run: the same losses and weights, one end.

use crate::support::{TinyRun, command, refused, root, text};
use checkpoints::TensorFile;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use train::tensors;

const STEPS: &str = "duration={steps: 30}";

/// The losses of a run's steps.
fn losses(run: &TinyRun) -> Vec<f64> {
    run.metrics().iter().filter_map(|record| record["loss"].as_f64()).collect()
}

/// The largest difference between the weights of two checkpoints, relative to the largest weight.
fn weights_differ(a: &Path, b: &Path) -> f64 {
    let open = |dir: &Path| TensorFile::open(&dir.join("model.safetensors")).unwrap();
    let (a, b) = (open(a), open(b));
    let (mut difference, mut largest) = (0f64, 0f64);
    for name in a.names() {
        let read = |file: &TensorFile| tensors::from_stored(&file.tensor(name).unwrap()).unwrap();
        let (a, b) = (read(&a), read(&b));
        difference = difference.max(f64::try_from((&a - &b).abs().max()).unwrap());
        largest = largest.max(f64::try_from(a.abs().max()).unwrap());
    }
    difference / largest
}

/// That two runs had the same losses and ended with the same weights, but for rounding.
fn assert_equal(expected: &TinyRun, found: &TinyRun, what: &str) {
    let (a, b) = (losses(expected), losses(found));
    assert_eq!((a.len(), b.len()), (30, 30), "{what}");
    for (step, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() < 1e-5 * a, "{what}, step {step}: {a} {b}");
    }
    let last = |run: &TinyRun| run.folder().join("step-00000030");
    let error = weights_differ(&last(expected), &last(found));
    assert!(error < 1e-5, "{what}: weights differ by {error:e}");
}

fn done(output: &Output) -> String {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    text
}

/// One process; two and four; micro-batches; products on several ranks.
#[test]
fn any_number_of_processes_gives_the_same_run() {
    // The sample has every product once; its few product types make many duplicates.
    let duplicates = "data.columns.product_id=product_type";
    for sets in [
        vec!["loss.positives=mask"],
        vec![duplicates, "loss.positives=share", "loss.label_smoothing=0.1"],
        vec![duplicates, "loss.kind=siglip", "loss.duplicates=product"],
    ] {
        let mut args = vec!["--set", STEPS, "--set", "batch.micro=32"];
        args.extend(sets.iter().flat_map(|set| ["--set", set]));
        let whole = TinyRun::new();
        whole.train_to_the_end(&args);
        for (world, micro) in [(2, 16), (4, 2)] {
            let micro = format!("batch.micro={micro}");
            let run = TinyRun::new();
            done(&run.launch(world, &[&args[..], &["--set", &micro]].concat()).output().unwrap());
            assert_equal(&whole, &run, &format!("{sets:?}, {world} processes, {micro}"));
        }
        if sets[0] == duplicates {
            let plain = TinyRun::new();
            plain.train_to_the_end(&["--set", STEPS]);
            assert!((losses(&plain)[0] - losses(&whole)[0]).abs() > 0.01, "duplicates matter");
        }
    }
}

#[test]
fn torchrun_and_slurm_start_the_same_run() {
    let args = ["--set", STEPS];
    let whole = TinyRun::new();
    whole.train_to_the_end(&args);

    let run = TinyRun::new();
    let output = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
        .args(["-m", "torch.distributed.run", "--no-python", "--nproc-per-node", "2"])
        .args([
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            "127.0.0.1:0",
            "--local-addr",
            "127.0.0.1",
        ])
        .arg(env!("CARGO_BIN_EXE_vlclip"))
        .arg("train")
        .arg(run.dir.path().join("run.yaml"))
        .args(args)
        .current_dir(root())
        .env("PYTHONPATH", root().join(".libtorch"))
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(done(&output).contains("2 processes (torchrun)"), "{}", text(&output));
    assert_equal(&whole, &run, "torchrun");

    let run = TinyRun::new();
    let step = std::process::id().to_string(); // makes a port of its own
    let ranks: Vec<_> = (0..2)
        .map(|rank| {
            run.train(&args)
                .env("SLURM_STEP_ID", "0")
                .env("SLURM_JOB_ID", &step)
                .env("SLURM_PROCID", rank.to_string())
                .env("SLURM_LOCALID", rank.to_string())
                .env("SLURM_STEP_NUM_TASKS", "2")
                .env("SLURM_STEP_NODELIST", "localhost")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let said: Vec<String> =
        ranks.into_iter().map(|rank| done(&rank.wait_with_output().unwrap())).collect();
    assert!(said[0].contains("2 processes (SLURM)"), "{said:?}");
    assert_equal(&whole, &run, "SLURM");
}

#[test]
fn a_checkpoint_goes_on_with_fewer_processes_and_with_as_many_exactly() {
    let start = ["--set", "duration={steps: 12}", "--set", "schedule={kind: constant}"];
    let rest = ["--set", STEPS, "--set", "schedule={kind: constant}"];
    let whole = TinyRun::new();
    done(&whole.launch(4, &rest).output().unwrap());
    for world in [1, 2, 4] {
        let run = TinyRun::new();
        done(&run.launch(4, &start).output().unwrap());
        done(&run.launch(world, &rest).output().unwrap());
        assert_equal(&whole, &run, &format!("from 4 processes to {world}"));
        if world == 4 {
            let last = |run: &TinyRun| run.folder().join("step-00000030");
            assert_eq!(weights_differ(&last(&whole), &last(&run)), 0.0, "as many processes");
        }
    }
}

/// A run that does not end by itself, in which a rank counts as stalled after five seconds.
const ENDLESS: [&str; 8] = [
    "--set",
    "duration={steps: 100000}",
    "--set",
    "eval.every={steps: 100000}",
    "--set",
    "dist={heartbeat_s: 5, timeout_s: 60}",
    "--set",
    "batch.micro=8",
];

/// A silence of 5 s, 5 s to notice it, 10 s of grace for one that is stopped, and a slow machine.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_run_that_the_launcher_restarts_ends_with_the_same_bits() {
    let args = ["--set", STEPS, "--set", "batch.micro=8"];
    let whole = TinyRun::new();
    done(&whole.launch(4, &args).output().unwrap());
    let run = TinyRun::new();
    let mut launch = command(&["launch", "--nproc-per-node", "4", "--max-restarts", "1"]);
    launch.args(["--grace", "10", "--", "train"]).arg(run.dir.path().join("run.yaml")).args(args);
    launch.env("OMP_NUM_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let launcher = launch.spawn().unwrap();
    wait_for_step(&run, 8);
    signal("-KILL", children_by_rank(launcher.id())[2]);
    let printed = done(&output_within(launcher, 2 * LIMIT));
    assert!(printed.contains("restart 1 of 1: all ranks, from the newest checkpoint"), "{printed}");
    assert_equal(&whole, &run, "restarted");
    let last = |run: &TinyRun| run.folder().join("step-00000030");
    assert_eq!(weights_differ(&last(&whole), &last(&run)), 0.0);
}

/// Starts four processes and waits until they have done `step`.
fn running(run: &TinyRun, step: u64, args: &[&str]) -> (Child, Vec<u32>) {
    let mut command = run.launch(4, &[&ENDLESS[..], args].concat());
    let launcher = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_step(run, step);
    let ranks = children_by_rank(launcher.id());
    (launcher, ranks)
}

fn wait_for_step(run: &TinyRun, step: u64) {
    let deadline = Instant::now() + Duration::from_secs(300);
    let mark = format!("\"kind\":\"step\",\"step\":{step},");
    let metrics = run.folder().join("metrics.jsonl");
    while !std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains(&mark)) {
        assert!(Instant::now() < deadline, "step {step} was not reached in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a process printed that ends within `limit`; it is killed if it does not.
fn output_within(child: Child, limit: Duration) -> Output {
    let (pid, (ended, end)) = (child.id(), mpsc::channel::<()>());
    let watchdog = std::thread::spawn(move || {
        if end.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            signal("-KILL", pid);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watchdog.join().unwrap();
    output
}

/// The processes that a launcher started, ordered by rank.
fn children_by_rank(launcher: u32) -> Vec<u32> {
    let path = format!("/proc/{launcher}/task/{launcher}/children");
    let children = std::fs::read_to_string(path).unwrap();
    let mut ranks: Vec<(usize, u32)> = children
        .split_whitespace()
        .map(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let rank = environment.split('\0').find_map(|pair| pair.strip_prefix("RANK="));
            (rank.unwrap().parse().unwrap(), pid.parse().unwrap())
        })
        .collect();
    ranks.sort_unstable();
    ranks.into_iter().map(|(_, pid)| pid).collect()
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// How often each way of failing is tried. A few times in every test run; more where asked.
fn rounds() -> usize {
    std::env::var("VLCLIP_FAILURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// A rank and a step that differ from round to round.
fn victim(round: usize) -> (usize, u64) {
    ((round * 7 + round / 4) % 4, 6 + (round as u64 * 5) % 17)
}

/// That a run which lost a rank ended in time with a message that names it, and goes on.
fn ends_and_goes_on(run: &TinyRun, launcher: Child, said: &[&str]) {
    let output = output_within(launcher, LIMIT);
    let printed = text(&output);
    assert!(output.status.code().is_some_and(|code| code != 0), "{printed}");
    for said in said {
        assert!(printed.contains(said), "expected {said}: {printed}");
    }
    assert!(!printed.contains("panicked"), "{printed}");
    goes_on(run, &[]);
}

/// That the newest checkpoint of a run is where it goes on, with another number of processes.
fn goes_on(run: &TinyRun, args: &[&str]) {
    let step = |name: String| name.strip_prefix("step-").and_then(|n| n.parse::<u64>().ok());
    let names = std::fs::read_dir(run.folder()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let newest = names.filter_map(step).max().expect("a checkpoint");
    let more = format!("duration={{steps: {}}}", newest + 3);
    let text = done(&run.launch(2, &[&["--set", &more], args].concat()).output().unwrap());
    assert!(text.contains(&format!("steps {newest} to {}", newest + 3)), "{text}");
}

#[test]
fn a_killed_rank_ends_the_run_and_is_named() {
    for round in 0..2 * rounds() {
        let (rank, step) = victim(round);
        let run = TinyRun::new();
        let (launcher, ranks) = running(&run, step, &[]);
        signal("-KILL", ranks[rank]);
        let name = format!("rank {rank}");
        ends_and_goes_on(
            &run,
            launcher,
            &[&name, "was killed by signal 9", "ended without a word"],
        );
    }
}

#[test]
fn a_stalled_rank_ends_the_run_and_is_named() {
    for round in 0..2 * rounds() {
        let (rank, step) = victim(round + 1);
        let run = TinyRun::new();
        let (launcher, ranks) = running(&run, step, &[]);
        signal("-STOP", ranks[rank]);
        let name = format!("rank {rank} (");
        ends_and_goes_on(&run, launcher, &[&name, "gave no sign of life for 5 s"]);
    }
}

/// A shard that goes bad under one rank: the others learn why. The ranks are started as a cluster
/// would, so that one of them can have a copy of the shards of its own.
#[test]
fn a_rank_with_a_bad_shard_ends_the_run_and_is_named() {
    for round in 0..2 * rounds() {
        let (bad, step) = victim(round + 2);
        let run = TinyRun::new();
        let copy = run.dir.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        let shard = copy.join("part-00000.parquet");
        std::fs::copy(crate::support::sample().join("train/part-00000.parquet"), &shard).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = format!("data.train=[{}]", copy.display());
        let start = |rank: usize| {
            let mut args = [&ENDLESS[..], &["--set", "data.prefetch=1"]].concat();
            if rank == bad {
                args.extend(["--set", &own]);
            }
            run.train(&args)
                .env("RANK", rank.to_string())
                .env("LOCAL_RANK", rank.to_string())
                .env("WORLD_SIZE", "4")
                .env("MASTER_ADDR", "127.0.0.1")
                .env("MASTER_PORT", port.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let ranks: Vec<Child> = (0..4).map(start).collect();
        wait_for_step(&run, step);
        // The rank holds the file open: what is overwritten is what it reads next.
        let len = std::fs::metadata(&shard).unwrap().len();
        let healthy = std::fs::read(&shard).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&shard).unwrap();
        let noise = vec![0xff; usize::try_from(len / 10 * 8).unwrap()];
        std::os::unix::fs::FileExt::write_all_at(&file, &noise, len / 10).unwrap();
        let outputs: Vec<Output> =
            ranks.into_iter().map(|rank| output_within(rank, LIMIT)).collect();
        for (rank, output) in outputs.iter().enumerate() {
            let printed = text(output);
            assert_eq!(output.status.code(), Some(1), "rank {rank}: {printed}");
            assert!(!printed.contains("panicked"), "{printed}");
        }
        let blamed = text(&outputs[bad]);
        assert!(blamed.contains("error: ") && blamed.contains("part-00000.parquet"), "{blamed}");
        if bad != 0 {
            let told = text(&outputs[0]);
            let reason = format!("error: rank {bad}: ");
            assert!(told.contains(&reason) && told.contains("part-00000.parquet"), "{told}");
        }
        std::fs::write(&shard, healthy).unwrap();
        // The path that rank 0 was given is the run's.
        let args = ["--set", own.as_str()];
        goes_on(&run, if bad == 0 { &args } else { &[] });
    }
}

/// Weights so large that the loss overflows: all ranks see it, one says it.
#[test]
fn a_loss_that_is_not_finite_ends_all_ranks_with_one_message() {
    let run = TinyRun::new();
    let output = run.launch(4, &["--set", "optim.lr=1e30"]).output().unwrap();
    let printed = text(&output);
    assert!(!output.status.success(), "{printed}");
    assert_eq!(printed.matches("the weights were not updated").count(), 1, "{printed}");
}

#[test]
fn sigterm_on_any_rank_saves_once_and_stops_all() {
    let run = TinyRun::new();
    let (launcher, ranks) = running(&run, 7, &["--set", "checkpoint.every={steps: 100000}"]);
    signal("-TERM", ranks[2]);
    let text = done(&output_within(launcher, LIMIT));
    assert_eq!(text.matches("stopped after step").count(), 1, "{text}");
    let steps = std::fs::read_dir(run.folder())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("step-"));
    assert_eq!(steps.count(), 1);
}

#[test]
fn what_does_not_fit_the_number_of_processes_is_refused() {
    let run = TinyRun::new();
    let text = text(&run.launch(3, &[]).output().unwrap());
    assert!(text.contains("batch.size: expected a multiple of the 3 processes"), "{text}");
    let nccl = ["--set", "dist.backend=nccl"];
    let text = crate::support::text(&run.launch(2, &nccl).output().unwrap());
    assert!(text.contains("dist.backend: nccl exchanges tensors between GPUs"), "{text}");
}

#[test]
fn a_rank_that_nobody_waits_for_or_joins_says_so() {
    let run = TinyRun::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for rank in ["0", "1"] {
        let output = run
            .train(&["--set", "dist.timeout_s=2"])
            .env("RANK", rank)
            .env("LOCAL_RANK", rank)
            .env("WORLD_SIZE", "2")
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .output()
            .unwrap();
        let text = refused(&output);
        let expected = format!("rank {rank} of 2 (environment) at 127.0.0.1:{port}: not all ranks");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("that MASTER_PORT is free"), "{text}");
    }
}
