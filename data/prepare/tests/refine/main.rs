//! The caption agent against a scripted OpenAI-compatible server on loopback, and against a real
//! one.

#![allow(clippy::unwrap_used)]

mod answers;
mod keys;
mod limits;
mod real;
mod rerun;
mod rounds;
mod server;
mod trouble;

use configs::prepare::Refine;
use prepare::refine::{Agent, CaptionLimit, Listing, RefineError, Refined};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Prompts that show what they are filled with.
const PROMPTS: [(&str, &str); 3] = [
    ("summarizer", "You write.\n---\nsummarize {title}"),
    ("evaluator", "judge {caption} or <STOP>"),
    ("refiner", "refine {caption} by {critique}"),
];

/// A configuration for the server at `url` with [`PROMPTS`] below `home`; `more` is laid over it.
fn config(url: &str, home: &Path, more: Value) -> Refine {
    let mut roles = json!({});
    for (role, text) in PROMPTS {
        let path = home.join(format!("{role}.txt"));
        std::fs::write(&path, text).unwrap();
        roles[role] = json!({"prompt": path});
    }
    let endpoint = json!({"url": url, "backoff_s": 0.01, "max_retries": 3});
    let mut all = json!({"kind": "llm", "endpoint": endpoint, "model": "m", "roles": roles,
                         "max_failed_fraction": 1.0});
    lay_over(&mut all, more);
    serde_json::from_value(all).unwrap()
}

fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Ten words and no more.
fn limit() -> CaptionLimit {
    CaptionLimit { max_tokens: 10, count: Arc::new(|text| text.split_whitespace().count()) }
}

fn open(refine: &Refine, home: &Path) -> Result<Agent, RefineError> {
    Agent::open(refine, &home.join("cache"), limit(), &|_| None)
}

fn listing(title: &str) -> Listing<'_> {
    Listing { product_id: "p1", title, description: None, product_type: "mug", attributes: &[] }
}

/// One product by an agent of its own.
async fn refine_one(refine: &Refine, home: &Path, title: &str) -> Result<Refined, RefineError> {
    open(refine, home).unwrap().refine(listing(title), None).await
}

/// Waits until so many calls came, for a minute at most.
async fn called(server: &server::Server, count: usize) {
    for _ in 0..6000 {
        if server.calls().len() >= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} of {count} calls came", server.calls().len());
}

/// All at once, in their order.
async fn refine_all(agent: &Arc<Agent>, titles: &[String]) -> Vec<Result<Refined, RefineError>> {
    let mut tasks = JoinSet::new();
    for (number, title) in titles.iter().cloned().enumerate() {
        let agent = agent.clone();
        tasks.spawn(async move { (number, agent.refine(listing(&title), None).await) });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, refined)| refined).collect()
}
