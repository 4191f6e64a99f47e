//! What the launchers set, case by case.

use super::*;

/// The placement in an environment written as `NAME=value NAME=value`.
fn detect(env: &str) -> Result<Placement, PlacementError> {
    Placement::detect(|name| {
        let mut pairs = env.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    })
}

/// Rank, local rank, world, `host:port` and source.
fn brief(env: &str) -> (usize, usize, usize, String, &'static str) {
    let it = detect(env).unwrap_or_else(|error| panic!("{env}: {error}"));
    let at = it.rendezvous.map_or_else(String::new, |at| format!("{}:{}", at.host, at.port));
    (it.rank, it.local_rank, it.world, at, it.source)
}

#[test]
fn torchrun_and_its_like() {
    let torchrun = "RANK=5 LOCAL_RANK=1 WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 MASTER_ADDR=n0 \
                    MASTER_PORT=4321 GROUP_RANK=1 TORCHELASTIC_RUN_ID=none \
                    TORCHELASTIC_RESTART_COUNT=2 TORCHELASTIC_USE_AGENT_STORE=True";
    let at =
        Rendezvous { host: "n0".into(), port: 4321, agent_store: true, generation: "2".into() };
    let expected = Placement {
        rank: 5,
        local_rank: 1,
        world: 8,
        local_world: Some(4),
        rendezvous: Some(at),
        source: "torchrun",
    };
    assert_eq!(detect(torchrun), Ok(expected));

    let here = "environment";
    for (env, expected) in [
        // Kubernetes' PyTorchJob.
        ("RANK=1 WORLD_SIZE=2 MASTER_ADDR=job-0 MASTER_PORT=23456", (1, 0, 2, "job-0:23456")),
        ("RANK=1 WORLD_SIZE=2 LOCAL_WORLD_SIZE=1 MASTER_ADDR=a", (1, 0, 2, "a:29500")),
        // One process needs no meeting point.
        ("RANK=0 WORLD_SIZE=1", (0, 0, 1, "")),
        ("RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 MASTER_ADDR=a MASTER_PORT=1", (0, 0, 1, "")),
        // RANK wins over what lies around it.
        (
            "RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 MASTER_ADDR=a SLURM_STEP_ID=0 SLURM_PROCID=0 \
             SLURM_LOCALID=0 SLURM_STEP_NUM_TASKS=1",
            (1, 1, 2, "a:29500"),
        ),
    ] {
        let (rank, local_rank, world, at) = expected;
        assert_eq!(brief(env), (rank, local_rank, world, at.to_owned(), here), "{env}");
    }
}

#[test]
fn agent_store_and_generation() {
    let two = "RANK=1 WORLD_SIZE=2 MASTER_ADDR=a";
    for (more, agent_store, generation) in [
        ("", false, "0"),
        ("TORCHELASTIC_USE_AGENT_STORE=False TORCHELASTIC_RESTART_COUNT=1", false, "1"),
        ("TORCHELASTIC_USE_AGENT_STORE=True", true, "0"),
        ("VLCLIP_RESTART_COUNT=3", false, "3"),
    ] {
        let at = detect(&format!("{two} {more}")).unwrap().rendezvous.unwrap();
        assert_eq!((at.agent_store, at.generation.as_str()), (agent_store, generation), "{more}");
    }
}

#[test]
fn slurm_only_inside_srun() {
    let step = "SLURM_JOB_ID=123456 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_LOCALID=1 \
                SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=16 SLURM_JOB_NODELIST=n[1-8] \
                SLURM_STEP_NODELIST=n[3-4]";
    assert_eq!(brief(step), (3, 1, 4, "n3:23456".into(), "SLURM"));
    let next = step.replace("SLURM_STEP_ID=0", "SLURM_STEP_ID=1");
    assert_eq!(brief(&next), (3, 1, 4, "n3:31375".into(), "SLURM"));
    let given = format!("{step} MASTER_ADDR=10.0.0.1 MASTER_PORT=77 WORLD_SIZE=4");
    assert_eq!(brief(&given), (3, 1, 4, "10.0.0.1:77".into(), "SLURM"));
    let older = "SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_LOCALID=0 SLURM_NTASKS=2 \
                 SLURM_JOB_NODELIST=gpu-a[01-02]b";
    assert_eq!(brief(older), (1, 0, 2, "gpu-a01b:20007".into(), "SLURM"));
    let single = "SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_STEP_NUM_TASKS=1";
    assert_eq!(brief(single), (0, 0, 1, String::new(), "SLURM"));

    // A program in the batch script, and one in an interactive shell of 8 tasks.
    let alone = (0, 0, 1, String::new(), "one process");
    let batch = "SLURM_JOB_ID=7 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=8";
    assert_eq!(brief(batch), alone);
    for special in [0xffff_fffau32, 0xffff_fffb] {
        assert_eq!(brief(&format!("{batch} SLURM_STEP_ID={special}")), alone);
    }
}

