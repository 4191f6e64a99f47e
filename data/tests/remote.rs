//! Training from an S3-protocol server on loopback, as well as it can and as badly as it may.
//!
//! Credentials and endpoints come from the environment, which a test cannot change for itself: each
//! part runs as a process of its own, this test binary again.

use crate::s3::{Fault, Proxy, Server};
use crate::support::{config, open, row, shards, tokenizer, write, write_pages};
use configs::{Cache, Data, Streams, Workers};
use data::{
    Batch, Cursor, DataError, Loader, Preprocessor, Scan, ScanOptions, Shard, Since, TrainSet,
};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const START: Cursor = Cursor { epoch: 0, batch: 0 };

/// Runs a part with the environment of an object store whose endpoint nobody uses yet.
fn part(name: &str) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("remote::{name}"), "--nocapture"])
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("VLCLIP_TEST_PORT", port.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{name}:\n{said}");
}

/// The server with the files of a folder, and the proxy at the endpoint of the environment.
fn serve(folder: &Path) -> (Server, Proxy) {
    let server = Server::start(folder);
    let port = std::env::var("VLCLIP_TEST_PORT").unwrap().parse().unwrap();
    let proxy = Proxy::start_at(port, &server.endpoint);
    (server, proxy)
}

/// The same shards, in the server's bucket.
fn remote(cfg: &Data, server: &Server) -> Data {
    Data { train: vec![format!("s3://{}/", server.bucket)].into(), ..cfg.clone() }
}

fn take(loader: &mut Loader, count: usize) -> Vec<Batch> {
    (0..count).map(|_| loader.next().unwrap()).collect()
}

/// Pixels, token ids, products and numbers.
type Content = (Vec<u8>, Vec<i64>, Vec<u64>, Vec<u64>);

/// What batches hold, whatever their shards are called.
fn contents(batches: &[Batch]) -> Vec<Content> {
    let content =
        |b: &Batch| (b.pixels.to_vec(), b.token_ids.clone(), b.products.clone(), b.numbers.clone());
    batches.iter().map(content).collect()
}

macro_rules! parts {
    ($($name:ident),*) => { $(
        #[test]
        fn $name() { part(concat!(stringify!($name), "_")); }
    )* };
}

parts!(
    an_object_store_gives_the_same_batches,
    faults_of_network_and_server_are_overcome,
    expired_credentials_are_named_and_end_the_run,
    a_shard_that_changes_is_an_error,
    a_resumed_run_reads_no_more_than_its_windows,
    blocks_on_disk_are_not_fetched_again_and_keep_to_their_limit,
    footers_beside_the_run_are_not_fetched_again,
    files_are_uploaded_whole_and_in_parts,
    web_servers_are_read_by_name
);

#[test]
#[ignore = "a part of the test of the same name"]
fn an_object_store_gives_the_same_batches_() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 103));
    let (server, proxy) = serve(dir.path());
    let local = contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 30));
    for paths in ["s3://BUCKET", "s3://BUCKET/*.parquet", "s3://BUCKET/{a,b}.parquet"] {
        let paths = vec![paths.replace("BUCKET", &server.bucket)];
        let cfg = Data { train: paths.into(), ..cfg.clone() };
        let mut loader = open(&cfg, 8, Shard::WHOLE, START).unwrap();
        assert!(contents(&take(&mut loader, 30)) == local);
    }
    // Ranged reads: the listing, a footer for each shard and pieces of the shards.
    assert!(proxy.requests().iter().filter(|r| r.method == "GET").any(|r| r.range.is_some()));
    let scan = |cfg: &Data| {
        let options = ScanOptions::default();
        let picture = Preprocessor::clip(8);
        let scan = Scan::open(&cfg.train.paths(), &cfg.columns, tokenizer(), &picture, &options);
        let batches: Vec<_> = scan.unwrap().map(Result::unwrap).collect();
        batches.into_iter().flat_map(|b| b.pixels).collect::<Vec<u8>>()
    };
    assert!(scan(&remote(&cfg, &server)) == scan(&cfg));
}

#[test]
#[ignore = "a part of the test of the same name"]
fn faults_of_network_and_server_are_overcome_() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 103));
    let (server, proxy) = serve(dir.path());
    let local = contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 12));
    let faults = [
        Fault::INTERNAL_ERROR,
        Fault::SLOW_DOWN,
        Fault::HangUp,
        Fault::Cut { after: 700 },
        Fault::Slow { piece: 4000, pause: Duration::from_millis(5) },
    ];
    // Every other request fails, each time in another way; what is asked again may fail again.
    proxy.rule(move |request| {
        (request.number % 2 == 0).then(|| faults[request.number / 2 % faults.len()])
    });
    let clock = Instant::now();
    let mut loader = open(&remote(&cfg, &server), 8, Shard::WHOLE, START).unwrap();
    assert!(contents(&take(&mut loader, 12)) == local);
    assert!(proxy.requests().iter().filter(|request| request.fault.is_some()).count() >= 5);
    assert!(clock.elapsed() < Duration::from_secs(120), "{:?}", clock.elapsed());
}

