//! An HTTP server that answers chat calls as a test tells it to, and writes down what it was asked.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// `POST /v1/chat/completions`.
    pub target: String,
    /// The Authorization header.
    pub authorization: Option<String>,
    pub body: Value,
    pub at: Instant,
}

impl Call {
    /// The text of the last message.
    pub fn asked(&self) -> &str {
        let messages = self.body["messages"].as_array().unwrap();
        let content = &messages.last().unwrap()["content"];
        content.as_str().or_else(|| content[0]["text"].as_str()).unwrap()
    }
}

/// What is sent back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer with this text, and 7 tokens asked and 3 answered.
    Say(String),
    /// As `Say`, later.
    After(Duration, String),
    /// Any status, header lines and body.
    Http(u16, &'static str, String),
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection ends before anything is said.
    Hang,
}

pub fn say(text: &str) -> Reply {
    Reply::Say(text.into())
}

/// An answer as the protocol spells it.
pub fn completion(text: &str, finish: &str) -> Value {
    json!({"id": "1", "object": "chat.completion", "model": "m-1",
           "choices": [{"index": 0, "finish_reason": finish,
                        "message": {"role": "assistant", "content": text}}],
           "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}})
}

#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Runs until the test ends.
pub struct Server {
    pub url: String,
    seen: Arc<Seen>,
}

impl Server {
    /// A server whose replies are a function of the call's number and the call.
    pub fn new(script: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        std::thread::spawn({
            let seen = seen.clone();
            move || {
                for stream in listener.incoming() {
                    let (seen, script) = (seen.clone(), script.clone());
                    std::thread::spawn(move || serve(&stream.unwrap(), &seen, &*script));
                }
            }
        });
        Self { url, seen }
    }

    /// One that gives these replies in turn, and status 418 after the last.
    pub fn in_turn(replies: &[Reply]) -> Self {
        let replies = replies.to_vec();
        Self::new(move |number, _| {
            replies.get(number).cloned().unwrap_or(Reply::Http(418, "", "no more".into()))
        })
    }

    pub fn calls(&self) -> Vec<Call> {
        self.seen.calls.lock().unwrap().clone()
    }

    /// The last message of each call.
    pub fn asked(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.asked().to_owned()).collect()
    }

    /// The most calls at once.
    pub fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, seen: &Seen, script: &dyn Fn(usize, &Call) -> Reply) {
    // A client that gave up is no failure of a test.
    let Some(call) = read(stream) else { return };
    let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(now, Ordering::SeqCst);
    let number = {
        let mut calls = seen.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let reply = script(number, &call);
    if let Reply::After(pause, _) = &reply {
        std::thread::sleep(*pause);
    }
    seen.now.fetch_sub(1, Ordering::SeqCst);
    let (status, head, body) = match reply {
        Reply::Say(text) | Reply::After(_, text) => {
            (200, "", completion(&text, "stop").to_string())
        }
        Reply::Http(status, head, body) => (status, head, body),
        Reply::Cut => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"choices\"";
            let _ = (&*stream).write_all(head.as_bytes());
            return;
        }
        Reply::Hang => return drop(stream.shutdown(Shutdown::Both)),
    };
    let text = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{head}\r\n{body}",
        body.len()
    );
    let _ = (&*stream).write_all(text.as_bytes());
}

fn read(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let field = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = vec![0; field("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let target = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
    let authorization = field("authorization");
    let body = serde_json::from_slice(&body).ok()?;
    Some(Call { target, authorization, body, at: Instant::now() })
}