#[test]
fn open_mpi_on_one_machine_and_on_several() {
    let rank = "OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_SIZE=4";
    let local = format!("{rank} OMPI_COMM_WORLD_LOCAL_SIZE=4");
    assert_eq!(brief(&local), (3, 1, 4, "127.0.0.1:29500".into(), "Open MPI"));
    let port = |job: &str| detect(&format!("{local} {job}")).unwrap().rendezvous.unwrap().port;
    let (a, b) = (port("PMIX_NAMESPACE=prterun-n0-17@1"), port("PMIX_NAMESPACE=prterun-n0-18@1"));
    assert!(a != b && (20_000..32_000).contains(&a) && (20_000..32_000).contains(&b), "{a} {b}");
    assert_eq!(port("OMPI_MCA_ess_base_jobid=99 MASTER_PORT=5"), 5);
    assert_ne!(port("OMPI_MCA_ess_base_jobid=99"), 29500);

    let several = format!("{rank} OMPI_COMM_WORLD_LOCAL_SIZE=2 MASTER_ADDR=n0 PMIX_NAMESPACE=x");
    assert_eq!(brief(&several), (3, 1, 4, "n0:29500".into(), "Open MPI"));
    // mpirun inside a SLURM job: SLURM's variables describe mpirun's daemon.
    let daemon = "SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_LOCALID=0 SLURM_STEP_NUM_TASKS=2";
    assert_eq!(brief(&format!("{several} {daemon}")), brief(&several));
}

#[test]
fn one_process_without_a_launcher() {
    let alone = (0, 0, 1, String::new(), "one process");
    for env in ["", "RANK= WORLD_SIZE=", "WORLD_SIZE=1", "LOCAL_RANK=2", "MASTER_ADDR=a"] {
        assert_eq!(brief(env), alone, "{env}");
    }
    assert_eq!(detect("").unwrap().local_world, Some(1));
}

#[test]
fn half_set_or_contradictory_variables_are_named() {
    let slurm = "SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_LOCALID=0 \
                 SLURM_STEP_NUM_TASKS=2";
    let mpi = "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_SIZE=2";
    for (env, expected) in [
        ("RANK=0".into(), "WORLD_SIZE: expected a whole number from 0, found none; set it, or"),
        ("WORLD_SIZE=2".into(), "RANK: expected a number below WORLD_SIZE (2), found none; set"),
        ("RANK=2 WORLD_SIZE=2".into(), "RANK: expected a number below WORLD_SIZE (2), found `2`"),
        ("RANK=0 WORLD_SIZE=0".into(), "RANK: expected a number below WORLD_SIZE (0)"),
        ("RANK=a WORLD_SIZE=2".into(), "RANK: expected a whole number from 0, found `a`"),
        ("RANK=-1 WORLD_SIZE=2".into(), "RANK: expected a whole number from 0, found `-1`"),
        ("RANK=0 WORLD_SIZE=2".into(), "MASTER_ADDR: expected the name or address of rank 0's"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=0".into(), "MASTER_PORT: expected a port"),
        (
            "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=65536".into(),
            "MASTER_PORT: expected a port from 1 to 65535, found `65536`",
        ),
        (
            "RANK=0 WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 MASTER_ADDR=a".into(),
            "LOCAL_RANK: expected a whole number from 0, found none",
        ),
        (
            "RANK=0 WORLD_SIZE=4 LOCAL_WORLD_SIZE=2 LOCAL_RANK=2".into(),
            "LOCAL_RANK: expected a number below LOCAL_WORLD_SIZE (2), found `2`",
        ),
        (
            "RANK=0 WORLD_SIZE=2 LOCAL_WORLD_SIZE=4 LOCAL_RANK=2".into(),
            "LOCAL_WORLD_SIZE: expected at most WORLD_SIZE (2), found `4`",
        ),
        ("RANK=0 WORLD_SIZE=2 LOCAL_RANK=2".into(), "LOCAL_RANK: expected a number below WORLD"),
        (slurm.to_owned(), "SLURM_JOB_NODELIST: expected hosts such as `node[01-04],gpu7`, found"),
        (format!("{slurm} SLURM_STEP_NODELIST=n[1"), "SLURM_STEP_NODELIST: expected hosts"),
        (format!("{slurm} WORLD_SIZE=3 MASTER_ADDR=a"), "found none, and SLURM has 2 processes"),
        ("SLURM_STEP_ID=0".into(), "SLURM_NTASKS: expected a whole number from 0, found none"),
        (slurm.replace("PROCID=0", "PROCID=2"), "SLURM_PROCID: expected a number below SLURM_ST"),
        (mpi.to_owned(), "OMPI_COMM_WORLD_LOCAL_SIZE: expected a whole number"),
        (
            format!("{mpi} OMPI_COMM_WORLD_LOCAL_SIZE=1"),
            "MASTER_ADDR: expected the name or address of rank 0's machine, found none; pass it",
        ),
    ] {
        let error = detect(&env).unwrap_err().to_string();
        assert!(error.starts_with("environment variable "), "{error}");
        assert!(error.contains(expected), "{env}\n{error}");
    }
}