#[test]
#[ignore = "a part of the test of the same name"]
fn expired_credentials_are_named_and_end_the_run_() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 300));
    let (server, proxy) = serve(dir.path());
    let mut loader = open(&remote(&cfg, &server), 4, Shard::WHOLE, START).unwrap();
    loader.next().unwrap();
    proxy.fault(Fault::EXPIRED_TOKEN);
    let clock = Instant::now();
    let error = std::iter::repeat_with(|| loader.next()).find_map(Result::err).unwrap();
    let text = error.to_string();
    assert!(text.starts_with(&format!("`s3://{}/", server.bucket)), "{text}");
    assert!(text.contains("the credentials have expired; renew AWS_ACCESS_KEY_ID"), "{text}");
    assert!(clock.elapsed() < Duration::from_secs(30), "{:?}", clock.elapsed());
    // A server that stays broken does not hold up the end of the loader.
    proxy.heal();
    let mut loader = open(&remote(&cfg, &server), 4, Shard::WHOLE, START).unwrap();
    loader.next().unwrap();
    proxy.fault(Fault::INTERNAL_ERROR);
    let clock = Instant::now();
    drop(loader);
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
}

#[test]
#[ignore = "a part of the test of the same name"]
fn a_shard_that_changes_is_an_error_() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 300));
    let (mut server, _proxy) = serve(dir.path());
    let memo = dir.path().join("memo");
    let cfg = remote(&cfg, &server);
    TrainSet::open(&cfg, Some((&memo, Since::Now))).unwrap();
    let mut loader = open(&cfg, 4, Shard::WHOLE, START).unwrap();
    loader.next().unwrap();
    // Other pictures in as many rows: neither size nor footer need tell.
    let other = dir.path().join("other");
    let rows: Vec<_> = (100..300).map(|n| row(n + 1)).collect();
    write(&other, &rows, 7);
    server.put("b.parquet", &other);
    let error = std::iter::repeat_with(|| loader.next()).find_map(Result::err).unwrap();
    assert!(matches!(error, DataError::Changed { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("/b.parquet` is another object now, or gone: it has changed"), "{text}");
    let error = TrainSet::open(&cfg, Some((&memo, Since::RunBegan))).unwrap_err();
    assert!(matches!(error, DataError::Changed { .. }), "{error}");
    TrainSet::open(&cfg, Some((&memo, Since::Now))).unwrap();
}

/// A shard of large pictures: what is read is not lost among footers.
fn large(dir: &Path, rows: usize, group: usize) {
    let noise = |n: usize| {
        let mut state = n as u32 + 1;
        let pixel = |_: u32, _: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_fn(100, 70, pixel)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    let rows: Vec<_> =
        (0..rows).map(|n| crate::support::Row { image: Some(noise(n)), ..row(n) }).collect();
    write_pages(&dir.join("a.parquet"), &rows, group, 8);
}

#[test]
#[ignore = "a part of the test of the same name"]
fn a_resumed_run_reads_no_more_than_its_windows_() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path(), 600, 600); // about 13 MB in one row group
    let mut cfg = config(vec![dir.path().to_str().unwrap().into()]);
    cfg.shuffle.streams = Streams::Count(4);
    cfg.workers = Workers::Count(1);
    let (server, proxy) = serve(dir.path());
    let all = std::fs::metadata(dir.path().join("a.parquet")).unwrap().len();
    let at = Cursor { epoch: 0, batch: 70 };
    let mut loader = open(&remote(&cfg, &server), 4, Shard::WHOLE, at).unwrap();
    loader.next().unwrap();
    // 4 streams with a window of 5 to 7 rows and as many more that are read ahead, in pages of 8.
    drop(loader);
    let asked: Vec<_> = proxy.requests().into_iter().map(|r| (r.range, r.bytes)).collect();
    assert!(proxy.bytes() < all / 2, "{} of {all} bytes: {asked:?}", proxy.bytes());
}

