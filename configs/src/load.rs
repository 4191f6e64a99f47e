//! From a YAML file and overrides to a [`Checked`] configuration.

use crate::error::{ConfigError, Issue};
use crate::fault::Fault;
use crate::overrides;
use crate::tree::{self, Kind, Node, Origin};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::Location;
use std::ops::Deref;
use std::path::Path;

/// A configuration as its file states it: every key known and typed, nothing checked across keys.
pub trait Unchecked: DeserializeOwned + Serialize {
    /// Every problem among its values, in the order of its sections; empty if it can be used.
    fn issues(&self) -> Vec<Issue>;
}

/// A configuration whose values have been checked against one another. It has the sections of `R`,
/// read-only, and is made by [`Checked::load`], [`Checked::parse`] or [`Checked::new`] alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Checked<R>(R);

impl<R> Deref for Checked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: Unchecked> Checked<R> {
    /// Checks values against their ranges and one another.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem found.
    pub fn new(raw: R) -> Result<Self, ConfigError> {
        let issues = raw.issues();
        if issues.is_empty() { Ok(Self(raw)) } else { Err(ConfigError::Invalid { issues }) }
    }

    /// Reads the file at `path`, puts each of `overrides` (`a.b.c=value`, the later ones last) over
    /// it, and checks the outcome.
    ///
    /// # Errors
    /// The file cannot be read; it is not YAML; an override is malformed; a key is unknown,
    /// missing or of the wrong type; or values do not go together.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        Self::parse(&text, &path.display().to_string(), overrides)
    }

    /// As [`Checked::load`], from text; `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Checked::load`], save for reading the file.
    pub fn parse(text: &str, name: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let source = Source { text: text.trim_start_matches('\u{feff}'), name, overrides };
        let root = source.tree()?;
        let raw = R::deserialize(&root).map_err(|fault| source.shape(&fault))?;
        Self::new(raw).map_err(|error| match error {
            ConfigError::Invalid { issues } => ConfigError::Invalid {
                issues: issues.into_iter().map(|issue| source.placed(issue, &root)).collect(),
            },
            other => other,
        })
    }

    /// The resolved configuration, every default written out, as YAML that loads to an equal one.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        serde_saphyr::to_string(&self.0).map_err(|e| ConfigError::Unwritable(e.to_string()))
    }
}

/// What was read, for messages that point into it.
struct Source<'a> {
    text: &'a str,
    name: &'a str,
    overrides: &'a [String],
}

impl Source<'_> {
    fn tree(&self) -> Result<Node, ConfigError> {
        let mut root = tree::parse(self.text, &place).map_err(|error| {
            let options = serde_saphyr::render_options! {
                formatter: &serde_saphyr::DefaultMessageFormatter,
                source_name: Some(self.name),
            };
            ConfigError::Syntax { message: error.render_with_options(options) }
        })?;
        if root.is_null() {
            root.kind = Kind::Map(Vec::new());
        }
        for (index, text) in self.overrides.iter().enumerate() {
            overrides::apply(&mut root, index, text)
                .map_err(|reason| ConfigError::Override { text: text.clone(), reason })?;
        }
        Ok(root)
    }

    fn shape(&self, fault: &Fault) -> ConfigError {
        // The document itself has no place worth a caret: it is what lacks a key.
        let origin = fault.origin.filter(|_| !fault.path().is_empty());
        ConfigError::Shape {
            place: format!("{}: ", origin.map_or(self.name.to_owned(), |o| self.place(o))),
            path: fault.path(),
            message: fault.message.clone(),
            excerpt: origin.map(|o| self.excerpt(o)).unwrap_or_default(),
        }
    }

    fn placed(&self, issue: Issue, root: &Node) -> Issue {
        let place = root.origin_of(&issue.path).map(|origin| self.place(origin));
        Issue { place, ..issue }
    }

    fn place(&self, origin: Origin) -> String {
        match origin {
            Origin::File { line, column, .. } => format!("{}:{line}:{column}", self.name),
            Origin::Override(index) => {
                format!("--set {}", self.overrides.get(index).map_or("", String::as_str))
            }
        }
    }

    /// The line in question with carets under the value, as compilers print it.
    fn excerpt(&self, origin: Origin) -> String {
        let Origin::File { line, column, width } = origin else { return String::new() };
        let Some(text) = line.checked_sub(1).and_then(|l| self.text.lines().nth(l)) else {
            return String::new();
        };
        let before = column.saturating_sub(1);
        let rest = text.chars().count().saturating_sub(before);
        let carets = "^".repeat(width.clamp(1, rest.max(1)));
        // Tabs before the caret are kept, so that it stands under the value on any terminal.
        let blank: String =
            text.chars().take(before).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let gutter = " ".repeat(line.to_string().len());
        format!("\n{gutter} |\n{line} | {text}\n{gutter} | {blank}{carets}")
    }
}

fn place(at: &Location) -> Origin {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Origin::File {
        line: number(at.line()),
        column: number(at.column()),
        width: number(at.span().len()),
    }
}
