//! `vlclip prepare` into an object store: an S3-protocol server on loopback.

use super::s3::Server;
use super::{arguments, ended, relative};
use crate::support::{TinyRun, command, refused, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The environment that names the server.
fn at(server: &Server, command: &mut Command) {
    command
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
}

/// `vlclip prepare` of the sample into `url`, its work below `home`.
fn prepare(server: &Server, home: &Path, url: &str) -> Command {
    let work = format!("output.work_dir={}", home.join("work").display());
    let args = arguments(Path::new(url), &[&work]);
    let mut command = command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    at(server, &mut command);
    command
}

#[test]
fn shards_arrive_in_an_object_store_whatever_interrupts_them_and_train_from_there() {
    let home = tempfile::tempdir().unwrap();
    let local = home.path().join("local");
    let begun = Instant::now();
    let output = super::prepare(&local, &[]);
    let takes = begun.elapsed();
    assert!(output.status.success(), "{}", text(&output));
    let expected = relative(&local);

    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut server = Server::start(&empty);
    let url = format!("s3://{}/sets/one", server.bucket);
    for share in [0.4, 0.6, 0.75, 0.9] {
        let mut run = prepare(&server, home.path(), &url);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        ended(&mut child, takes.mul_f64(share));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = prepare(&server, home.path(), &url).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let fetched = home.path().join("fetched");
    server.fetch("sets/one/", &fetched);
    assert_eq!(relative(&fetched), expected);
    for name in ["index.json", "rejects.parquet", "contact-sheet.png", "train/part-00000.parquet"] {
        assert!(expected.contains_key(Path::new(name)), "{name}: {:?}", expected.keys());
    }
    assert!(fetched.join("prepare.yaml").is_file());
    assert!(!home.path().join("work").exists(), "its work is done");
    let again = text(&prepare(&server, home.path(), &url).output().unwrap());
    assert!(again.contains(&format!("found, left as it is: `{url}`")), "{again}");

    let tiny = TinyRun::new();
    let (train, items) =
        (format!("data.train=['{url}/train']"), format!("eval.items=['{url}/val']"));
    let mut run = tiny.train(&["--set", &train, "--set", &items, "--set", "duration={steps: 4}"]);
    at(&server, &mut run);
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(tiny.metrics().iter().any(|record| record["step"] == 4), "{:?}", tiny.metrics());
}

#[test]
fn an_interrupted_upload_is_made_up_for() {
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut server = Server::start(&empty);
    let url = format!("s3://{}/out", server.bucket);
    // Killed as soon as its shards are there to be sent, which is when `index.json` is.
    let mut run = prepare(&server, home.path(), &url);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let index = home.path().join("work/shards/index.json");
    let start = Instant::now();
    while !index.exists() {
        assert!(start.elapsed() < Duration::from_secs(120));
        assert!(!ended(&mut child, Duration::from_millis(1)), "it ended before it could be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let partial = home.path().join("partial");
    server.fetch("out/", &partial);
    assert!(!partial.join("index.json").exists(), "the index comes last");
    let output = prepare(&server, home.path(), &url).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let local = home.path().join("local");
    assert!(super::prepare(&local, &[]).status.success());
    let fetched = home.path().join("fetched");
    server.fetch("out/", &fetched);
    assert_eq!(relative(&fetched), relative(&local));
}

#[test]
fn a_bucket_that_cannot_be_written_is_said_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let server = Server::start(&empty);
    let said = refused(&prepare(&server, home.path(), "s3://nowhere/out").output().unwrap());
    assert!(
        said.contains("s3://nowhere/out") && said.contains("there is no such bucket"),
        "{said}"
    );
    // Readable by anyone, but these credentials are none.
    let url = format!("s3://{}/out", server.bucket);
    let mut run = prepare(&server, home.path(), &url);
    let said = refused(&run.env("AWS_SKIP_SIGNATURE", "true").output().unwrap());
    assert!(
        said.contains("access is refused; credentials are taken from AWS_ACCESS_KEY_ID"),
        "{said}"
    );
    assert!(!home.path().join("work/rows.journal").exists(), "nothing was begun");
}
