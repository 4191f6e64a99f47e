//! The API key goes to the server and nowhere else.

use super::server::{Reply, Server, completion};
use super::{config, limit, listing};
use configs::prepare::Refine;
use prepare::refine::{Agent, RefineError};
use serde_json::json;
use std::path::Path;

const SECRET: &str = "sk-test/0123456789/abcdef";

fn open(refine: &Refine, home: &Path) -> Result<Agent, RefineError> {
    Agent::open(refine, &home.join("cache"), limit(), &|name| match name {
        "MY_KEY" => Some(format!("{SECRET}\n")),
        "EMPTY_KEY" => Some(" ".into()),
        "BROKEN_KEY" => Some("a\nb".into()),
        "OPENAI_API_KEY" => Some("sk-for-openai-alone".into()),
        _ => None,
    })
}

fn bytes_below(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries
        .map(|path| if path.is_dir() { bytes_below(&path) } else { std::fs::read(path).unwrap() });
    all.flatten().collect()
}

#[tokio::test]
async fn it_is_sent_and_shown_nowhere() {
    let home = tempfile::tempdir().unwrap();
    // A server that quotes what it is sent, in answers and in errors.
    let server = Server::new(|number, call| {
        let quoted = format!("mug for {}", call.authorization.as_ref().unwrap());
        match number {
            0 => Reply::Http(500, "", quoted),
            // As some servers spell JSON, the key is not in the text as it stands.
            1 => {
                let body = completion(&quoted, "stop").to_string();
                Reply::Http(200, "", body.replace('/', "\\/"))
            }
            _ => Reply::Http(401, "", json!({"error": {"message": quoted}}).to_string()),
        }
    });
    let more = json!({"endpoint": {"api_key_env": "MY_KEY"}});
    let refine = config(&server.url, home.path(), more);
    let agent = open(&refine, home.path()).unwrap();
    let error = agent.refine(listing("MUG"), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}/chat/completions answered HTTP 401 (mug for Bearer ***): it does not accept the \
             API key in the environment variable `MY_KEY`; set that to a valid one, or name \
             another in refine.endpoint.api_key_env",
            server.url
        )
    );
    for call in server.calls() {
        assert_eq!(call.authorization, Some(format!("Bearer {SECRET}")));
    }
    assert_eq!(server.calls().len(), 3);
    for text in [format!("{agent:?}"), format!("{error:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let kept = String::from_utf8(bytes_below(home.path())).unwrap();
    assert!(kept.contains("mug for Bearer ***") && !kept.contains(SECRET));
}

#[tokio::test]
async fn the_usual_key_goes_to_its_own_server_alone() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::in_turn(&[super::server::say("A mug")]);
    let refine = config(&server.url, home.path(), json!({"max_rounds": 0}));
    open(&refine, home.path()).unwrap().refine(listing("MUG"), None).await.unwrap();
    assert_eq!(server.calls()[0].authorization, None);
}

#[test]
fn a_variable_without_a_key_is_named() {
    let home = tempfile::tempdir().unwrap();
    for (name, problem) in [
        ("NO_KEY", "is not set"),
        ("EMPTY_KEY", "is empty"),
        ("BROKEN_KEY", "holds characters that no API key has, such as a line's end"),
    ] {
        let more = json!({"endpoint": {"api_key_env": name}});
        let refine = config("http://127.0.0.1:9/v1", home.path(), more);
        assert_eq!(
            open(&refine, home.path()).unwrap_err().to_string(),
            format!(
                "the environment variable `{name}`, which refine.endpoint.api_key_env names, \
                 {problem}; set it to the API key, or leave api_key_env out if the server needs \
                 none"
            )
        );
    }
    // At api.openai.com the usual variable counts without being named.
    let refine = config("https://api.openai.com/v1", home.path(), json!({}));
    let none = Agent::open(&refine, &home.path().join("cache"), limit(), &|_| None);
    assert!(matches!(
        none,
        Err(RefineError::Key { variable, problem: "is not set" }) if variable == "OPENAI_API_KEY"
    ));
}
