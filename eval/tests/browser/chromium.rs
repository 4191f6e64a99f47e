//! Headless Chromium, spoken to over a pipe in the DevTools protocol: no port, no driver. Everything
//! is bounded in time, and the process ends with the value that holds it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long an answer may take: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names that Chromium has on Debian, Ubuntu, Fedora and where Google packages it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A running browser.
pub struct Browser {
    process: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    last_id: u64,
    /// Its profile: new, and gone afterwards.
    _profile: tempfile::TempDir,
}

/// What a page asked for and complained about while it was open.
#[derive(Debug, Default)]
pub struct Observed {
    /// Addresses it requested, its own included.
    pub requests: Vec<String>,
    /// Errors, warnings and whatever else it wrote to the console.
    pub complaints: Vec<String>,
}

/// A tab with one page.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
    pub observed: Observed,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub width: u32,
    pub theme: &'static str,
    pub media: &'static str,
}

impl Browser {
    /// Starts the Chromium of this machine. `None`, with a line that says so, where there is none;
    /// with `VLCLIP_REQUIRE_BROWSER=1` that is a failure.
    pub fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = NAMES.iter().find_map(|name| {
            std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
        });
        let Some(program) = found else {
            let required = std::env::var("VLCLIP_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "VLCLIP_REQUIRE_BROWSER=1, but none of {NAMES:?} is on the PATH: install one \
                 (Debian: apt-get install chromium)"
            );
            // Not `eprintln!`, which a passing test swallows.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: report.html was not opened, since none of {NAMES:?} is on the PATH \
                 (Debian: apt-get install chromium)"
            );
            return None;
        };
        Some(Self::run(&program))
    }

    fn run(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("temporary folder");
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                     --disable-background-networking --disable-component-update --disable-sync \
                     --remote-debugging-pipe";
        // The browser reads commands from descriptor 3 and answers on 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args(flags.split_whitespace())
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        let (send, messages) = channel();
        // Ends when the browser closes the pipe or nobody listens any more.
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("DevTools speaks JSON");
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        Self { process, commands, messages, last_id: 0, _profile: profile }
    }

    /// Opens `file` in a new tab and waits until everything in it is loaded.
    pub fn open(&mut self, file: &Path, view: View) -> Tab<'_> {
        let mut ignored = Observed::default();
        let target =
            self.call(None, "Target.createTarget", json!({"url": "about:blank"}), &mut ignored);
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach, &mut ignored);
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let mut tab = Tab { browser: self, session, observed: Observed::default() };
        for domain in ["Page", "Network", "Log", "Runtime"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        let phone = view.width < 600;
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": phone}),
        );
        let theme = json!([{"name": "prefers-color-scheme", "value": view.theme}]);
        tab.call("Emulation.setEmulatedMedia", json!({"media": view.media, "features": theme}));
        let url = format!("file://{}", file.display());
        let went = tab.call("Page.navigate", json!({"url": url}));
        assert!(went.get("errorText").is_none(), "{url}: {went}");
        tab.wait_for("document.readyState === 'complete' && location.protocol === 'file:'");
        tab
    }

    fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
        observed: &mut Observed,
    ) -> Value {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        let pipe = self.commands.as_mut().expect("open until dropped");
        pipe.write_all(&bytes).expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self
                .messages
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if message["id"] == self.last_id {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            if session.is_some_and(|session| message["sessionId"] == session) {
                observed.note(&message);
            }
        }
    }
}

impl Observed {
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().into());
            }
            "Network.webSocketCreated" => self.requests.push(params["url"].to_string()),
            "Log.entryAdded" => self.complaints.push(params["entry"].to_string()),
            "Runtime.consoleAPICalled" => self.complaints.push(params["args"].to_string()),
            "Runtime.exceptionThrown" => {
                self.complaints.push(params["exceptionDetails"].to_string());
            }
            _ => {}
        }
    }
}

impl Tab<'_> {
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params, &mut self.observed)
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn wait_for(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(condition) != true {
            assert!(Instant::now() < deadline, "never true: {condition}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The whole page as a picture: PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.call("Page.captureScreenshot", params);
        BASE64_STANDARD.decode(answer["data"].as_str().expect("data")).expect("base64")
    }

    /// The page on paper: PDF.
    pub fn paper(&mut self) -> Vec<u8> {
        let params = json!({"preferCSSPageSize": true, "printBackground": false});
        let answer = self.call("Page.printToPDF", params);
        BASE64_STANDARD.decode(answer["data"].as_str().expect("data")).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.commands.take() {
            let _ = pipe.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Nothing happens to one that has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
