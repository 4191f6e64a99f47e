//! What stops the agent. What goes wrong with one product is no error: see [`super::Stop::Failed`].

use super::Spent;
use configs::Issue;
use std::path::PathBuf;

/// Why the agent cannot start or go on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefineError {
    /// The configuration does not say enough, or contradicts itself.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Issue>),
    /// The server's address cannot be used.
    #[error("refine.endpoint.url: {0}")]
    Url(String),
    /// The variable that should hold the key does not.
    #[error(
        "the environment variable `{variable}`, which refine.endpoint.api_key_env names, {problem}; \
         set it to the API key, or leave api_key_env out if the server needs none"
    )]
    Key {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A prompt file cannot be used.
    #[error("{place}: {problem}")]
    Prompt {
        /// The file, and its line where one is to blame.
        place: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The operating system refused a file operation.
    #[error("cannot {action} `{}`: {message}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        message: String,
    },
    /// Another process uses the cache.
    #[error(
        "another process is using the answers in `{}`: wait for it to end, or choose another folder",
        .0.display()
    )]
    CacheBusy(PathBuf),
    /// The file in the cache's place is something else.
    #[error(
        "`{}` is not a file of answers that this version wrote (it begins with {found:?}): choose \
         another folder, or move the file away", path.display()
    )]
    CacheForeign {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
    },
    /// The server will refuse every call like this one.
    #[error("{url} answered HTTP {status}{said}: {advice}")]
    Refused {
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// What the server said, after a blank and in brackets; may be empty.
        said: String,
        /// What to do.
        advice: String,
    },
    /// No call was ever answered, and retries did not help.
    #[error(
        "{url} does not answer as an OpenAI-compatible server, {tries} tries long: {why}; is the \
         server running, and is refine.endpoint.url right (it mostly ends in /v1)?"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Calls made.
        tries: u32,
        /// What happened to the last of them.
        why: String,
    },
    /// The server asks for a longer pause than a run should make.
    #[error(
        "{url} asks to wait {seconds} s before the next call{said}; start again after that: the \
         run goes on from its answers so far"
    )]
    Wait {
        /// Where.
        url: String,
        /// Seconds.
        seconds: u64,
        /// What the server said, after a blank and in brackets; may be empty.
        said: String,
    },
    /// The budget is spent.
    #[error(
        "the budget of refine.budget.{which} ({limit}) is spent: {spent}. Start again for as much \
         once more, or raise it: the run goes on from its answers so far and pays none twice"
    )]
    Budget {
        /// `requests`, `tokens` or `money`.
        which: &'static str,
        /// How much was allowed.
        limit: String,
        /// What was spent.
        spent: Spent,
    },
    /// Too many products kept their titles.
    #[error(
        "the agent failed for {failed} of {done} products, more than refine.max_failed_fraction \
         ({max_fraction}) allows; the first ones:{}",
        examples.iter().map(|e| format!("\n  {e}")).collect::<String>()
    )]
    Failures {
        /// How many failed.
        failed: u64,
        /// How many were tried.
        done: u64,
        /// The share that may fail.
        max_fraction: f64,
        /// Some of them, with the reason.
        examples: Vec<String>,
    },
    /// The HTTP client could not be made, or its threads are gone.
    #[error("the HTTP client does not work: {0}")]
    Client(String),
}

impl RefineError {
    /// An adapter for `map_err`: wraps a system error with what was tried on which path.
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { action, path, message: error.to_string() }
    }
}

/// Why one call, or the work on one product, came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The product keeps its title.
    Product(String),
    /// The run stops.
    Run(RefineError),
}

impl From<RefineError> for Trouble {
    fn from(error: RefineError) -> Self {
        Self::Run(error)
    }
}
