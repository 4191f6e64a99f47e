//! Fetching against a web server on loopback that does what web servers do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use configs::prepare::Fetch;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::RowRef;

/// A PNG's first bytes, which is all that is looked at here.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// A web server: each request's path is answered by `answer`, which also learns how often that
/// path was asked for before.
struct Server {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

type Handler = dyn Fn(&str, usize, &mut TcpStream) + Send + Sync;

impl Server {
    fn start(handler: impl Fn(&str, usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, log: Arc::default() };
        let handler: Arc<Handler> = Arc::new(handler);
        let log = server.log.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (handler, log) = (handler.clone(), log.clone());
                thread::spawn(move || {
                    let Some(path) = requested(&mut stream) else { return };
                    let before = {
                        let mut log = log.lock().unwrap();
                        log.push(path.clone());
                        log.iter().filter(|earlier| **earlier == path).count() - 1
                    };
                    handler(&path, before, &mut stream);
                });
            }
        });
        server
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// The path of a request, read to its end.
fn requested(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let text = String::from_utf8(request).unwrap();
    assert!(text.to_lowercase().contains("user-agent: vlclip/"), "{text}");
    assert!(!text.to_lowercase().contains("accept-encoding"), "{text}");
    Some(text.split(' ').nth(1)?.to_owned())
}

/// A client that went away is no error of the server.
fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

fn picture(stream: &mut TcpStream) {
    let head = format!("200 OK\r\nContent-Type: image/png\r\nContent-Length: {}", PNG.len());
    send(stream, &head, PNG);
}

