//! The server and the proxy do what tests rely on, seen over plain TCP.

use super::http::Head;
use super::{Fault, Proxy, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The answer's head, and as much of its body as came.
fn ask(endpoint: &str, method: &str, target: &str, range: Option<&str>) -> Option<(Head, Vec<u8>)> {
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let range = range.map_or_else(String::new, |range| format!("Range: {range}\r\n"));
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{range}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (head, mut body) = Head::read(&mut stream).unwrap()?;
    stream.read_to_end(&mut body).unwrap();
    Some((head, body))
}

fn get(endpoint: &str, range: Option<&str>) -> (Head, Vec<u8>) {
    ask(endpoint, "GET", "/bucket/shards/a.parquet", range).unwrap()
}

/// A folder with `shards/a.parquet`, which has these bytes.
fn folder(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("shards")).unwrap();
    std::fs::write(dir.path().join("shards/a.parquet"), bytes).unwrap();
    dir
}

fn content() -> Vec<u8> {
    (0..300_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(300_000)
        .collect()
}

#[test]
fn the_server_keeps_files_and_the_proxy_passes_them_on() {
    let content = content();
    let dir = folder(&content);
    let mut server = Server::public(dir.path());
    let proxy = Proxy::start(&server.endpoint);

    let (head, body) = get(&proxy.endpoint, None);
    assert_eq!((head.status(), &body), (Some(200), &content));
    let (first, part) = get(&proxy.endpoint, Some("bytes=1000-1999"));
    assert_eq!((first.status(), part.as_slice()), (Some(206), &content[1000..2000]));
    let (_, tail) = get(&proxy.endpoint, Some("bytes=-8"));
    assert_eq!(tail, content[299_992..]);
    let (head, body) = ask(&proxy.endpoint, "HEAD", "/bucket/shards/a.parquet", None).unwrap();
    assert_eq!((head.content_length(), body.len()), (Some(300_000), 0));

    let seen = proxy.requests();
    let methods: Vec<&str> = seen.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["GET", "GET", "GET", "HEAD"]);
    assert!(seen.iter().all(|request| request.target == "/bucket/shards/a.parquet"));
    let ranges: Vec<_> = seen.iter().map(|request| request.range.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-1999"), Some("bytes=-8"), None]);
    assert_eq!(proxy.bytes(), 300_000 + 1000 + 8);

    // Another object under the same name has another ETag.
    std::fs::write(dir.path().join("b"), b"another").unwrap();
    let etag = server.put("shards/a.parquet", &dir.path().join("b"));
    let (head, body) = get(&server.endpoint, None);
    assert_eq!((head.get("etag"), body.as_slice()), (Some(etag.as_str()), &b"another"[..]));
    assert_ne!(first.get("etag"), Some(etag.as_str()));
    server.delete("shards/a.parquet");
    assert_eq!(get(&server.endpoint, None).0.status(), Some(404));
}

#[test]
fn objects_need_a_signature_unless_they_are_public() {
    let dir = folder(b"private");
    let server = Server::start(dir.path());
    assert_eq!(get(&server.endpoint, None).0.status(), Some(403));
}

#[test]
fn the_proxy_fails_what_it_is_told_to() {
    let content = content();
    let dir = folder(&content);
    let server = Server::public(dir.path());
    let proxy = Proxy::start(&server.endpoint);

    for (fault, status, code) in [
        (Fault::INTERNAL_ERROR, 500, "<Code>InternalError</Code>"),
        (Fault::SLOW_DOWN, 503, "<Code>SlowDown</Code>"),
        (Fault::EXPIRED_TOKEN, 400, "<Code>ExpiredToken</Code>"),
    ] {
        proxy.fault(fault);
        let (head, body) = get(&proxy.endpoint, None);
        assert_eq!(head.status(), Some(status));
        assert!(String::from_utf8(body).unwrap().contains(code));
        let head = ask(&proxy.endpoint, "HEAD", "/bucket/shards/a.parquet", None).unwrap();
        assert_eq!((head.0.status(), head.1.len()), (Some(status), 0));
    }

    proxy.fault(Fault::Cut { after: 100_000 });
    let (head, body) = get(&proxy.endpoint, None);
    assert_eq!((head.content_length(), body.as_slice()), (Some(300_000), &content[..100_000]));
    assert_eq!(proxy.requests().last().unwrap().bytes, 100_000);

    proxy.fault(Fault::HangUp);
    assert!(ask(&proxy.endpoint, "GET", "/bucket/shards/a.parquet", None).is_none());

    proxy.fault(Fault::Slow { piece: 20_000, pause: Duration::from_millis(10) });
    let start = Instant::now();
    assert_eq!(get(&proxy.endpoint, None).1, content);
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());

    // By number, by rule, and none.
    proxy.fault_next(2, Fault::SLOW_DOWN);
    let statuses = [(); 3].map(|()| get(&proxy.endpoint, None).0.status());
    assert_eq!(statuses, [Some(503), Some(503), Some(200)]);
    proxy.rule(|request| request.range.is_some().then_some(Fault::INTERNAL_ERROR));
    assert_eq!(get(&proxy.endpoint, Some("bytes=0-9")).0.status(), Some(500));
    assert_eq!(get(&proxy.endpoint, None).0.status(), Some(200));
    proxy.heal();
    proxy.forget();
    assert_eq!(get(&proxy.endpoint, Some("bytes=0-9")).1, content[..10]);
    let seen = proxy.requests();
    assert_eq!((seen.len(), seen[0].fault, seen[0].number, seen[0].bytes), (1, None, 0, 10));
}

#[test]
fn an_ended_proxy_refuses_connections() {
    let proxy = Proxy::start("http://127.0.0.1:9");
    let host = proxy.endpoint.strip_prefix("http://").unwrap().to_owned();
    drop(proxy);
    assert!(TcpStream::connect(host).is_err());
}
