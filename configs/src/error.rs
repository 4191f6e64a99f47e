//! Errors of reading and checking a configuration, each naming file, place, key and remedy.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing or cannot be read.
    #[error("cannot read the configuration file `{}`: {error}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not YAML, or states a key twice.
    #[error("the configuration file is not valid YAML:\n{message}")]
    Syntax {
        /// Line, column, reason and an excerpt with a caret.
        message: String,
    },
    /// An override cannot be read or put in its place.
    #[error("--set {text}: {reason}")]
    Override {
        /// The override as given.
        text: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A key is unknown or missing, or a value has the wrong type.
    #[error("{place}{}: {message}{excerpt}", key(path))]
    Shape {
        /// `FILE:LINE:COLUMN: `, `--set TEXT: ` or `FILE: `.
        place: String,
        /// The key path with dots; empty at the top.
        path: String,
        /// What is wrong, what was expected, what was found.
        message: String,
        /// The line with a caret, on lines of its own; empty for an override.
        excerpt: String,
    },
    /// Values that do not go together; all of them at once.
    #[error("{}", listed(issues))]
    Invalid {
        /// Every problem found, in the order of the sections.
        issues: Vec<Issue>,
    },
    /// The configuration cannot be written as YAML.
    #[error("cannot write the configuration as YAML: {0}")]
    Unwritable(String),
}

/// One problem among the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The key path with dots, e.g. `batch.micro`.
    pub path: String,
    /// What was expected, what was found, what to do.
    pub message: String,
    /// Where the value was written: `FILE:LINE:COLUMN` or `--set TEXT`. None for a default.
    pub place: Option<String>,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

fn key(path: &str) -> &str {
    if path.is_empty() { "the top level" } else { path }
}

fn listed(issues: &[Issue]) -> String {
    let many = if issues.len() == 1 { "1 error" } else { &format!("{} errors", issues.len()) };
    let lines: String = issues.iter().map(|i| format!("\n  {i}")).collect();
    format!("the configuration has {many}:{lines}")
}
