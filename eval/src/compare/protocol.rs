//! Whether two reports were made in the same way.

use crate::{Candidates, Report, SelfMatch, TaskReport};
use std::collections::{BTreeMap, HashMap};

/// Where the protocols of two reports differ, one line each.
pub(super) fn differences(a: &Report, b: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let (of_a, of_b) = (&a.protocol, &b.protocol);
    for (what, a, b) in [
        ("scores", &of_a.scores, &of_b.scores),
        ("tie rule", &of_a.tie_rule, &of_b.tie_rule),
        ("averaging", &of_a.averaging, &of_b.averaging),
    ] {
        differ(&mut found, what, a, b);
    }
    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    for name in union(keys(&of_a.definitions), keys(&of_b.definitions)) {
        let of = |map: &BTreeMap<String, String>| map.get(&name).cloned().unwrap_or_default();
        let (a, b) = (of(&of_a.definitions), of(&of_b.definitions));
        differ(&mut found, &format!("definition of {name}"), &a, &b);
    }
    let (a_data, b_data) = (&of_a.subject.data_hashes, &of_b.subject.data_hashes);
    for name in union(keys(a_data), keys(b_data)) {
        let of = |map: &BTreeMap<String, String>| match map.get(&name) {
            Some(hash) => format!("has digest {}", &hash[..hash.len().min(12)]),
            None => "is not named".into(),
        };
        if a_data.get(&name) != b_data.get(&name) {
            found.push(format!("data: `{name}` {} in A and {} in B", of(a_data), of(b_data)));
        }
    }
    let names = |report: &Report| report.tasks.keys().cloned().collect::<Vec<_>>();
    for name in union(names(a), names(b)) {
        match (a.tasks.get(&name), b.tasks.get(&name)) {
            (Some(a), Some(b)) => tasks_differ(&mut found, &name, a, b),
            (Some(_), None) => found.push(format!("task `{name}` is only in A")),
            (None, _) => found.push(format!("task `{name}` is only in B")),
        }
    }
    found
}

fn tasks_differ(found: &mut Vec<String>, name: &str, a: &TaskReport, b: &TaskReport) {
    differ(found, &format!("{name}: pool"), &items(a), &items(b));
    differ(found, &format!("{name}: candidates"), &candidates(a), &candidates(b));
    differ(found, &format!("{name}: a query's own item"), own_item(a), own_item(b));
    let ks = |task: &TaskReport| format!("{:?}", task.ks);
    differ(found, &format!("{name}: cut-offs k"), &ks(a), &ks(b));
    if a.pool == b.pool && a.digests.items != b.digests.items {
        found.push(format!("{name}: the pools have the same size, but not the same item ids"));
    }

    let places: HashMap<&str, usize> =
        b.per_query.ids.iter().map(String::as_str).zip(0..).collect();
    let shared: Vec<(usize, usize)> = a
        .per_query
        .ids
        .iter()
        .enumerate()
        .filter_map(|(row, id)| Some((row, *places.get(id.as_str())?)))
        .collect();
    let (only_a, only_b) =
        (a.per_query.ids.len() - shared.len(), b.per_query.ids.len() - shared.len());
    if only_a + only_b > 0 {
        found.push(format!(
            "{name}: of the scored queries {} are in both, {only_a} only in A, {only_b} only in B",
            shared.len()
        ));
    }
    let relevant = |(at_a, at_b): &&(usize, usize)| {
        a.per_query.relevant.get(*at_a) != b.per_query.relevant.get(*at_b)
    };
    match shared.iter().filter(relevant).count() {
        0 if only_a + only_b == 0 && a.digests.relevance != b.digests.relevance => found.push(
            format!("{name}: other items or grades are relevant, or queries have other candidates"),
        ),
        0 => {}
        count => found.push(format!(
            "{name}: {count} of the {} shared queries have another number of relevant items",
            shared.len()
        )),
    }
    for (column, labels) in &a.per_query.labels {
        let Some(others) = b.per_query.labels.get(column) else { continue };
        let moved = shared.iter().filter(|(at_a, at_b)| labels.get(*at_a) != others.get(*at_b));
        match moved.count() {
            0 => {}
            count => found.push(format!(
                "{name}: {count} of the {} shared queries have another `{column}`",
                shared.len()
            )),
        }
    }
}

fn items(task: &TaskReport) -> String {
    format!("{} items", task.pool)
}

fn candidates(task: &TaskReport) -> String {
    match &task.candidates {
        Candidates::All => "the whole pool".into(),
        Candidates::Within { column } => format!("items of the same `{column}`"),
    }
}

fn own_item(task: &TaskReport) -> &'static str {
    match task.self_match {
        SelfMatch::Keep => "is a candidate",
        SelfMatch::Exclude => "is no candidate",
    }
}

fn differ(found: &mut Vec<String>, what: &str, a: &str, b: &str) {
    if a != b {
        found.push(format!("{what}: {a} in A, {b} in B"));
    }
}

fn union(a: Vec<String>, b: Vec<String>) -> Vec<String> {
    let mut names = [a, b].concat();
    names.sort();
    names.dedup();
    names
}
