//! `tests/peers/s3_server.py` as a value: it runs for as long as this lives.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An S3 server with one bucket.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The bucket's name.
    pub bucket: String,
    child: Child,
    /// The server ends when this closes.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Starts the server with the files below `folder`, each under its relative path, readable by
    /// signed requests only.
    pub fn start(folder: &Path) -> Self {
        Self::with(&["--folder", folder.to_str().unwrap()])
    }

    /// The same, but objects may be read unsigned: `http://` without credentials.
    pub fn public(folder: &Path) -> Self {
        Self::with(&["--public", "--folder", folder.to_str().unwrap()])
    }

    fn with(args: &[&str]) -> Self {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut child = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
            .arg("tests/peers/s3_server.py")
            .args(args)
            .current_dir(root)
            .env("PYTHONPATH", ".peers")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (endpoint, bucket) = (String::new(), String::new());
        let mut server = Self { endpoint, bucket, child, orders, answers };
        let hello = server.answer();
        let text = |key: &str| hello[key].as_str().unwrap().to_owned();
        (server.endpoint, server.bucket) = (text("endpoint"), text("bucket"));
        server
    }

    /// Puts a file under `key`, in place of what was there. Its ETag.
    pub fn put(&mut self, key: &str, file: &Path) -> String {
        let answer = self.order(&json!({"put": key, "file": file}));
        answer["etag"].as_str().unwrap().to_owned()
    }

    /// Removes an object.
    pub fn delete(&mut self, key: &str) {
        self.order(&json!({"delete": key}));
    }

    /// Writes every object below `prefix` to a file below `folder`.
    pub fn fetch(&mut self, prefix: &str, folder: &Path) {
        self.order(&json!({"fetch": prefix, "folder": folder}));
    }

    fn order(&mut self, order: &Value) -> Value {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).unwrap();
        assert!(read > 0, "the S3 server ended (`make peers` installs what it needs)");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.orders = None;
        // It ends by itself; a server that hangs must not hang the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
