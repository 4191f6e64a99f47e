//! Answers that cannot be used.

use super::server::{Reply, Server, completion, say};
use super::{config, open, refine_one};
use prepare::refine::{Agent, RefineError, Stop};
use serde_json::json;
use std::path::Path;

#[tokio::test]
async fn an_unusable_answer_is_asked_for_again_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let http = |value: serde_json::Value| Reply::Http(200, "", value.to_string());
    let server = Server::in_turn(&[
        say("  "),
        say("I'm sorry, I can't help with that."),
        say("A mug"),
        http(completion("Name the", "length")),
        http(completion("", "content_filter")),
        say("<STOP>"),
    ]);
    let refine = config(&server.url, home.path(), json!({}));
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.stop), ("A mug", Stop::Stop));
    let again = |asked: &str, number: u32, why: &str| {
        format!(
            "{asked}\n\nYou have been asked this before; answer number {number} could not be \
             used: {why}. Answer exactly as asked above."
        )
    };
    let judge = "judge A mug or <STOP>";
    assert_eq!(
        server.asked(),
        [
            "summarize MUG".to_owned(),
            again("summarize MUG", 1, "it is empty"),
            again("summarize MUG", 2, "it is a refusal"),
            judge.to_owned(),
            again(judge, 1, "it was cut at the greatest length of an answer"),
            again(judge, 2, "it was withheld by the server's content filter"),
        ]
    );
}

#[tokio::test]
async fn after_too_many_of_them_the_title_stays_and_the_failure_counts() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _| say(""));
    let refine = config(&server.url, home.path(), json!({"max_failed_fraction": 0.0}));
    let agent = open(&refine, home.path()).unwrap();
    let listing = super::listing("MUG");
    let error = agent.refine(listing, None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the agent failed for 1 of 1 products, more than refine.max_failed_fraction (0) allows; \
         the first ones:\n  product `p1`: the summarizer's answer could not be used 3 times: it \
         is empty"
    );
    assert_eq!(server.calls().len(), 3);
    // Allowed to fail, it keeps the title. What was answered is known: no call is made.
    drop(agent);
    let refine = config(&server.url, home.path(), json!({"max_failed_fraction": 0.5}));
    let agent = open(&refine, home.path()).unwrap();
    let refined = agent.refine(listing, None).await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.stop.name()), ("MUG", "failed"));
    assert_eq!(
        refined.failure.as_deref(),
        Some("the summarizer's answer could not be used 3 times: it is empty")
    );
    assert_eq!((agent.done_and_failed(), server.calls().len()), ((1, 1), 3));
    assert!(matches!(agent.finish(), Err(RefineError::Failures { failed: 1, done: 1, .. })));
}

#[test]
fn templates_and_titles_need_no_server() {
    let nowhere = Path::new("/nonexistent");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = |refine: serde_json::Value| {
        let refine = serde_json::from_value(refine).unwrap();
        let agent = Agent::open(&refine, nowhere, super::limit(), &|_| None).unwrap();
        let refined = runtime.block_on(agent.refine(super::listing("A mug"), None));
        (refined.unwrap(), agent.prompts_sha256(), agent.done_and_failed())
    };
    let (refined, hash, _) = run(json!({}));
    assert_eq!((refined.caption.as_str(), refined.stop.name()), ("A mug", "none"));
    assert_eq!(hash, None);
    let templates = json!(["{title}[ of {attributes.material}]", "{product_type}: {title}"]);
    let (refined, hash, counts) = run(json!({"kind": "template", "templates": templates}));
    assert_eq!((refined.caption.as_str(), refined.stop.name()), ("A mug", "template"));
    assert_eq!((refined.further, counts), (vec!["mug: A mug".to_owned()], (1, 0)));
    assert_eq!(hash.unwrap().len(), 64);
    let lacking = json!({"kind": "template", "templates": ["{description}"]});
    let (refined, _, counts) = run(lacking);
    assert_eq!((refined.caption.as_str(), refined.stop.name()), ("A mug", "failed"));
    assert_eq!(counts, (1, 1));
}
