//! The file of `vlclip ablate`.

use super::{Checks, eval};
use crate::Task;
use crate::ablation::{RawAblation, Reported};
use crate::error::Issue;
use std::collections::BTreeSet;

/// Every problem of `ablation`; empty if it can run.
pub(crate) fn issues(ablation: &RawAblation) -> Vec<Issue> {
    let mut checks = Checks::default();
    super::name(&mut checks, &ablation.name);
    let holds = !ablation.run.as_os_str().is_empty();
    checks.require(holds, "run", "the configuration of a run", "empty text");
    if ablation.seeds.is_empty() {
        checks.fail("seeds", "expected at least one seed, found none; write [0, 1, 2]".into());
    }
    distinct(&mut checks, "seeds", &ablation.seeds);
    arms(&mut checks, ablation);
    let known = ablation.arms.iter().any(|arm| arm.name == ablation.reference);
    let names = listed(ablation.arms.iter().map(|arm| &*arm.name));
    let expected = format!("the name of an arm ({names})");
    checks.require(known, "reference", &expected, format!("`{}`", ablation.reference));
    evaluate(&mut checks, ablation);
    if let Some(reported) = &ablation.reported {
        self::reported(&mut checks, ablation, reported);
    }
    let holds = !ablation.out.as_os_str().is_empty();
    checks.require(holds, "out", "a folder", "empty text");
    checks.0
}

fn arms(checks: &mut Checks, ablation: &RawAblation) {
    let arms = &ablation.arms;
    let holds = arms.len() >= 2;
    checks.require(holds, "arms", "at least 2 arms to compare", arms.len());
    let factored = arms.iter().any(|arm| !arm.factors.is_empty());
    for (i, arm) in arms.iter().enumerate() {
        let path = format!("arms.{i}");
        let usable = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let holds = arm.name.chars().all(usable) && !arm.name.trim_matches('.').is_empty();
        checks.require(
            holds,
            &format!("{path}.name"),
            "letters, digits, `_`, `-` and `.`",
            format!("`{}`", arm.name),
        );
        if arms.iter().take(i).any(|earlier| earlier.name == arm.name) {
            let message = format!("expected names that differ, found `{}` twice", arm.name);
            checks.fail(&format!("{path}.name"), message);
        }
        distinct(checks, &format!("{path}.factors"), &arm.factors);
        let of = |factors: &[String]| factors.iter().cloned().collect::<BTreeSet<String>>();
        let same = |earlier: &&crate::ablation::Arm| of(&earlier.factors) == of(&arm.factors);
        if let Some(earlier) = arms.iter().take(i).find(same).filter(|_| factored) {
            checks.fail(
                &format!("{path}.factors"),
                format!(
                    "expected other factors than those of arm `{}`, or no effect could be told \
                     from them, found the same",
                    earlier.name
                ),
            );
        }
        let columns = [("image", &arm.columns.image), ("captions", &arm.columns.captions)];
        for (role, column) in columns {
            let holds = column.as_deref() != Some("");
            let path = format!("{path}.columns.{role}");
            checks.require(holds, &path, "the name of a column", "empty text");
        }
    }
}

fn evaluate(checks: &mut Checks, ablation: &RawAblation) {
    let section = &ablation.evaluate;
    checks.paths("evaluate.items", &section.items);
    eval::cut_offs(checks, "evaluate.k", &section.k);
    if section.parts.is_empty() {
        let message = "expected at least one list of tasks, found none; leave the key out for \
                       text_to_image and image_to_text";
        checks.fail("evaluate.parts", message.into());
    }
    for (i, part) in section.parts.iter().enumerate() {
        let path = format!("evaluate.parts.{i}.");
        eval::tasks(checks, &path, &part.tasks);
        eval::slices(checks, &format!("{path}slices"), &part.slices);
        let earlier = || section.parts.iter().take(i).flat_map(|part| &part.tasks);
        for (j, task) in part.tasks.iter().enumerate() {
            if earlier().any(|earlier| earlier.name() == task.name()) {
                checks.fail(
                    &format!("{path}tasks.{j}.name"),
                    format!(
                        "expected names that differ, found `{}` in an earlier part; give each its \
                         own",
                        task.name()
                    ),
                );
            }
        }
    }
    let tasks: Vec<Task> = section.parts.iter().flat_map(|part| part.tasks.clone()).collect();
    let columns = &section.columns;
    for (role, column) in [
        ("image", Some(&columns.image)),
        ("captions", Some(&columns.captions)),
        ("product_id", columns.product_id.as_ref()),
    ] {
        let holds = column.is_none_or(|column| !column.is_empty());
        let path = format!("evaluate.columns.{role}");
        checks.require(holds, &path, "the name of a column", "empty text");
    }
    if ablation.metrics.is_empty() {
        let message = "expected at least one metric, found none; write [text_to_image/hits@5]";
        checks.fail("metrics", message.into());
    }
    distinct(checks, "metrics", &ablation.metrics);
    for (i, metric) in ablation.metrics.iter().enumerate() {
        if let Err(expected) = eval::metric(metric, &tasks, &section.k, "evaluate.k") {
            let message = format!("expected {expected}, found `{metric}`");
            checks.fail(&format!("metrics.{i}"), message);
        }
    }
}

fn reported(checks: &mut Checks, ablation: &RawAblation, reported: &Reported) {
    let holds = !reported.source.trim().is_empty();
    checks.require(holds, "reported.source", "who reported it", "empty text");
    let known: BTreeSet<&String> = ablation.arms.iter().flat_map(|arm| &arm.factors).collect();
    if reported.removals.is_empty() {
        let message = "expected at least one factor that was taken away, found none";
        checks.fail("reported.removals", message.into());
    }
    for (i, removal) in reported.removals.iter().enumerate() {
        let path = format!("reported.removals.{i}.factor");
        let expected = format!("a factor of an arm ({})", listed(known.iter().map(|f| f.as_str())));
        let holds = known.contains(&removal.factor);
        checks.require(holds, &path, &expected, format!("`{}`", removal.factor));
        let mut earlier = reported.removals.iter().take(i);
        let holds = !earlier.any(|earlier| earlier.factor == removal.factor);
        let twice = format!("`{}` twice", removal.factor);
        checks.require(holds, &path, "factors that differ", twice);
    }
}

fn distinct<T: PartialEq + std::fmt::Display>(checks: &mut Checks, path: &str, list: &[T]) {
    for (i, item) in list.iter().enumerate() {
        let holds = !list.iter().take(i).any(|earlier| earlier == item);
        let twice = format!("`{item}` twice");
        checks.require(holds, &format!("{path}.{i}"), "entries that differ", twice);
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "there is none".into() } else { names.join(", ") }
}
