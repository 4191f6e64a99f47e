//! Servers and networks that fail.

use super::server::{Reply, Server, say};
use super::{config, open, refine_one};
use prepare::refine::Stop;
use serde_json::json;
use std::time::{Duration, SystemTime};

fn http(status: u16, body: &str) -> Reply {
    Reply::Http(status, "", body.into())
}

/// The message of what stops the run when the server answers so.
async fn stopping(reply: Reply, calls: usize) -> String {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(move |_, _| reply.clone());
    let refine = config(&server.url, home.path(), json!({}));
    let error = refine_one(&refine, home.path(), "MUG").await.unwrap_err();
    assert_eq!(server.calls().len(), calls, "{error}");
    error.to_string().replace(&server.url, "URL")
}

/// Why the product kept its title when the server answers so after a good first answer.
async fn failing(reply: Reply, more: serde_json::Value, calls: usize) -> String {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(move |number, _| match number {
        0 => say("A mug"),
        _ => reply.clone(),
    });
    let refine = config(&server.url, home.path(), more);
    let refined = refine_one(&refine, home.path(), "MUG").await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.stop), ("MUG", Stop::Failed));
    assert_eq!(server.calls().len(), calls);
    refined.failure.unwrap()
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[
        http(500, "{\"error\": {\"message\": \"oops\"}}"),
        Reply::Cut,
        Reply::Hang,
        say("A mug"),
        http(200, "<html>busy</html>"),
        http(200, "{\"choices\": []}"),
        http(503, ""),
        say("<STOP>"),
    ]);
    let refine = config(&server.url, home.path(), json!({}));
    let agent = open(&refine, home.path()).unwrap();
    let refined = agent.refine(super::listing("MUG"), None).await.unwrap();
    assert_eq!((refined.caption.as_str(), refined.stop), ("A mug", Stop::Stop));
    let asked = server.asked();
    assert_eq!(asked[..4], ["summarize MUG"; 4]);
    assert_eq!(asked[4..], ["judge A mug or <STOP>"; 4]);
    let spent = agent.spent();
    assert_eq!((spent.requests, spent.input_tokens, spent.output_tokens), (8, 14, 6));
    assert_eq!(
        spent.to_string(),
        "8 calls, 14 tokens asked, 6 answered; 0 answers were known already"
    );
}

#[tokio::test]
async fn a_server_is_given_the_time_it_asks_for() {
    for (head, least) in [("Retry-After: 1\r\n", 1.0), ("retry-after: 0.3\r\n", 0.3)] {
        let home = tempfile::tempdir().unwrap();
        let busy = Reply::Http(429, head, "{\"error\": {\"message\": \"slow down\"}}".into());
        let server = Server::in_turn(&[busy, say("A mug"), say("<STOP>")]);
        let refine = config(&server.url, home.path(), json!({}));
        refine_one(&refine, home.path(), "MUG").await.unwrap();
        let calls = server.calls();
        let waited = calls[1].at - calls[0].at;
        assert!(waited >= Duration::from_secs_f64(least) && waited.as_secs_f64() < least + 9.0);
    }
}

#[tokio::test]
async fn a_date_to_come_back_at_and_one_too_far_away() {
    let at = |seconds| {
        let date = SystemTime::now() + Duration::from_secs(seconds);
        format!("Retry-After: {}\r\n", httpdate::fmt_http_date(date))
    };
    let home = tempfile::tempdir().unwrap();
    let busy = Reply::Http(429, at(2).leak(), String::new());
    let server = Server::in_turn(&[busy, say("A mug"), say("<STOP>")]);
    let refine = config(&server.url, home.path(), json!({}));
    refine_one(&refine, home.path(), "MUG").await.unwrap();
    let calls = server.calls();
    // Dates have no fractions of seconds.
    assert!((calls[1].at - calls[0].at).as_secs_f64() > 0.9);
    let message = stopping(Reply::Http(429, "Retry-After: 3600\r\n", "daily".into()), 1).await;
    assert_eq!(
        message,
        "URL/chat/completions asks to wait 3600 s before the next call (`daily`); start again \
         after that: the run goes on from its answers so far"
    );
}

#[tokio::test]
async fn what_does_not_pass_fails_the_product() {
    let more = || json!({"endpoint": {"max_retries": 2}});
    assert_eq!(
        failing(http(500, "{\"error\": {\"message\": \"oops\"}}"), more(), 4).await,
        "no answer in 3 tries; the last: HTTP 500 (oops)"
    );
    assert_eq!(
        failing(http(200, "{]"), json!({"endpoint": {"max_retries": 0}}), 2).await,
        "no answer in 1 try; the last: the answer is not JSON (key must be a string at line 1 \
         column 2): `{]`"
    );
    let slow = Reply::After(Duration::from_secs(3), "late".into());
    let timeout = json!({"endpoint": {"max_retries": 1, "timeout_s": 1.0}});
    assert_eq!(
        failing(slow, timeout, 3).await,
        "no answer in 2 tries; the last: no whole answer came within refine.endpoint.timeout_s"
    );
    let cut = failing(Reply::Cut, more(), 4).await;
    assert!(cut.starts_with("no answer in 3 tries; the last: "), "{cut}");
    assert!(cut.contains("end of file before message length reached"), "{cut}");
    // Nothing is gained by asking the same again.
    assert_eq!(
        failing(http(400, "{\"error\": {\"message\": \"too many tokens\"}}"), more(), 2).await,
        "the server answered HTTP 400 (too many tokens)"
    );
}

