//! What was paid once is not paid again.

use super::server::{Reply, Server, say};
use super::{called, config, listing, open, refine_all};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Two rounds for each product; the replies depend on the questions alone.
fn two_rounds() -> Server {
    Server::new(|_, call| {
        let asked = call.asked();
        if asked.starts_with("summarize") {
            return say(&asked.replace("summarize", "draft"));
        }
        match asked.starts_with("judge") {
            true if asked.contains("better better") => say("<STOP>"),
            true => say("Better!"),
            false => {
                let caption = asked.trim_start_matches("refine ").trim_end_matches(" by Better!");
                say(&format!("better {caption}"))
            }
        }
    })
}

#[tokio::test]
async fn a_rerun_makes_no_call() {
    let home = tempfile::tempdir().unwrap();
    let server = two_rounds();
    let refine = config(&server.url, home.path(), json!({}));
    let titles: Vec<String> = (0..5).map(|number| format!("MUG {number}")).collect();
    let mut runs = Vec::new();
    for cached in [0, 30] {
        let agent = Arc::new(open(&refine, home.path()).unwrap());
        let all = refine_all(&agent, &titles).await;
        runs.push(all.into_iter().map(Result::unwrap).collect::<Vec<_>>());
        let spent = agent.spent();
        assert_eq!((spent.requests, spent.cached), (30 - cached, cached));
    }
    assert_eq!(server.calls().len(), 30);
    assert_eq!(runs[0], runs[1]);
    assert_eq!((runs[0][3].caption.as_str(), runs[0][3].rounds), ("better better draft MUG 3", 2));
    // Whatever else determines the answer asks anew.
    for more in [json!({"model": "n"}), json!({"sampling": {"extra": {"top_p": 0.5}}})] {
        let agent = open(&config(&server.url, home.path(), more), home.path()).unwrap();
        agent.refine(listing("MUG 0"), None).await.unwrap();
        assert_eq!((agent.spent().requests, agent.spent().cached), (6, 0));
    }
}

#[tokio::test]
async fn equal_questions_at_once_are_asked_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|number, _| {
        Reply::After(Duration::from_millis(30), format!("<STOP> or mug {number}"))
    });
    let refine = config(&server.url, home.path(), json!({}));
    let agent = Arc::new(open(&refine, home.path()).unwrap());
    let all = refine_all(&agent, &vec!["MUG".to_owned(); 8]).await;
    let captions: Vec<_> = all.into_iter().map(|refined| refined.unwrap().caption).collect();
    assert!(captions.iter().all(|caption| *caption == captions[0]), "{captions:?}");
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_killed_run_loses_no_paid_answer() {
    let home = tempfile::tempdir().unwrap();
    let server = two_rounds();
    let refine = config(&server.url, home.path(), json!({}));
    let whole = {
        let other = tempfile::tempdir().unwrap();
        let agent = open(&refine, other.path()).unwrap();
        agent.refine(listing("MUG"), None).await.unwrap()
    };
    assert_eq!(server.calls().len(), 6);
    // Killed after each of its calls, and again while the next answer was being written.
    let log = home.path().join("cache/answers.log");
    for answers in 1..=5 {
        let budget = json!({"budget": {"requests": 1}});
        let agent = open(&config(&server.url, home.path(), budget), home.path()).unwrap();
        agent.refine(listing("MUG"), None).await.unwrap_err();
        assert_eq!((agent.spent().requests, agent.spent().cached), (1, answers - 1));
        drop(agent);
        let mut bytes = std::fs::read(&log).unwrap();
        bytes.extend_from_slice(b"0badc0de 00ff");
        std::fs::write(&log, bytes).unwrap();
    }
    let agent = open(&refine, home.path()).unwrap();
    let resumed = agent.refine(listing("MUG"), None).await.unwrap();
    assert_eq!((agent.spent().requests, agent.spent().cached), (1, 5));
    assert_eq!((resumed, agent.damaged_answers()), (whole, 0));
    assert_eq!(server.calls().len(), 12);
}

#[tokio::test]
async fn a_call_under_way_when_the_run_is_stopped_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _| Reply::After(Duration::from_millis(500), "A mug".into()));
    let refine = config(&server.url, home.path(), json!({"max_rounds": 0}));
    let agent = Arc::new(open(&refine, home.path()).unwrap());
    let under_way = tokio::spawn({
        let agent = agent.clone();
        async move { agent.refine(listing("MUG"), None).await }
    });
    called(&server, 1).await;
    under_way.abort();
    assert!(under_way.await.unwrap_err().is_cancelled());
    agent.drain().await;
    drop(agent);
    let agent = open(&refine, home.path()).unwrap();
    assert_eq!(agent.refine(listing("MUG"), None).await.unwrap().caption, "A mug");
    assert_eq!((server.calls().len(), agent.spent().cached), (1, 1));
}
