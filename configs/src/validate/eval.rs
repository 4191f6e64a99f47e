//! The `eval` section and the task file.

use super::Checks;
use crate::error::Issue;
use crate::{Eval, EvalTasks, Guard, Sides, Task, TaskKind, Unchecked};

impl Unchecked for EvalTasks {
    fn issues(&self) -> Vec<Issue> {
        let mut checks = Checks::default();
        tasks(&mut checks, "", &self.tasks);
        slices(&mut checks, "slices", &self.slices);
        checks.0
    }
}

/// Checks the section; `best` is `checkpoint.best`.
pub(super) fn eval(checks: &mut Checks, eval: &Eval, best: &str) {
    checks.paths("eval.items", &eval.items);
    checks.cadence("eval.every", eval.every);
    cut_offs(checks, "eval.k", &eval.k);
    checks.at_least_one("eval.batch", eval.batch);
    tasks(checks, "eval.", &eval.tasks);
    slices(checks, "eval.slices", &eval.slices);
    if let Some(stopping) = &eval.early_stopping {
        let holds = stopping.patience >= 1;
        let path = "eval.early_stopping.patience";
        checks.require(holds, path, "at least 1 evaluation", stopping.patience);
        not_negative(checks, "eval.early_stopping.min_delta", stopping.min_delta);
    }
    if let Some(Guard { metric: named, max_drop, .. }) = &eval.guard {
        not_negative(checks, "eval.guard.max_drop", *max_drop);
        if let Some(named) = named.as_deref().filter(|named| *named != best)
            && let Err(expected) = metric(named, &eval.tasks, &eval.k, "eval.k")
        {
            checks.fail("eval.guard.metric", format!("expected {expected}, found `{named}`"));
        }
    }
}

pub(super) fn cut_offs(checks: &mut Checks, path: &str, ks: &[usize]) {
    if ks.is_empty() {
        checks.fail(path, "expected at least one cut-off, found none; write [1, 5, 10]".into());
    }
    for (i, k) in ks.iter().enumerate() {
        let path = format!("{path}.{i}");
        checks.at_least_one(&path, *k);
        let holds = !ks.iter().take(i).any(|earlier| earlier == k);
        checks.require(holds, &path, "cut-offs that differ", format!("{k} twice"));
    }
}

fn not_negative(checks: &mut Checks, path: &str, value: f64) {
    let holds = value.is_finite() && value >= 0.0;
    checks.require(holds, path, "a finite number of at least 0", value);
}

pub(super) fn slices(checks: &mut Checks, path: &str, slices: &[String]) {
    for (i, column) in slices.iter().enumerate() {
        let path = format!("{path}.{i}");
        checks.require(!column.is_empty(), &path, "the name of a column", "empty text");
        let holds = !slices.iter().take(i).any(|earlier| earlier == column);
        checks.require(holds, &path, "columns that differ", format!("`{column}` twice"));
    }
}

pub(super) fn tasks(checks: &mut Checks, section: &str, tasks: &[Task]) {
    if tasks.is_empty() {
        checks.fail(
            &format!("{section}tasks"),
            "expected at least one task, found none; write [{kind: text_to_image}]".into(),
        );
    }
    for (i, task) in tasks.iter().enumerate() {
        let path = format!("{section}tasks.{i}");
        let name = task.name();
        let usable = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        checks.require(
            !name.is_empty() && name.chars().all(usable),
            &format!("{path}.name"),
            "letters, digits, `_`, `-` and `.` only",
            format!("`{name}`"),
        );
        if tasks.iter().take(i).any(|earlier| earlier.name() == name) {
            checks.fail(
                &format!("{path}.name"),
                format!("expected names that differ, found `{name}` twice; give each its own"),
            );
        }
        keys(checks, &path, task);
        values(checks, &path, task);
    }
}