#[tokio::test]
async fn what_will_never_work_stops_at_once() {
    let missing = "{\"error\": {\"message\": \"The model `m` does not exist\", \
                   \"code\": \"model_not_found\"}}";
    for status in [404, 400] {
        assert_eq!(
            stopping(http(status, missing), 1).await,
            format!(
                "URL/chat/completions answered HTTP {status} (The model `m` does not exist): it \
                 has no model `m`, or nothing at this address; check refine.model, the models of \
                 refine.roles, and refine.endpoint.url (it mostly ends in /v1)"
            )
        );
    }
    assert_eq!(
        stopping(http(401, ""), 1).await,
        "URL/chat/completions answered HTTP 401: it wants an API key and none was sent; put the \
         key into an environment variable and name that in refine.endpoint.api_key_env"
    );
    assert_eq!(
        stopping(http(403, "{\"detail\": \"not yours\"}"), 1).await,
        "URL/chat/completions answered HTTP 403 (not yours): access is refused, to the model `m` \
         or altogether; it wants an API key and none was sent; put the key into an environment \
         variable and name that in refine.endpoint.api_key_env"
    );
    let sampling = "it does not take the request as it is; check refine.sampling (null leaves a \
                    field out)";
    let unsupported = "{\"error\": {\"message\": \"Unsupported parameter: 'max_tokens'\", \
                       \"code\": \"unsupported_parameter\"}}";
    assert_eq!(
        stopping(http(400, unsupported), 1).await,
        format!(
            "URL/chat/completions answered HTTP 400 (Unsupported parameter: 'max_tokens'): \
             {sampling}"
        )
    );
    assert_eq!(
        stopping(http(422, "{\"detail\": [\"no such thing\"]}"), 1).await,
        format!("URL/chat/completions answered HTTP 422 ([\"no such thing\"]): {sampling}")
    );
    let quota = "{\"error\": {\"message\": \"quota\", \"code\": \"insufficient_quota\"}}";
    assert_eq!(
        stopping(http(429, quota), 1).await,
        "URL/chat/completions answered HTTP 429 (quota): the account has no quota left; raise it \
         with the provider, then start again: the run goes on from its answers so far"
    );
    let moved = Reply::Http(307, "Location: /api/v1/chat/completions?token=x\r\n", "".into());
    let message = stopping(moved, 1).await;
    assert!(
        message.starts_with("URL/chat/completions answered HTTP 307: it redirects to http://127"),
        "{message}"
    );
    assert!(
        message
            .ends_with("/api/v1/chat/completions; set refine.endpoint.url to where the server is"),
        "{message}"
    );
}

#[tokio::test]
async fn nobody_there_and_somebody_else_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let refine = config(&format!("http://{free}/v1"), home.path(), json!({}));
    let error = refine_one(&refine, home.path(), "MUG").await.unwrap_err().to_string();
    let start = format!(
        "http://{free}/v1/chat/completions does not answer as an OpenAI-compatible server, 4 tries \
         long: "
    );
    let end = "; is the server running, and is refine.endpoint.url right (it mostly ends in /v1)?";
    assert!(error.starts_with(&start) && error.ends_with(end), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert_eq!(
        stopping(http(200, "<html>Welcome to nginx</html>"), 4).await,
        "URL/chat/completions does not answer as an OpenAI-compatible server, 4 tries long: the \
         answer is not JSON (expected value at line 1 column 1): `<html>Welcome to nginx</html>`; \
         is the server running, and is refine.endpoint.url right (it mostly ends in /v1)?"
    );
}

#[test]
fn bad_configurations_and_prompts_are_named() {
    let home = tempfile::tempdir().unwrap();
    let refine = config("http://127.0.0.1:9/v1", home.path(), json!({"model": " "}));
    assert_eq!(
        open(&refine, home.path()).unwrap_err().to_string(),
        "refine.model: expected a model's name where kind is llm, found none"
    );
    let refine = config("http://127.0.0.1:9/v1", home.path(), json!({}));
    let file = home.path().join("refiner.txt");
    std::fs::write(&file, "Refine {caption}\nby {criticism}").unwrap();
    assert_eq!(
        open(&refine, home.path()).unwrap_err().to_string(),
        format!(
            "{}:2: unknown placeholder `{{criticism}}`; expected one of {{product}}, {{title}}, \
             {{description}}, {{product_type}}, {{attributes}}, {{caption}}, {{critique}}, \
             {{max_tokens}}, {{max_words}}; write `{{{{` and `}}}}` for braces themselves",
            file.display()
        )
    );
    std::fs::write(&file, b"Refine {caption}\n\xff by {critique}").unwrap();
    assert_eq!(
        open(&refine, home.path()).unwrap_err().to_string(),
        format!("{}:2: expected text in UTF-8, found other bytes", file.display())
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        open(&refine, home.path()).unwrap_err().to_string(),
        format!("cannot read `{}`: No such file or directory (os error 2)", file.display())
    );
}
