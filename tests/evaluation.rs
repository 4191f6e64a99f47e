//! Evaluation by tasks, end to end: every kind of task on a trained model, the same report from any
//! number of processes, what follows from it in training, and what is said of mistakes.

use crate::support::{TinyRun, python, refused, sample, text, vlclip};
use eval::Report;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Every kind of task, over shards whose products the sample's queries are judged for.
fn every_task() -> String {
    let catalogue = sample().with_file_name("catalogue");
    let file = |name: &str| catalogue.join(name).display().to_string();
    format!(
        "[{{kind: text_to_image, captions: all, within: product_type}}, {{kind: image_to_text, \
         captions: all}}, {{kind: query_to_item, queries: {queries}, qrels: {qrels}, missing_items: \
         drop, items: {{image: 0.7, text: 0.3}}}}, {{kind: item_to_item, name: alike, relevant: \
         product_type}}, {{kind: zero_shot, attribute: attributes.pattern, templates: ['a {{}} \
         product', 'photo of {{}}']}}]",
        queries = file("queries.tsv"),
        qrels = file("qrels.trec"),
    )
}

const TASKS: [&str; 5] = ["text_to_image", "image_to_text", "query_to_item", "alike", "zero_shot"];

/// A step folder of a model that was trained a little.
fn model(run: &TinyRun) -> PathBuf {
    run.train_to_the_end(&["--set", "duration.steps=5", "--set", "eval=null"]);
    run.folder().join("step-00000005")
}

fn evaluate(model: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let items = sample().join("train").display().to_string();
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    let fixed = ["eval", "--model", model, "--items", &items, "--out", out, "--device", "cpu"];
    vlclip(&[&fixed[..], more].concat())
}

fn report(dir: &Path) -> Report {
    Report::from_json(&std::fs::read_to_string(dir.join("report.json")).unwrap()).unwrap()
}

#[test]
fn every_kind_of_task_is_measured_and_recomputed_by_pytrec_eval() {
    let run = TinyRun::new();
    let model = model(&run);
    let at = |name: &str| run.dir.path().join(name);
    let file = format!("tasks: {}\nslices: [product_type, caption_length]\n", every_task());
    // The queries have no caption of a product, but words.
    std::fs::write(at("tasks.yaml"), file).unwrap();
    let tasks = at("tasks.yaml").display().to_string();
    let output = evaluate(&model, &at("report"), &["--tasks", &tasks, "--k", "1,5"]);
    assert!(output.status.success(), "{}", text(&output));

    let found = report(&at("report"));
    let mut names: Vec<&str> = found.tasks.keys().map(String::as_str).collect();
    names.sort_by_key(|name| TASKS.iter().position(|task| task == name));
    assert_eq!(names, TASKS);
    let pools = &found.tasks["text_to_image"];
    assert_eq!(pools.candidates, eval::Candidates::Within { column: "product_type".into() });
    assert!(pools.queries.scored > pools.pool, "every caption is a query");
    let several = &found.tasks["image_to_text"];
    assert!(several.relevance.max > 1 && several.pool > several.queries.scored);
    let alike = &found.tasks["alike"];
    assert_eq!(alike.self_match, eval::SelfMatch::Exclude);
    assert!(alike.metric("r_precision").unwrap() > alike.metrics["r_precision"].chance);
    let classes = found.tasks["zero_shot"].mean_per_class.as_ref().unwrap();
    assert!(classes["hits@1"] > 0.0 && classes["hits@1"] < 1.0);
    assert!(found.tasks["query_to_item"].relevance.max > 1);
    for (name, task) in &found.tasks {
        assert_eq!(task.slices.len(), 2, "{name}");
        let labelled: usize = task.slices["product_type"].iter().map(|s| s.queries).sum();
        assert_eq!(labelled, task.queries.scored, "{name}");
        assert!(task.scores.is_some() && !task.examples.worst.is_empty(), "{name}");
    }
    let space = found.space.as_ref().unwrap();
    assert_eq!(space.uniformity.len(), 2);
    assert!(space.logit_scale.unwrap() > 1.0 && space.alignment.is_some());
    let hashes = &found.protocol.subject;
    assert!(hashes.data_hashes["query_to_item.qrels"].len() == 64, "{hashes:?}");

    // The dumps give every figure again.
    let dump = |name: &str| at("report").join(name).display().to_string();
    let peer = python("trec_metrics.py", &[&dump("run.trec"), &dump("qrels.trec"), "1,5"]);
    let peer: Value = serde_json::from_str(&peer).unwrap();
    let mut checked = 0;
    for (name, task) in &found.tasks {
        for (metric, values) in &task.per_query.values {
            for (id, value) in task.per_query.ids.iter().zip(values) {
                let id = format!("{name}/{}", eval::trec_id(id));
                let theirs = &peer["per_query"][&id][metric];
                let theirs = theirs.as_f64().unwrap_or_else(|| panic!("{id} {metric}: {theirs}"));
                assert!((value - theirs).abs() < 1e-6, "{id} {metric}: {value}, {theirs}");
                checked += 1;
            }
        }
    }
    assert!(checked > 10_000, "{checked}");

    // Pictures of what was retrieved are in the page.
    let page = std::fs::read_to_string(at("report/report.html")).unwrap();
    assert!(page.matches("data:image/jpeg;base64,").count() > 50);
    for task in TASKS {
        assert!(page.contains(task), "{task}");
    }

    // The same again, compared with itself.
    let baseline = at("report").display().to_string();
    let more = ["--tasks", &tasks, "--k", "1,5", "--baseline", &baseline];
    let output = evaluate(&model, &at("again"), &more);
    assert!(output.status.success(), "{}", text(&output));
    let again = report(&at("again"));
    assert_eq!(again.tasks, found.tasks);
    let difference = &again.baseline.unwrap().tasks["alike"].metrics["mrr"];
    assert_eq!((difference.difference, difference.p_value), (0.0, 1.0));
}

