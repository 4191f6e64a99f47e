//! The exact sequence of calls.

use super::server::{Server, say};
use super::{config, limit, listing, open, refine_one};
use prepare::refine::{Agent, Crop, Listing, Stop};
use serde_json::json;

#[tokio::test]
async fn stop_in_round_0() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[say("A red mug"), say("<STOP>")]);
    let refine = config(&server.url, home.path(), json!({}));
    let refined = refine_one(&refine, home.path(), "MUG!!").await.unwrap();
    assert_eq!(refined.caption, "A red mug");
    assert_eq!((refined.rounds, refined.stop), (0, Stop::Stop));
    assert_eq!((refined.model.as_str(), refined.failure), ("m-1", None));
    let bodies: Vec<_> = server.calls().into_iter().map(|call| call.body).collect();
    let system = json!({"role": "system", "content": "You write."});
    let user = |text: &str| json!({"role": "user", "content": text});
    assert_eq!(
        bodies,
        [
            json!({"model": "m", "messages": [system, user("summarize MUG!!")],
                   "temperature": 0.0, "max_tokens": 512}),
            json!({"model": "m", "messages": [user("judge A red mug or <STOP>")],
                   "temperature": 0.0, "max_tokens": 512}),
        ]
    );
    for call in server.calls() {
        assert_eq!(call.target, "POST /v1/chat/completions");
        assert_eq!(call.authorization, None);
    }
}

#[tokio::test]
async fn stop_in_round_2_with_a_model_per_role() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[
        say("A mug"),
        say("Name the colour."),
        say("\"A red mug\""),
        say("Name the material."),
        say("Caption: A red ceramic mug"),
        say("Good. <STOP>"),
    ]);
    let more = json!({"roles": {"summarizer": {"model": "s"}, "evaluator": {"model": "e"}}});
    let refine = config(&server.url, home.path(), more);
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!(refined.caption, "A red ceramic mug");
    assert_eq!((refined.rounds, refined.stop), (2, Stop::Stop));
    assert_eq!(
        server.asked(),
        [
            "summarize MUG",
            "judge A mug or <STOP>",
            "refine A mug by Name the colour.",
            "judge A red mug or <STOP>",
            "refine A red mug by Name the material.",
            "judge A red ceramic mug or <STOP>",
        ]
    );
    let models: Vec<_> = server.calls().iter().map(|call| call.body["model"].clone()).collect();
    assert_eq!(models, ["s", "e", "m", "e", "m", "e"]);
}

#[tokio::test]
async fn never_stopping_ends_after_five_rounds() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|number, _| match number {
        number if number % 2 == 1 => say("Still wrong."),
        number => say(&format!("Mug {}", number / 2)),
    });
    let refine = config(&server.url, home.path(), json!({}));
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.rounds), ("Mug 5", 5));
    assert_eq!(refined.stop, Stop::MaxRounds);
    let mut expected = vec!["summarize MUG".to_owned()];
    for round in 0..5 {
        expected.push(format!("judge Mug {round} or <STOP>"));
        expected.push(format!("refine Mug {round} by Still wrong."));
    }
    assert_eq!(server.asked(), expected);
}

#[tokio::test]
async fn no_rounds_mean_the_first_draft() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[say("A mug")]);
    let refine = config(&server.url, home.path(), json!({"max_rounds": 0}));
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.rounds), ("A mug", 0));
    assert_eq!((refined.stop, server.calls().len()), (Stop::MaxRounds, 1));
}

#[tokio::test]
async fn what_is_too_long_goes_back_without_an_evaluator() {
    let home = tempfile::tempdir().unwrap();
    let long = "a b c d e f g h i j k";
    let server = Server::in_turn(&[say(long), say("A mug"), say("<STOP>")]);
    let refine = config(&server.url, home.path(), json!({}));
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.rounds), ("A mug", 1));
    assert_eq!(
        server.asked(),
        [
            "summarize MUG",
            "refine a b c d e f g h i j k by The caption is too long: it has 11 tokens and at \
             most 10 fit. Shorten it to at most 5 words; keep what the product is and what sets \
             it apart.",
            "judge A mug or <STOP>",
        ]
    );
}

