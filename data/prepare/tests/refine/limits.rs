//! Calls at once, per minute, and the budget.

use super::server::{Reply, Server, say};
use super::{called, config, open, refine_all};
use prepare::refine::{RefineError, Stop};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn titles(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("MUG {number}")).collect()
}

#[tokio::test]
async fn no_more_calls_at_once_than_allowed() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, call| {
        let good = call.asked().starts_with("judge");
        let text = if good { "<STOP>" } else { "A mug" };
        Reply::After(Duration::from_millis(20), text.into())
    });
    let more = json!({"endpoint": {"concurrency": 3}});
    let agent = Arc::new(open(&config(&server.url, home.path(), more), home.path()).unwrap());
    let all = refine_all(&agent, &titles(12)).await;
    assert!(all.iter().all(|refined| refined.as_ref().unwrap().stop == Stop::Stop));
    assert_eq!((server.most(), agent.done_and_failed()), (3, (12, 0)));
    // The judgement of the one caption that all were given is asked for once.
    assert_eq!(server.calls().len(), 13);
    assert_eq!(agent.spent().cached, 11);
}

#[tokio::test]
async fn no_more_calls_or_tokens_a_minute_than_allowed() {
    // The estimate of a call is its text's length / 4 and max_tokens; each then takes 10.
    for (more, calls) in [
        (json!({"endpoint": {"requests_per_minute": 4}}), 4),
        (
            json!({"endpoint": {"tokens_per_minute": 45, "concurrency": 1},
                "sampling": {"max_tokens": 10}}),
            3,
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(|number, _| say(&format!("Mug {number}")));
        let agent = Arc::new(open(&config(&server.url, home.path(), more), home.path()).unwrap());
        let all = tokio::spawn(async move { refine_all(&agent, &titles(6)).await });
        called(&server, calls).await;
        // Time enough for one more.
        tokio::time::sleep(Duration::from_millis(300)).await;
        all.abort();
        assert_eq!(server.calls().len(), calls);
    }
}

/// What a budget stops with, and the calls that were made.
async fn stopped(more: serde_json::Value) -> (String, usize) {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|number, _| say(&format!("Mug {number}")));
    let refine = config(&server.url, home.path(), more);
    let agent = Arc::new(open(&refine, home.path()).unwrap());
    let all = refine_all(&agent, &titles(3)).await;
    agent.drain().await;
    let errors: Vec<_> = all.into_iter().filter_map(Result::err).collect();
    assert!(errors.iter().all(|error| matches!(error, RefineError::Budget { .. })));
    let calls = server.calls().len();
    assert_eq!(agent.spent().requests as usize, calls);
    // Everything that was answered was kept, though nobody got a caption.
    drop(agent);
    let log = std::fs::read_to_string(home.path().join("cache/answers.log")).unwrap();
    assert_eq!(log.lines().count(), 1 + calls);
    (errors[0].to_string(), calls)
}

#[tokio::test]
async fn a_spent_budget_stops_and_says_so() {
    let one = json!({"concurrency": 1});
    let rest = "Start again for as much once more, or raise it: the run goes on from its answers \
                so far and pays none twice";
    let (message, calls) = stopped(json!({"endpoint": one, "budget": {"requests": 4}})).await;
    let spent = "4 calls, 28 tokens asked, 12 answered; 0 answers were known already";
    assert_eq!(
        message,
        format!("the budget of refine.budget.requests (4) is spent: {spent}. {rest}")
    );
    assert_eq!(calls, 4);
    let (message, calls) = stopped(json!({"endpoint": one, "budget": {"tokens": 45}})).await;
    let spent = "5 calls, 35 tokens asked, 15 answered; 0 answers were known already";
    assert_eq!(
        message,
        format!("the budget of refine.budget.tokens (45) is spent: {spent}. {rest}")
    );
    assert_eq!(calls, 5);
    // A call is 7 tokens for 0.01 each and 3 for 0.1 each: 0.37.
    let price = json!({"input_per_million": 1e4, "output_per_million": 1e5});
    let more = json!({"endpoint": one, "budget": {"money": 1.0}, "prices": {"m": price}});
    let (message, calls) = stopped(more).await;
    let spent = "3 calls, 21 tokens asked, 9 answered, 1.1100 of money; 0 answers were known \
                 already";
    assert_eq!(message, format!("the budget of refine.budget.money (1) is spent: {spent}. {rest}"));
    assert_eq!(calls, 3);
}
