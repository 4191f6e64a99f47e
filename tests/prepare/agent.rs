//! `vlclip prepare` with the caption agent, against a scripted server on loopback.

use super::chat::{Call, Reply, Server, say};
use super::{ended, relative, shards, table};
use crate::support::{command, refused, text, vlclip};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Products of a catalogue, and the calls that they take: two for every other one, which is good at
/// once; four after one round; five for those that are never good.
const PRODUCTS: usize = 24;
const CALLS: usize = PRODUCTS / 4 * (2 + 4 + 2 + 5);
/// The most rounds.
const ROUNDS: usize = 2;

/// Rounds that the Evaluator asks for.
fn rounds(product: usize) -> usize {
    [0, 1, 0, 9][product % 4]
}

fn title(product: usize) -> String {
    format!("MUG no. {product}")
}

fn caption(product: usize) -> String {
    format!("{}draft of {}", "better ".repeat(rounds(product).min(ROUNDS)), title(product))
}

/// What a model says: it depends on the question alone.
fn answer(call: &Call) -> String {
    let asked = call.asked();
    if let Some(title) = asked.strip_prefix("summarize ") {
        return format!("draft of {title}");
    }
    if let Some(rest) = asked.strip_prefix("refine ") {
        return format!("better {}", rest.split_once(" by ").unwrap().0);
    }
    let judged = asked.strip_prefix("judge ").unwrap().strip_suffix(" or <STOP>").unwrap();
    let product = judged.rsplit_once(' ').unwrap().1.parse().unwrap();
    match judged.matches("better").count() < rounds(product) {
        true => "Say it better.".to_owned(),
        false => "<STOP>".to_owned(),
    }
}

/// A catalogue below `home` and a configuration of it, with the agent at `url`.
fn configure(home: &Path, url: &str) {
    let mut lines = Vec::new();
    for product in 0..PRODUCTS {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 8) as u8, (product * 10) as u8])
        });
        picture.save(home.join(format!("{product}.png"))).unwrap();
        let line = json!({"product_id": product, "title": title(product), "product_type": "mug",
                          "image": format!("{product}.png")});
        lines.push(line.to_string());
    }
    fs::write(home.join("products.jsonl"), lines.join("\n")).unwrap();
    for (role, prompt) in [
        ("summarizer", "summarize {title}"),
        ("evaluator", "judge {caption} or <STOP>"),
        ("refiner", "refine {caption} by {critique}"),
    ] {
        fs::write(home.join(role), prompt).unwrap();
    }
    let (here, tokenizer) = (home.display(), super::catalogue().with_file_name("tokenizer.json"));
    let yaml = format!(
        "catalogue: {{paths: {here}/products.jsonl}}
refine:
  kind: llm
  endpoint: {{url: '{url}', concurrency: 4, backoff_s: 0.01}}
  model: m
  max_rounds: {ROUNDS}
  tokenizer: {}
  prices: {{m: {{input_per_million: 1000, output_per_million: 1000}}}}
  roles:
    summarizer: {{prompt: {here}/summarizer}}
    evaluator: {{prompt: {here}/evaluator}}
    refiner: {{prompt: {here}/refiner}}
output: {{dir: {here}/out, splits: {{train: 1, val: 0, test: 0}}}}
",
        tokenizer.display()
    );
    fs::write(home.join("prepare.yaml"), yaml).unwrap();
}

fn arguments(home: &Path, out: &str, sets: &[&str]) -> Vec<String> {
    let dir = format!("output.dir={}/{out}", home.display());
    let mut args =
        vec!["prepare".to_owned(), home.join("prepare.yaml").to_str().unwrap().to_owned()];
    for set in [dir.as_str()].iter().chain(sets) {
        args.extend(["--set".to_owned(), (*set).to_owned()]);
    }
    args
}

