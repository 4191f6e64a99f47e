//! Processes that end well, fail, hang and are stopped: shells in place of the trainer.

use super::*;
use std::io::Write;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard};

/// A stream that remembers what was written to it.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.lock().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A shell script on every rank, and what came of it.
struct Shells {
    supervisor: Supervisor,
    out: Shared,
    err: Shared,
    stop: (Sender<i32>, Receiver<i32>),
}

impl Shells {
    fn new(local_world: usize, script: &str) -> Self {
        let supervisor = Supervisor {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            layout: Layout { local_world, num_nodes: 1, node_rank: 0, meeting: None },
            omp_threads: None,
            grace: Duration::from_secs(60),
            max_restarts: 0,
        };
        Self { supervisor, out: Shared::default(), err: Shared::default(), stop: mpsc::channel() }
    }

    fn run(&self) -> u8 {
        let console = Arc::new(Console::new(self.out.clone(), self.err.clone()));
        self.supervisor.run(&console, &self.stop.1).unwrap()
    }

    /// Runs it and sends `signals`, each when `text` stands `n` times in what was printed.
    fn run_with_signals(&self, signals: &[(i32, &str, usize)]) -> u8 {
        let send = &self.stop.0;
        let (out, err) = (&self.out, &self.err);
        let printed = || out.text() + &err.text();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for &(signal, text, times) in signals {
                    let deadline = Instant::now() + Duration::from_secs(60);
                    while printed().matches(text).count() < times {
                        assert!(Instant::now() < deadline, "no `{text}` in time");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    send.send(signal).unwrap();
                }
            });
            self.run()
        })
    }

    /// The lines of stdout, sorted: ranks print in any order.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.out.text().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

#[test]
fn every_rank_is_told_its_place_and_prints_under_its_name() {
    let mut shells = Shells::new(
        3,
        "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR $VLCLIP_RESTART_COUNT \
         $OMP_NUM_THREADS; test $MASTER_PORT -gt 0 && printf 'to stderr' >&2; read nothing",
    );
    shells.supervisor.omp_threads = Some(5);
    shells.supervisor.args[1].push("; exit 0"); // `read` fails at the end of stdin
    assert_eq!(shells.run(), 0, "{}", shells.err.text());
    let expected = [0, 1, 2].map(|rank| format!("[rank {rank}] {rank} {rank} 3 3 127.0.0.1 0 5"));
    assert_eq!(shells.lines(), expected);
    let err = shells.err.text();
    for rank in 0..3 {
        assert!(err.contains(&format!("[rank {rank}] to stderr\n")), "{err}");
    }
    assert!(err.contains("started ranks 0, 1, 2 (pid "), "{err}");
}

#[test]
fn ranks_of_a_second_machine_meet_where_they_are_told() {
    let mut shells = Shells::new(2, "echo $RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR:$MASTER_PORT");
    let meeting = Some("node00:4000".parse().unwrap());
    shells.supervisor.layout = Layout { local_world: 2, num_nodes: 3, node_rank: 2, meeting };
    assert_eq!(shells.run(), 0);
    assert_eq!(shells.lines(), ["[rank 4] 4 0 6 node00:4000", "[rank 5] 5 1 6 node00:4000"]);
}

#[test]
fn one_that_ends_well_lets_the_others_go_on() {
    let shells = Shells::new(2, "test $RANK = 0 && exit 0; sleep 0.5; echo late");
    assert_eq!(shells.run(), 0);
    assert_eq!(shells.lines(), ["[rank 1] late"]);
}

#[test]
fn a_death_by_signal_is_named_and_the_others_end_by_themselves() {
    let shells = Shells::new(3, "test $RANK = 2 && kill -9 $$; sleep 0.5; echo noticed; exit 1");
    assert_eq!(shells.run(), 137);
    assert_eq!(shells.lines(), ["[rank 0] noticed", "[rank 1] noticed"]);
    let err = shells.err.text();
    assert!(
        err.contains(
            ") was killed by signal 9 (SIGKILL)\nwaiting up to 60 s for ranks 0, 1 to end"
        ),
        "{err}"
    );
    assert!(err.contains("rank 0 (pid ") && err.contains(") exited with status 1"), "{err}");
    let last = err.lines().last().unwrap();
    assert!(last.starts_with("error: rank 2 (pid "), "{err}");
    assert!(
        last.ends_with("the first to fail; if nobody did that, memory ran out: see `dmesg`"),
        "{err}"
    );
    assert!(!err.contains("killing"), "{err}");
}