#[tokio::test]
async fn no_final_caption_is_too_long() {
    let home = tempfile::tempdir().unwrap();
    // All are too long: the title stays, as much of it as fits.
    let server = Server::new(|_, _| say("a b c d e f g h i j k"));
    let refine = config(&server.url, home.path(), json!({"max_rounds": 2}));
    let title = "T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11";
    let refined = refine_one(&refine, home.path(), title).await.unwrap();
    assert_eq!(refined.caption, "T1 T2 T3 T4 T5 T6 T7 T8 T9 T10");
    assert_eq!((refined.rounds, refined.stop), (2, Stop::TooLong));
    assert_eq!(refined.failure.as_deref(), Some("no caption fitted into 10 tokens"));
    // The second round asks what the first one asked: that is known already.
    assert_eq!((refined.model.as_str(), server.calls().len()), ("", 2));
    // The last is too long: the one before it stays.
    let home = tempfile::tempdir().unwrap();
    let replies = [say("A mug"), say("More!"), say("a b c d e f g h i j k")];
    let server = Server::in_turn(&replies);
    let refine = config(&server.url, home.path(), json!({"max_rounds": 1}));
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.stop), ("A mug", Stop::MaxRounds));
    // The configuration can lower the limit, but not raise it.
    for (most, caption) in [(3, "a b c"), (99, "a b c d e f g h i j")] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(|_, _| say("a b c d e f g h i j k"));
        let more = json!({"max_tokens_caption": most, "max_rounds": 0});
        let refine = config(&server.url, home.path(), more);
        let refined = refine_one(&refine, home.path(), "a b c d e f g h i j k").await.unwrap();
        assert_eq!((refined.caption.as_str(), refined.stop), (caption, Stop::TooLong));
    }
}

#[tokio::test]
async fn a_model_with_eyes_sees_the_crop() {
    let home = tempfile::tempdir().unwrap();
    let replies = [say("A mug"), say("<STOP>"), say("A cup"), say("<STOP>")];
    let server = Server::in_turn(&replies);
    let crop = Crop { bytes: &[0xff, 0xd8, 0xff], media_type: "image/jpeg" };
    for vision in [true, false] {
        let refine = config(&server.url, home.path(), json!({"vision": vision}));
        let agent = open(&refine, home.path()).unwrap();
        agent.refine(listing("MUG"), Some(crop)).await.unwrap();
    }
    let content: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.body["messages"].as_array().unwrap().last().unwrap()["content"].clone())
        .collect();
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}});
    let seeing = |text: &str| json!([{"type": "text", "text": text}, image]);
    assert_eq!(content[0], seeing("summarize MUG"));
    assert_eq!(content[1], seeing("judge A mug or <STOP>"));
    // Blind, it is another question, and not one that the cache answers.
    assert_eq!(content[2..], ["summarize MUG", "judge A cup or <STOP>"]);
}

#[tokio::test]
async fn the_built_in_prompts_work() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[say("A mug"), say("Colour?"), say("A red mug"), say("<STOP>")]);
    let mut refine = config(&server.url, home.path(), json!({"sampling": {"seed": 7}}));
    let mine = open(&refine, home.path()).unwrap().prompts_sha256();
    refine.roles = Default::default();
    let agent = Agent::open(&refine, &home.path().join("cache"), limit(), &|_| None).unwrap();
    assert_ne!(agent.prompts_sha256(), mine);
    let attributes = [("colour".to_owned(), "red".to_owned())];
    let product = Listing {
        description: Some("Dishwasher proof."),
        attributes: &attributes,
        ..listing("BEST MUG {title}")
    };
    agent.refine(product, None).await.unwrap();
    let facts = "Title: BEST MUG {title}\nProduct type: mug\ncolour: red\nDescription: Dishwasher \
                 proof.\n";
    for (call, others) in
        server.calls().iter().zip([vec![], vec!["A mug"], vec!["A mug", "Colour?"]])
    {
        let messages = call.body["messages"].as_array().unwrap();
        assert_eq!((messages.len(), &messages[0]["role"]), (2, &json!("system")));
        assert!(call.asked().contains(facts), "{}", call.asked());
        assert!(others.iter().all(|text| call.asked().contains(text)), "{}", call.asked());
        assert_eq!(call.body["seed"], 7);
    }
}