fn config() -> Fetch {
    Fetch {
        allow_private: true,
        backoff_s: 0.001,
        retries: 2,
        max_mb: 0.1,
        timeout_s: 20.0,
        ..Fetch::default()
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn product(image: ImageRef) -> Product {
    Product {
        row: RowRef { file: Path::new("a.csv").into(), file_index: 0, row: 4, line: Some(7) },
        product_id: "p".into(),
        title: "a".into(),
        description: None,
        product_type: "b".into(),
        phrase: "b".into(),
        attributes: Vec::new(),
        image,
        given_box: None,
        weight: None,
        group: None,
    }
}

fn get(config: &Fetch, image: ImageRef) -> Result<Bytes, Reject> {
    let fetcher = Fetcher::new(config, None).unwrap();
    runtime().block_on(fetcher.get(&product(image)))
}

/// What a URL is rejected with, the port left out.
fn says(config: &Fetch, server: &Server, path: &str) -> (Cause, String) {
    let reject = get(config, ImageRef::Url(server.url(path))).unwrap_err();
    assert_eq!((reject.row.line, reject.product_id.as_deref()), (Some(7), Some("p")));
    (reject.cause, reject.detail.replace(&format!("127.0.0.1:{}", server.port), "HOST"))
}

#[test]
fn pictures_come_over_redirects_and_after_failures() {
    let server = Server::start(|path, before, stream| match (path, before) {
        ("/moved", _) => send(stream, "302 Found\r\nLocation: /a%20b.png", b""),
        ("/flaky", 0) => send(stream, "500 Oh", b""),
        ("/flaky", 1) => send(stream, "200 OK\r\nContent-Length: 500", PNG),
        ("/endless-redirect", _) => {
            send(stream, "301 Moved\r\nLocation: /endless-redirect", b"");
        }
        _ => picture(stream),
    });
    for path in ["/a.png", "/moved", "/flaky"] {
        assert_eq!(get(&config(), ImageRef::Url(server.url(path))).unwrap(), PNG);
    }
    let requests = ["/a.png", "/moved", "/a%20b.png", "/flaky", "/flaky", "/flaky"];
    assert_eq!(server.requests(), requests);
    assert_eq!(
        says(&config(), &server, "/endless-redirect"),
        (
            Cause::FetchFailed,
            "`http://HOST/endless-redirect`: more than 5 redirects (catalogue.fetch.max_redirects)"
                .into()
        )
    );
    assert_eq!(server.requests().len(), 6 + 6);
}

#[test]
fn what_servers_refuse_is_said() {
    let server = Server::start(|path, _, stream| match path {
        "/gone" => send(stream, "404 Not Found", b"<html>"),
        "/secret" => send(stream, "403 Forbidden", b""),
        "/busy" => send(stream, "503 Service Unavailable", b""),
        "/later" => send(stream, "429 Too Many Requests\r\nRetry-After: 3600", b""),
        "/cut" => send(stream, "200 OK\r\nContent-Length: 500", PNG),
        "/silent" => {}
        "/odd" => send(stream, "302 Found\r\nLocation: file:///etc/passwd", b""),
        "/page" => send(stream, "200 OK\r\nContent-Type: text/html; charset=x", b"<!DOCTYPE html>"),
        "/gif" => send(stream, "200 OK\r\nContent-Type: image/gif", b"GIF89a......"),
        "/empty" => send(stream, "200 OK", b""),
        "/packed" => send(stream, "200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b"),
        _ => send(stream, "200 OK\r\nContent-Type: image/png", &[0, 1, 2]),
    });
    let found = |path: &str| says(&config(), &server, path);
    let is = |path: &str, cause, text: &str| {
        assert_eq!(found(path), (cause, format!("`http://HOST{path}`: {text}")));
    };
    is("/gone", Cause::ImageNotFound, "the server answers 404 Not Found");
    is("/secret", Cause::FetchFailed, "the server answers 403 Forbidden");
    let busy = "the server answers 503 Service Unavailable (after 3 attempts)";
    is("/busy", Cause::FetchFailed, busy);
    let later = "the server answers 429 Too Many Requests and asks for a pause of 3600 s";
    is("/later", Cause::FetchFailed, later);
    let odd = "it is redirected to `file:///etc/passwd`: expected http or https";
    is("/odd", Cause::FetchFailed, odd);
    let page = "expected JPEG, PNG or WebP, found an HTML page (15 bytes, sent as `text/html; \
                charset=x`)";
    is("/page", Cause::NotAPicture, page);
    let gif = "expected JPEG, PNG or WebP, found GIF (12 bytes, sent as `image/gif`)";
    is("/gif", Cause::NotAPicture, gif);
    is("/empty", Cause::NotAPicture, "expected JPEG, PNG or WebP, found nothing (0 bytes)");
    let packed = "the server sends it packed as `gzip`, unasked";
    is("/packed", Cause::NotAPicture, packed);
    let other = "expected JPEG, PNG or WebP, found bytes that begin 00 01 02 (3 bytes, sent as \
                 `image/png`)";
    is("/other", Cause::NotAPicture, other);
    let (cause, text) = found("/cut");
    assert_eq!(cause, Cause::FetchFailed);
    let start = "`http://HOST/cut`: the connection broke after ";
    assert!(text.starts_with(start) && text.contains(" of 500 bytes: "), "{text}");
    assert!(text.ends_with(" (after 3 attempts)"), "{text}");
    let (_, text) = found("/silent");
    assert!(text.starts_with("`http://HOST/silent`: the request failed: "), "{text}");
    let nobody = Url::parse("http://127.0.0.1:1/a.png").unwrap();
    let text = get(&config(), ImageRef::Url(nobody)).unwrap_err().to_string();
    let start = "`a.csv` line 7 (product `p`): `http://127.0.0.1:1/a.png`: the server cannot be \
                 reached: ";
    assert!(text.starts_with(start), "{text}");
    let mut secret = server.url("/gone");
    secret.set_username("me").unwrap();
    secret.set_password(Some("hidden")).unwrap();
    assert!(!get(&config(), ImageRef::Url(secret)).unwrap_err().detail.contains("hidden"));
}

#[test]
fn no_answer_takes_more_bytes_or_time_than_allowed() {
    let server = Server::start(|path, _, stream| match path {
        "/announced" => send(stream, "200 OK\r\nContent-Length: 900000", PNG),
        "/endless" => {
            send(stream, "200 OK", PNG);
            while stream.write_all(&[0; 4096]).is_ok() {}
        }
        "/chunked" => {
            send(stream, "200 OK\r\nTransfer-Encoding: chunked", b"");
            while stream.write_all(b"4\r\nabcd\r\n").is_ok() {}
        }
        "/slow" => {
            send(stream, "200 OK\r\nContent-Length: 500", b"");
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        }
        _ => thread::sleep(Duration::from_secs(5)),
    });
    let found = |path: &str| says(&config(), &server, path);
    let limit = "at most 100000 are read (catalogue.fetch.max_mb)";
    for (path, size) in [
        ("/announced", "it has 900000 bytes"),
        ("/endless", "it has more than 100000 bytes"),
        ("/chunked", "it has more than 100000 bytes"),
    ] {
        let text = format!("`http://HOST{path}`: {size}: {limit}");
        assert_eq!(found(path), (Cause::ImageTooLarge, text));
    }
    let hasty = Fetch { timeout_s: 0.3, retries: 1, ..config() };
    let begun = Instant::now();
    for path in ["/slow", "/silent"] {
        let text = format!(
            "`http://HOST{path}`: no whole answer within 0.3 s (catalogue.fetch.timeout_s) (after 2 \
             attempts)"
        );
        assert_eq!(says(&hasty, &server, path), (Cause::FetchFailed, text));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn pauses_that_a_server_asks_for_are_kept_by_all_requests_to_it() {
    let server = Server::start(|path, before, stream| match (path, before) {
        ("/wait", 0) => send(stream, "429 Too Many Requests\r\nRetry-After: 1", b""),
        ("/date", 0) => {
            let date = std::time::SystemTime::now() + Duration::from_secs(2);
            let date = httpdate::fmt_http_date(date);
            send(stream, &format!("503 Busy\r\nRetry-After: {date}"), b"");
        }
        _ => picture(stream),
    });
    let fetcher = Fetcher::new(&config(), None).unwrap();
    let runtime = runtime();
    let get = |path: &str| {
        let begun = Instant::now();
        let got = runtime.block_on(fetcher.get(&product(ImageRef::Url(server.url(path)))));
        assert_eq!(got.unwrap(), PNG);
        begun.elapsed()
    };
    assert!(get("/wait") >= Duration::from_secs(1));
    assert!(get("/date") >= Duration::from_millis(900), "dates have no fractions of a second");
    // Another request meanwhile waits, too.
    let began = Instant::now();
    let host = fetcher.web.hosts.host(&format!("127.0.0.1:{}", server.port));
    host.rest(Duration::from_millis(700));
    get("/other");
    assert!(began.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_host_gets_so_many_requests_at_a_time_and_no_more() {
    let (at_once, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::start(move |_, _, stream| {
        seen.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        // Before the answer, which lets the next request come.
        at_once.fetch_sub(1, Ordering::SeqCst);
        picture(stream);
    });
    let fetcher = Fetcher::new(&Fetch { per_host: 3, ..config() }, None).unwrap();
    let fetcher = Arc::new(fetcher);
    let runtime = runtime();
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let (fetcher, url) = (fetcher.clone(), server.url(&format!("/{i}")));
            runtime.spawn(async move { fetcher.get(&product(ImageRef::Url(url))).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap().unwrap(), PNG);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn private_addresses_are_refused_before_anything_is_sent() {
    let server = Server::start(|_, _, stream| picture(stream));
    let strict = Fetch { allow_private: false, ..config() };
    let only = "pictures come from there only if catalogue.fetch.allow_private is true";
    let port = server.port;
    for (host, who) in [
        ("127.0.0.1", "`127.0.0.1` is a loopback address"),
        ("2130706433", "`127.0.0.1` is a loopback address"),
        ("0177.1", "`127.0.0.1` is a loopback address"),
        ("[::ffff:127.0.0.1]", "`::ffff:127.0.0.1` is a loopback address"),
        ("169.254.169.254", "`169.254.169.254` is a link-local address"),
        ("10.0.0.1", "`10.0.0.1` is a private address"),
    ] {
        let url = Url::parse(&format!("http://{host}:{port}/a.png")).unwrap();
        let reject = get(&strict, ImageRef::Url(url.clone())).unwrap_err();
        assert_eq!(reject.cause, Cause::PrivateAddress);
        assert_eq!(reject.detail, format!("`{url}`: {who}; {only}"));
    }
    // A name is checked when it is resolved.
    let url = Url::parse(&format!("http://localhost:{port}/a.png")).unwrap();
    let reject = get(&strict, ImageRef::Url(url.clone())).unwrap_err();
    assert_eq!(reject.cause, Cause::PrivateAddress, "{reject}");
    let text = reject.detail.replace("::1", "127.0.0.1");
    let who = "`localhost` is at 127.0.0.1, which is a loopback address";
    assert_eq!(text, format!("`{url}`: {who}; {only}"));
    assert!(server.requests().is_empty());
}

/// The first hop must be allowed for the second to be looked at, so the rule is asked as the
/// redirect is followed: hop by hop.
#[test]
fn a_redirect_into_the_network_is_refused() {
    let server = Server::start(|_, _, stream| {
        send(stream, "302 Found\r\nLocation: http://169.254.169.254/latest/meta-data", b"");
    });
    let mut fetcher = Fetcher::new(&Fetch { allow_private: false, ..config() }, None).unwrap();
    fetcher.web.excepted = Some("127.0.0.1".into());
    let image = ImageRef::Url(server.url("/a.png"));
    let reject = runtime().block_on(fetcher.get(&product(image))).unwrap_err();
    assert_eq!(reject.cause, Cause::PrivateAddress);
    assert_eq!(
        reject.detail.replace(&server.port.to_string(), "PORT"),
        "`http://127.0.0.1:PORT/a.png`: `169.254.169.254` is a link-local address; pictures come \
         from there only if catalogue.fetch.allow_private is true"
    );
    assert_eq!(server.requests(), ["/a.png"]);
}

#[test]
fn what_was_fetched_is_kept_and_half_of_a_picture_is_not() {
    let server = Server::start(|_, _, stream| picture(stream));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let get = |path: &str| {
        let fetcher = Fetcher::new(&config(), Some(dir.path())).unwrap();
        runtime.block_on(fetcher.get(&product(ImageRef::Url(server.url(path))))).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(get("/a.png"), PNG);
    }
    get("/a.png?size=2");
    assert_eq!(server.requests(), ["/a.png", "/a.png?size=2"]);
    let folders = std::fs::read_dir(dir.path()).unwrap();
    for folder in folders {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            std::fs::write(file.unwrap().path(), b"").unwrap(); // as after a power cut
        }
    }
    assert_eq!(get("/a.png"), PNG);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn files_are_read_and_what_is_no_picture_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let add = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        ImageRef::Path(path)
    };
    assert_eq!(get(&config(), add("a.png", PNG)).unwrap(), PNG);
    assert_eq!(get(&config(), ImageRef::Bytes(Bytes::from_static(PNG))).unwrap(), PNG);
    let says = |image| {
        let reject = get(&config(), image).unwrap_err();
        (reject.cause, reject.detail.replace(&format!("{}/", dir.path().display()), ""))
    };
    let missing = ImageRef::Path(dir.path().join("b.png"));
    let text = "there is no file `b.png`; relative paths begin at catalogue.image_root";
    assert_eq!(says(missing), (Cause::ImageNotFound, text.into()));
    std::fs::create_dir(dir.path().join("c")).unwrap();
    let text = "`c` is a folder: expected a picture's file";
    assert_eq!(says(ImageRef::Path(dir.path().join("c"))), (Cause::ImageNotFound, text.into()));
    let text = "`/dev/zero` is not a regular file: expected a picture's file";
    assert_eq!(says(ImageRef::Path("/dev/zero".into())), (Cause::ImageNotFound, text.into()));
    let large = add("d.png", &[PNG, &[0; 100_000]].concat());
    let size = 100_000 + PNG.len();
    let text =
        format!("`d.png` has {size} bytes: at most 100000 are read (catalogue.fetch.max_mb)");
    assert_eq!(says(large), (Cause::ImageTooLarge, text));
    let text = "`e.png`: expected JPEG, PNG or WebP, found PDF (8 bytes)";
    assert_eq!(says(add("e.png", b"%PDF-1.4")), (Cause::NotAPicture, text.into()));
    let text = "expected JPEG, PNG or WebP, found SVG (6 bytes)";
    let bytes = ImageRef::Bytes(Bytes::from_static(b"<svg/>"));
    assert_eq!(says(bytes), (Cause::NotAPicture, text.into()));
}