fn prepare(home: &Path, out: &str, sets: &[&str]) -> Output {
    let args = arguments(home, out, sets);
    vlclip(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The rows of all shards, in the catalogue's order.
fn rows(out: &Path) -> Vec<Value> {
    let columns = "product_id,captions,caption_raw,caption_refined,caption_rounds,caption_stop,\
                   caption_model";
    let mut rows = table(columns, &shards(out));
    rows.sort_by_key(|row| row["product_id"].as_str().unwrap().parse::<usize>().unwrap());
    rows
}

/// A row as the agent should have made it.
fn refined(product: usize) -> Value {
    let stop = if rounds(product) > ROUNDS { "max_rounds" } else { "stop" };
    json!({"product_id": product.to_string(), "captions": [caption(product)],
           "caption_raw": title(product), "caption_refined": caption(product),
           "caption_rounds": rounds(product).min(ROUNDS), "caption_stop": stop,
           "caption_model": "m-1"})
}

/// The count that the summary has under a name.
fn counted(said: &str, name: &str) -> Option<usize> {
    let line = said.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")))?;
    line.trim_start().strip_prefix(name)?.split_whitespace().next()?.parse().ok()
}

#[test]
fn captions_and_their_provenance_are_the_agents() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, call| say(&answer(call)));
    configure(home.path(), &server.url);
    let output = prepare(home.path(), "out", &[]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(server.calls().len(), CALLS);
    assert!(server.most() <= 4, "{}", server.most());

    let rows = rows(&home.path().join("out"));
    assert_eq!(rows, (0..PRODUCTS).map(refined).collect::<Vec<_>>());
    for (name, count) in [
        ("rows", PRODUCTS),
        ("caption: stop", PRODUCTS / 4 * 3),
        ("caption: max_rounds", PRODUCTS / 4),
        ("caption rounds: 0", PRODUCTS / 2),
        ("caption rounds: 1", PRODUCTS / 4),
        ("caption rounds: 2", PRODUCTS / 4),
    ] {
        assert_eq!(counted(&said, name), Some(count), "{name}\n{said}");
    }
    // 7 tokens asked and 3 answered by call, a thousandth each.
    let spent = format!(
        "{CALLS} calls, {} tokens asked, {} answered, {:.4} of money; 0 answers were known already",
        7 * CALLS,
        3 * CALLS,
        0.01 * CALLS as f64
    );
    assert!(said.contains(&spent), "{spent}\n{said}");

    // Shards that are there cost nothing, and those that are not, no more than the first time.
    let said = text(&prepare(home.path(), "out", &[]));
    assert!(said.contains("found, left as it is"), "{said}");
    let before = relative(&home.path().join("out"));
    fs::remove_dir_all(home.path().join("out")).unwrap();
    let said = text(&prepare(home.path(), "out", &[]));
    assert!(
        said.contains(&format!("0 calls, 0 tokens asked, 0 answered; {CALLS} answers")),
        "{said}"
    );
    assert_eq!(relative(&home.path().join("out")), before);
    assert_eq!(server.calls().len(), CALLS);
}

#[test]
fn a_killed_run_pays_for_no_answer_twice() {
    /// Answers before the kill.
    const PAID: usize = 30;
    let home = tempfile::tempdir().unwrap();
    let (answered, stalled) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let admitted = AtomicUsize::new(0);
    let server = Server::new({
        let (answered, stalled) = (answered.clone(), stalled.clone());
        move |_, call| {
            if stalled.load(Ordering::SeqCst) && admitted.fetch_add(1, Ordering::SeqCst) >= PAID {
                // Whoever asked is killed meanwhile.
                while stalled.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                return Reply::Hang;
            }
            answered.lock().unwrap().push(call.body.to_string());
            say(&answer(call))
        }
    });
    configure(home.path(), &server.url);
    let output = prepare(home.path(), "whole", &[]);
    assert!(output.status.success(), "{}", text(&output));
    let expected = relative(&home.path().join("whole"));
    let asked: HashSet<String> = answered.lock().unwrap().drain(..).collect();
    assert_eq!(asked.len(), CALLS);

    stalled.store(true, Ordering::SeqCst);
    let args = arguments(home.path(), "torn", &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = home.path().join(".torn.work/answers/answers.log");
    let start = Instant::now();
    // A line of header, and one for each answer.
    while fs::read_to_string(&log).map_or(0, |log| log.lines().count()) < PAID + 1 {
        assert!(start.elapsed() < Duration::from_secs(120), "{:?}", fs::read_to_string(&log));
        assert!(!ended(&mut child, Duration::from_millis(5)), "it ended before it could be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    stalled.store(false, Ordering::SeqCst);
    assert!(!home.path().join("torn").exists());

    let output = prepare(home.path(), "torn", &[]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let paid = answered.lock().unwrap().clone();
    assert_eq!(paid.len(), CALLS, "{said}");
    assert_eq!(paid.into_iter().collect::<HashSet<_>>(), asked);
    assert!(said.contains(&format!("\n  {} calls, ", CALLS - PAID)), "{said}");
    assert_eq!(relative(&home.path().join("torn")), expected);
}

#[test]
fn products_that_the_agent_fails_for_keep_their_titles_and_are_capped() {
    const FAILING: usize = 6;
    let home = tempfile::tempdir().unwrap();
    let failing = format!("summarize {}", title(FAILING));
    let server = Server::new(move |_, call| match call.asked().lines().next() {
        Some(line) if line == failing => say(""),
        _ => say(&answer(call)),
    });
    configure(home.path(), &server.url);
    let output = prepare(home.path(), "out", &["refine.max_failed_fraction=0.1"]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let why = "the summarizer's answer could not be used 3 times: it is empty";
    let warning = format!("(product `{FAILING}`): kept its title: {why}");
    assert!(
        said.lines().any(|line| line.starts_with("warning: ") && line.ends_with(&warning)),
        "{said}"
    );
    assert_eq!(counted(&said, "caption: failed"), Some(1), "{said}");
    let mut expected: Vec<Value> = (0..PRODUCTS).map(refined).collect();
    let raw = title(FAILING);
    expected[FAILING] = json!({"product_id": FAILING.to_string(), "captions": [raw],
        "caption_raw": raw, "caption_refined": raw, "caption_rounds": 0,
        "caption_stop": "failed", "caption_model": ""});
    assert_eq!(rows(&home.path().join("out")), expected);

    let said = refused(&prepare(home.path(), "none", &["refine.max_failed_fraction=0"]));
    let parts = [
        "error: the agent failed for 1 of ",
        " products, more than refine.max_failed_fraction (0) allows; the first ones:",
        &format!("product `{FAILING}`: {why}"),
    ];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    assert!(!home.path().join("none").exists());
    // What was answered is kept: with the cap lifted it goes on from there.
    let before = server.calls().len();
    let output = prepare(home.path(), "none", &["refine.max_failed_fraction=0.1"]);
    assert!(output.status.success(), "{}", text(&output));
    let again = server.calls().split_off(before);
    assert!(again.iter().all(|call| !call.asked().contains(&title(FAILING))), "asked again");
    assert_eq!(relative(&home.path().join("none")), relative(&home.path().join("out")));
}