/// Before step 0 all processes have the same weights; every task must then have the same report,
/// whoever embedded and searched which part of the pool.
#[test]
fn reports_do_not_depend_on_the_number_of_processes() {
    let settings = [
        "--set",
        &format!("eval.tasks={}", every_task()),
        "--set",
        &format!("eval.items=['{}/train']", sample().display()),
        "--set",
        "eval.slices=[product_type]",
        "--set",
        "eval.batch=16",
        "--set",
        "duration={steps: 1}",
    ];
    let folder = |run: &TinyRun| run.folder().join("eval/step-00000000");
    let alone = TinyRun::new();
    alone.train_to_the_end(&settings);
    let expected = report(&folder(&alone));
    for processes in [2, 4] {
        let run = TinyRun::new();
        let batch = format!("batch={{size: {}}}", 8 * processes);
        let output =
            run.launch(processes, &[&settings[..], &["--set", &batch]].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let found = report(&folder(&run));
        assert_eq!(found.tasks, expected.tasks, "{processes} processes");
        let dumped = |run: &TinyRun| std::fs::read(folder(run).join("run.trec")).unwrap();
        assert_eq!(dumped(&run), dumped(&alone), "{processes} processes");
    }
}

#[test]
fn a_run_without_progress_stops_early_and_stays_stopped() {
    let run = TinyRun::new();
    // A rate so small that no rank changes.
    let settings = [
        "--set",
        "optim.lr=1e-12",
        "--set",
        "eval.every={steps: 2}",
        "--set",
        "eval.early_stopping={patience: 2}",
    ];
    let first = run.train_to_the_end(&settings);
    assert!(first.contains("early stopping: 2 evaluations in a row did not beat"), "{first}");
    assert!(first.contains("stopped after step 4 of 40"), "{first}");
    let again = run.train_to_the_end(&settings);
    assert!(again.contains("early stopping") && again.contains("step 4 of 40"), "{again}");
    let patient = ["--set", "eval.early_stopping.patience=3"];
    let longer = run.train_to_the_end(&[&settings[..], &patient].concat());
    assert!(longer.contains("stopped after step 6 of 40"), "{longer}");
}

#[test]
fn a_fine_tune_that_makes_the_model_worse_is_given_up() {
    let first = TinyRun::new();
    first.train_to_the_end(&["--set", "eval=null", "--set", "checkpoint.every={steps: 40}"]);
    let init =
        format!("model.init={{pretrained: {}}}", first.folder().join("step-00000040").display());
    let run = TinyRun::new();
    let items = format!("eval.items=['{}/train']", sample().display());
    let settings = [
        "--set",
        &init,
        "--set",
        &items,
        "--set",
        "optim.lr=0.3",
        "--set",
        "eval.every={steps: 4}",
        "--set",
        "eval.guard={max_drop: 0.001, metric: text_to_image/mrr}",
    ];
    let message = run.train_fails(&settings);
    for part in ["eval.guard: `text_to_image/mrr` is", "below its", "lower optim.lr"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // What was reached is there to look at, and starting again does not go on with it.
    assert!(run.folder().join("latest").is_file());
    let again = run.train_fails(&settings);
    assert!(again.contains("eval.guard: `text_to_image/mrr` is"), "{again}");
    let on = run.train_to_the_end(&[&settings[..], &["--set", "eval.guard=null"]].concat());
    assert!(on.contains("finished after step 40"), "{on}");
}

#[test]
fn mistakes_in_tasks_are_named() {
    let run = TinyRun::new();
    let model = model(&run);
    let at = |name: &str| run.dir.path().join(name);
    let out = at("report");
    let catalogue = sample().with_file_name("catalogue");
    let (queries, qrels) = (catalogue.join("queries.tsv"), catalogue.join("qrels.trec"));
    let (queries, qrels) = (queries.to_str().unwrap(), qrels.to_str().unwrap());
    let message = |more: &[&str]| refused(&evaluate(&model, &out, more));
    let tasks = |yaml: &str| {
        std::fs::write(at("tasks.yaml"), yaml).unwrap();
        message(&["--tasks", at("tasks.yaml").to_str().unwrap(), "--k", "1"])
    };
    let contains = |message: &str, parts: &[&str]| {
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    };

    // Judged over the whole catalogue, of which the training split is a part.
    contains(
        &message(&["--queries", queries, "--qrels", qrels]),
        &["the qrels name item `vlclip-", "which is not among the", "query_to_item"],
    );
    contains(&message(&["--slices", "season"]), &["no column `season`", "the columns are"]);
    contains(
        &tasks("tasks: [{kind: item_to_item, relevant: product_id}]"),
        &["no two of the", "`product_id`"],
    );
    contains(
        &tasks("tasks: [{kind: zero_shot, attribute: attributes.wheels}]"),
        &["zero_shot", "`attributes.wheels` has 0 distinct values"],
    );
    contains(
        &tasks("tasks: [{kind: zero_shot, attribute: image}]"),
        &["column `image`", "found binary"],
    );
    contains(
        &tasks("tasks: [{kind: text_to_image, withn: product_type}]"),
        &["withn", "within", "tasks.yaml"],
    );
    contains(
        &tasks("tasks: [{kind: query_to_item, queries: /no/queries.tsv, qrels: /no/q.trec}]"),
        &["/no/queries.tsv"],
    );
    std::fs::write(at("twice.tsv"), "id\ttext\na\tred mug\na\tblue mug\n").unwrap();
    let twice = at("twice.tsv").display().to_string();
    contains(
        &message(&["--queries", &twice, "--qrels", qrels]),
        &["twice.tsv", "line 3: query id `a` is that of line 2, too"],
    );
    std::fs::write(at("other.trec"), "nobody 0 vlclip-000001 1\n").unwrap();
    std::fs::write(at("one.tsv"), "id\ttext\na\tred mug\n").unwrap();
    let (other, one) = (at("other.trec").display().to_string(), at("one.tsv"));
    contains(&message(&["--queries", one.to_str().unwrap(), "--qrels", &other]), &["nobody"]);
    contains(&message(&["--baseline", "/no/report"]), &["/no/report"]);
    let output = evaluate(&model, &at("val"), &["--k", "1"]);
    assert!(output.status.success(), "{}", text(&output));
    let baseline = at("val").display().to_string();
    contains(&message(&["--baseline", &baseline, "--k", "1,5"]), &["baseline", "cut-offs"]);
    assert!(!out.join("report.json").exists(), "nothing is left of a failed evaluation");
}
