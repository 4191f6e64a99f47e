//! The agent against a chat server that is not ours: `transformers serve` with a random model.

use super::{config, limit, listing};
use configs::prepare::{AgentRoles, Refine};
use prepare::refine::{Agent, Refined, Spent, Stop};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

/// `tests/peers/chat_server.py`, which ends when this is dropped.
struct ChatServer {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
    log: PathBuf,
    url: String,
    model: String,
}

impl ChatServer {
    fn start(folder: &Path) -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let peers = root.join(".peers");
        let fresh = peers.join("fastapi").is_dir();
        assert!(fresh, "no {}/fastapi: run `make test`, which installs it", peers.display());
        let log = folder.with_extension("log");
        let mut child = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
            .arg(root.join("tests/peers/chat_server.py"))
            .arg(folder)
            .env("PYTHONPATH", format!("{}:{}", peers.display(), root.join(".libtorch").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .expect("python3 must be on the PATH: run `make test`, which checks for it");
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let (url, model) = Default::default();
        let mut server = Self { child, orders, lines, log, url, model };
        let ready = server.line();
        server.url = ready["url"].as_str().unwrap().to_owned();
        server.model = ready["model"].as_str().unwrap().to_owned();
        server
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("the server ended: {}", std::fs::read_to_string(&self.log).unwrap_or_default())
        })
    }

    /// Calls that it answered.
    fn calls(&mut self) -> u64 {
        writeln!(self.orders, "calls").unwrap();
        self.line()["calls"].as_u64().unwrap()
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(refine: &Refine, home: &Path) -> Arc<Agent> {
    let limit = super::CaptionLimit { max_tokens: 20, ..limit() };
    Arc::new(Agent::open(refine, &home.join("cache"), limit, &|_| None).unwrap())
}

#[tokio::test]
async fn a_real_server_with_a_random_model() {
    let home = tempfile::tempdir().unwrap();
    let mut server = ChatServer::start(&home.path().join("model"));
    let sampling = json!({"temperature": 1.0, "max_tokens": 24});
    let more = json!({"model": server.model, "sampling": sampling, "max_rounds": 2,
                      "max_reasks": 4, "endpoint": {"concurrency": 4, "timeout_s": 60.0}});
    let refine = Refine { roles: AgentRoles::default(), ..config(&server.url, home.path(), more) };
    let titles: Vec<String> = (0..8).map(|number| format!("red MUG no. {number}")).collect();
    let mut runs: Vec<Vec<Refined>> = Vec::new();
    let mut first = Spent::default();
    for run in 0..2 {
        let agent = open(&refine, home.path());
        let all = super::refine_all(&agent, &titles).await;
        let all: Vec<Refined> = all.into_iter().map(Result::unwrap).collect();
        let failed = all.iter().filter(|refined| refined.failure.is_some()).count();
        assert_eq!(agent.done_and_failed(), (8, failed as u64));
        let spent = agent.spent();
        runs.push(all);
        if run == 0 {
            assert_eq!((server.calls(), spent.requests > 8), (spent.requests, true), "{spent}");
            assert!(spent.input_tokens > spent.requests && spent.output_tokens > 0, "{spent}");
            first = spent;
        } else {
            assert_eq!((spent.requests, spent.cached), (0, first.requests + first.cached));
        }
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].iter().any(|refined| refined.stop != Stop::Failed), "{runs:?}");
    for (refined, title) in runs[0].iter().zip(&titles) {
        let raw = matches!(refined.stop, Stop::Failed | Stop::TooLong);
        assert_eq!((refined.caption == *title, refined.model.is_empty()), (raw, raw));
        assert!((limit().count)(&refined.caption) <= 20 && refined.rounds <= 2, "{refined:?}");
        assert_eq!(refined.failure.is_some(), raw);
    }
    // Another model is not there, and this server says so with status 400.
    let wrong = Refine { model: Some("other-model".into()), ..refine };
    let error = open(&wrong, home.path()).refine(listing("MUG"), None).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("HTTP 400") && error.contains("check refine.model"), "{error}");
}