#[test]
fn one_that_ignores_everything_and_one_that_is_stopped_are_killed_after_the_grace() {
    let mut shells = Shells::new(
        3,
        "trap '' TERM INT HUP; case $RANK in 0) sleep 0.5; exit 7;; 1) kill -STOP $$;; esac; \
         while :; do sleep 600; done",
    );
    shells.supervisor.grace = Duration::from_secs(1);
    let started = Instant::now();
    assert_eq!(shells.run(), 7);
    assert!(started.elapsed() >= Duration::from_millis(1500), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let err = shells.err.text();
    assert!(
        err.contains(") exited with status 7\nwaiting up to 1 s for ranks 1, 2 to end"),
        "{err}"
    );
    assert!(err.contains("\nkilling ranks 1, 2\nerror: rank 0 (pid "), "{err}");
}

#[test]
fn restarts_are_counted_and_begin_anew() {
    let mut shells = Shells::new(
        2,
        "echo start $VLCLIP_RESTART_COUNT; test $RANK$VLCLIP_RESTART_COUNT = 10 && exit 3; \
         test $RANK$VLCLIP_RESTART_COUNT = 01 && exit 4; sleep 0.3",
    );
    shells.supervisor.max_restarts = 3;
    assert_eq!(shells.run(), 0, "{}", shells.err.text());
    assert_eq!(shells.out.text().matches("start 2").count(), 2);
    let err = shells.err.text();
    assert!(err.contains("restart 1 of 3: all ranks, from the newest checkpoint"), "{err}");
    assert!(err.contains("restart 2 of 3") && !err.contains("restart 3 of 3"), "{err}");
    let ports: Vec<_> = err.lines().filter_map(|line| line.split_once("meeting at ")).collect();
    assert_eq!(ports.len(), 3, "{err}");

    let mut shells = Shells::new(1, "exit 5");
    shells.supervisor.max_restarts = 2;
    assert_eq!(shells.run(), 5);
    assert_eq!(shells.err.text().matches("exited with status 5, the first to fail").count(), 3);
    assert!(shells.err.text().lines().last().unwrap().starts_with("error: rank 0"));
}

#[test]
fn a_signal_is_passed_on_once_and_not_followed_by_a_restart() {
    let script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let shells = Shells::new(2, script);
    assert_eq!(shells.run_with_signals(&[(SIGTERM, "] ready", 2)]), 0);
    assert_eq!(shells.out.text().matches("] saved\n").count(), 2);
    let err = shells.err.text();
    assert!(
        err.contains("signal 15 (SIGTERM) passed on to ranks 0, 1; a second one kills"),
        "{err}"
    );

    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut shells = Shells::new(1, script);
    shells.supervisor.max_restarts = 5;
    assert_eq!(shells.run_with_signals(&[(SIGTERM, "] ready", 1)]), 9);
    assert!(!shells.err.text().contains("restart"), "{}", shells.err.text());
}

#[test]
fn a_second_signal_kills() {
    // The second at once is the same request; the third, after more than a second, is another.
    let script =
        "trap 'echo one; sleep 1.5; echo no' TERM; echo ready; while :; do sleep 0.05; done";
    let shells = Shells::new(2, script);
    let signals = [(SIGTERM, "] ready", 2), (SIGTERM, "passed on", 1), (SIGINT, "] no", 2)];
    let code = shells.run_with_signals(&signals);
    assert_eq!(code, 130);
    assert_eq!(shells.out.text().matches("] one").count(), 2, "{}", shells.out.text());
    let err = shells.err.text();
    assert!(err.contains("second signal, 2 (SIGINT): killing ranks 0, 1"), "{err}");
}

#[test]
fn a_left_over_grandchild_holds_nothing_up() {
    let shells = Shells::new(1, "sleep 30 & echo $!; exit 6");
    let started = Instant::now();
    assert_eq!(shells.run(), 6);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let text = shells.out.text();
    let pid = text.trim().strip_prefix("[rank 0] ").unwrap().parse().unwrap();
    process::kill(pid, SIGKILL).unwrap();
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let mut shells = Shells::new(2, "");
    shells.supervisor.program = "/nowhere/vlclip".into();
    let console = Arc::new(Console::new(shells.out.clone(), shells.err.clone()));
    let error = shells.supervisor.run(&console, &shells.stop.1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