/// The keys that a task's kind uses and needs.
fn keys(checks: &mut Checks, path: &str, task: &Task) {
    use TaskKind::*;
    let kind = task.kind;
    let pairs = matches!(kind, TextToImage | ImageToText);
    let products = matches!(kind, QueryToItem | ItemToItem);
    for (key, given, used) in [
        ("captions", task.captions.is_some(), pairs),
        ("items", task.items.is_some(), products),
        ("within", task.within.is_some(), pairs || products),
        ("queries", task.queries.is_some(), kind == QueryToItem),
        ("qrels", task.qrels.is_some(), products),
        ("missing_items", task.missing_items.is_some(), products),
        ("relevant", task.relevant.is_some(), kind == ItemToItem),
        ("attribute", task.attribute.is_some(), kind == ZeroShot),
        ("templates", task.templates.is_some(), kind == ZeroShot),
    ] {
        if given && !used {
            let message = format!("not a key of {}; take it out", kind.name());
            checks.fail(&format!("{path}.{key}"), message);
        }
    }
    let mut needs = |key: &str, given: bool, what: &str| {
        if !given {
            let message = format!("{} needs {what}", kind.name());
            checks.fail(&format!("{path}.{key}"), message);
        }
    };
    match kind {
        TextToImage | ImageToText => {}
        QueryToItem => {
            needs("queries", task.queries.is_some(), "a file of queries");
            needs("qrels", task.qrels.is_some(), "a file of judgements");
        }
        ItemToItem => needs(
            "relevant",
            task.relevant.is_some() != task.qrels.is_some(),
            "either `relevant`, a column whose equal values make items relevant, or `qrels`, a \
             file of judgements",
        ),
        ZeroShot => needs("attribute", task.attribute.is_some(), "a column of classes"),
    }
}

fn values(checks: &mut Checks, path: &str, task: &Task) {
    if let Some(Sides { image, text }) = task.items {
        not_negative(checks, &format!("{path}.items.image"), image);
        not_negative(checks, &format!("{path}.items.text"), text);
        if image == 0.0 && text == 0.0 {
            checks.fail(
                &format!("{path}.items"),
                "expected a weight above 0, found none; write {image: 1}".into(),
            );
        }
    }
    let columns =
        [("within", &task.within), ("relevant", &task.relevant), ("attribute", &task.attribute)];
    for (key, column) in columns {
        let holds = column.as_deref() != Some("");
        checks.require(holds, &format!("{path}.{key}"), "the name of a column", "empty text");
    }
    for (i, template) in task.templates.iter().flatten().enumerate() {
        let path = format!("{path}.templates.{i}");
        let holds = template.matches("{}").count() == 1;
        checks.require(holds, &path, "a text with `{}` once", format!("`{template}`"));
    }
    if task.templates.as_ref().is_some_and(Vec::is_empty) {
        checks.fail(
            &format!("{path}.templates"),
            "expected at least one prompt, found none; leave the key out for the default".into(),
        );
    }
}

/// Whether `name` is a metric, `TASK/METRIC`, of `tasks` with the cut-offs `ks`, which are the key
/// `ks_path`; if not, what is expected.
pub(super) fn metric(
    name: &str,
    tasks: &[Task],
    ks: &[usize],
    ks_path: &str,
) -> Result<(), String> {
    const AT_K: [&str; 6] = ["precision", "recall", "hits", "ndcg", "map", "mrr"];
    const WITHOUT_K: [&str; 3] = ["map", "mrr", "r_precision"];
    let (task, metric) = name.split_once('/').unwrap_or(("", name));
    if !tasks.iter().any(|known| known.name() == task) {
        let names: Vec<String> = tasks.iter().map(|task| format!("`{}`", task.name())).collect();
        let example = tasks.first().map_or("text_to_image", Task::name);
        return Err(format!(
            "`TASK/METRIC` with a task of {}, e.g. `{example}/hits@5`",
            names.join(" or ")
        ));
    }
    match metric.split_once('@') {
        None if WITHOUT_K.contains(&metric) => Ok(()),
        Some((name, k)) if AT_K.contains(&name) => {
            let cut = k.parse::<usize>().ok().filter(|n| n.to_string() == k && ks.contains(n));
            cut.map(|_| ())
                .ok_or_else(|| format!("a cut-off after `@` that is in {ks_path} ({ks:?})"))
        }
        _ => Err("a metric of `precision@K`, `recall@K`, `hits@K`, `ndcg@K`, `map@K`, `mrr@K`, \
                  `map`, `mrr` or `r_precision`"
            .into()),
    }
}
