//! What is wrong with one value: a sentence, the key path, and where it was written.

use crate::tree::Origin;
use serde::de;
use std::fmt::{self, Display};

/// Why a tree does not fit the schema. The path grows from the inside out as it is handed up.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    /// Innermost key first.
    path: Vec<String>,
    pub(crate) origin: Option<Origin>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: Vec::new(), origin: None }
    }

    /// Says where, unless something further in said so already.
    pub(crate) fn at(mut self, origin: Origin) -> Self {
        self.origin.get_or_insert(origin);
        self
    }

    /// Says that it lies below `key`.
    pub(crate) fn under(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }

    /// The key path with dots; empty at the top.
    pub(crate) fn path(&self) -> String {
        self.path.iter().rev().map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
    fn invalid_type(found: de::Unexpected, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Unit => "nothing (null)".into(),
            de::Unexpected::Seq => "a list".into(),
            de::Unexpected::Map => "a mapping".into(),
            other => other.to_string(),
        };
        Self::new(format!("expected {expected}, found {found}"))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "unknown key `{field}`; valid keys: {}{}",
            listed(expected),
            suggestion(field, expected)
        ))
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "expected one of {}, found `{variant}`{}",
            listed(expected),
            suggestion(variant, expected)
        ))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("required key `{field}` is missing; add it"))
    }
}

/// Names in backquotes with commas.
pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// `; did you mean ...?` for the nearest of `names`, or nothing where none is near.
fn suggestion(word: &str, names: &[&str]) -> String {
    nearest(word, names).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

/// The one of `names` that a misspelt `word` most likely means; `None` where none is near.
pub fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let limit = 1 + word.chars().count() / 3;
    let near = names.iter().map(|n| (distance(word, n), *n)).filter(|(d, _)| *d <= limit);
    near.min_by_key(|(d, _)| *d).map(|(_, n)| n)
}

/// Edits between two words, where swapping two neighbours counts as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let kept = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = kept.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(distance("stpes", "steps"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(suggestion("stpes", &["epochs", "steps"]), "; did you mean `steps`?");
        assert_eq!(suggestion("learning_rate", &["lr", "eps"]), "");
    }

    #[test]
    fn the_path_reads_from_the_outside_in() {
        let fault = Fault::new("x").under("micro").under("batch");
        assert_eq!(fault.path(), "batch.micro");
    }
}