#[test]
#[ignore = "a part of the test of the same name"]
fn blocks_on_disk_are_not_fetched_again_and_keep_to_their_limit_() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path(), 240, 60);
    let mut cfg = config(vec![dir.path().to_str().unwrap().into()]);
    let (server, proxy) = serve(dir.path());
    let local = contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 60));
    let folder = tempfile::tempdir().unwrap();
    cfg = remote(&cfg, &server);
    cfg.cache = Some(Cache { dir: folder.path().into(), max_gb: 1.0 });
    // Two at a time share the folder.
    let run = || contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 60));
    std::thread::scope(|scope| {
        let beside = scope.spawn(run);
        assert!(run() == local);
        assert!(beside.join().unwrap() == local);
    });
    proxy.forget();
    assert!(run() == local);
    let object = |r: &&crate::s3::Request| r.method == "GET" && r.target.contains("parquet");
    let requests = proxy.requests();
    let fetched: u64 = requests.iter().filter(object).map(|r| r.bytes).sum();
    let footer = 70_000;
    assert!(fetched < footer, "{fetched} bytes fetched again: {requests:?}");
    // A block that was damaged is fetched anew.
    let used = || -> Vec<(std::path::PathBuf, u64)> {
        let files = glob::glob(&format!("{}/*/*", folder.path().display())).unwrap();
        files.map(Result::unwrap).map(|f| (f.clone(), f.metadata().unwrap().len())).collect()
    };
    for (path, length) in used() {
        std::fs::write(path, vec![7; length as usize]).unwrap();
    }
    assert!(run() == local);
    // A tight limit: nothing fails, and the folder stays near it.
    cfg.cache = Some(Cache { dir: folder.path().into(), max_gb: 0.003 });
    let run = || contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 60));
    for (path, _) in used() {
        std::fs::remove_file(path).unwrap();
    }
    assert!(run() == local);
    let total: u64 = used().iter().map(|(_, length)| length).sum();
    assert!((1..=4_200_000).contains(&total), "{total} bytes");
}

#[test]
#[ignore = "a part of the test of the same name"]
fn footers_beside_the_run_are_not_fetched_again_() {
    let dir = tempfile::tempdir().unwrap();
    for shard in 0..40 {
        let rows: Vec<_> = (shard * 5..shard * 5 + 5).map(row).collect();
        write(&dir.path().join(format!("{shard:02}.parquet")), &rows, 5);
    }
    let cfg = config(vec![]);
    let (server, proxy) = serve(dir.path());
    let cfg = remote(&cfg, &server);
    let memo = dir.path().join("shards.memo");
    let open = || TrainSet::open(&cfg, Some((&memo, Since::RunBegan))).unwrap();
    assert_eq!((open().num_shards(), open().num_rows()), (40, 200));
    proxy.forget();
    assert_eq!(open().num_rows(), 200);
    let requests = proxy.requests();
    assert!(requests.len() <= 2, "the listing alone: {requests:?}");
}

#[test]
#[ignore = "a part of the test of the same name"]
fn web_servers_are_read_by_name_() {
    let dir = tempfile::tempdir().unwrap();
    let cfg = config(shards(dir.path(), 60));
    let server = Server::public(dir.path());
    let url = format!("{}/{}", server.endpoint, server.bucket);
    let with = |path: String| Data { train: vec![path].into(), ..cfg.clone() };
    let local = contents(&take(&mut open(&cfg, 8, Shard::WHOLE, START).unwrap(), 7));
    let named = with(format!("{url}/{{a,b}}.parquet"));
    let mut loader = open(&named, 8, Shard::WHOLE, START).unwrap();
    assert!(contents(&take(&mut loader, 7)) == local);
    let message =
        |path: String| open(&with(path), 8, Shard::WHOLE, START).err().unwrap().to_string();
    let text = message(format!("{url}/*.parquet"));
    assert!(text.contains("a web server cannot be listed, so wildcards find nothing"), "{text}");
    let text = message(format!("{url}/none.parquet"));
    assert!(text.contains("there is no such file; a web server cannot be listed"), "{text}");
}

#[test]
#[ignore = "a part of the test of the same name"]
fn files_are_uploaded_whole_and_in_parts_() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("a.parquet"), &[row(0)], 1);
    let (mut server, proxy) = serve(dir.path());
    let root = format!("s3://{}/out", server.bucket);
    data::source::check_writable(&root).unwrap();
    assert!(data::source::read_object(&format!("{root}/.vlclip-probe")).unwrap().is_none());
    let error = data::source::check_writable("s3://nowhere/out").unwrap_err().to_string();
    assert!(error.contains("s3://nowhere/out") && error.contains("no such bucket"), "{error}");
    for size in [0, 1000, 8 << 20, (20 << 20) + 7] {
        let bytes: Vec<u8> = (0..size).map(|i: usize| ((i * 31) >> 8) as u8).collect();
        let file = dir.path().join("file");
        std::fs::write(&file, &bytes).unwrap();
        let url = format!("{root}/{size}.bin");
        assert!(data::source::read_object(&url).unwrap().is_none());
        data::source::upload(&file, &url).unwrap();
        assert!(data::source::read_object(&url).unwrap().unwrap() == bytes, "{size} bytes");
    }
    assert!(proxy.requests().iter().any(|r| r.method == "POST"), "a multipart upload");
    server.fetch("out/", &dir.path().join("fetched"));
    let fetched = std::fs::read_dir(dir.path().join("fetched")).unwrap();
    assert_eq!(fetched.count(), 4, "and nothing of the check");
    let error = data::source::upload(&dir.path().join("gone"), &root).unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
    let error = data::source::upload(&dir.path().join("file"), "http://h/x").unwrap_err();
    assert!(error.to_string().contains("cannot be written to: expected s3, gs or az"), "{error}");
}
