//! What a reader of the report sees of queries and items: their text and a small picture. The caller
//! knows both; the report knows only ids. Owns the limits on what goes into the page.

use crate::{Example, TaskComparison, TaskReport};
use std::collections::{BTreeMap, BTreeSet};

/// Largest picture that the page takes in, in bytes: a JPEG of 160 pixels has about 6,000.
pub const MAX_PICTURE_BYTES: usize = 64 << 10;
/// Most bytes of pictures in one page; a picture counts wherever it is shown.
pub const MAX_PICTURES_BYTES: usize = 24 << 20;
/// Longer texts are cut, in characters.
pub const MAX_TEXT_CHARS: usize = 240;

/// What is to be seen of one query or item: what the model saw of it (of a text query its text), or
/// more where that helps. Without text and picture it is shown by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Caption or title; from [`MAX_TEXT_CHARS`] characters on it is cut.
    pub text: Option<String>,
    /// A JPEG, already small (160 pixels are shown at most); above [`MAX_PICTURE_BYTES`] it is left
    /// out, and the page says so.
    pub picture: Option<Vec<u8>>,
}

/// The cards of one task, by id. Cards of ids that the report does not show are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gallery {
    /// Of queries.
    pub queries: BTreeMap<String, Card>,
    /// Of items.
    pub items: BTreeMap<String, Card>,
}

/// The ids of one task that `report.html` can show a [`Card`] of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Of queries: those of the examples, and in a report with a baseline those that gained and lost.
    pub queries: BTreeSet<String>,
    /// Of items: what the examples retrieved and what was right.
    pub items: BTreeSet<String>,
}

impl Shown {
    /// What the page shows of a task, and of its comparison with a baseline.
    pub(crate) fn of(task: &TaskReport, compared: Option<&TaskComparison>) -> Self {
        let mut shown = Self::default();
        for Example { query, retrieved, relevant, .. } in
            task.examples.worst.iter().chain(&task.examples.best)
        {
            shown.queries.insert(query.clone());
            shown.items.extend(retrieved.iter().chain(relevant).map(|item| item.item.clone()));
        }
        let changes = compared.iter().flat_map(|task| task.gained.iter().chain(&task.lost));
        shown.queries.extend(changes.map(|change| change.query.clone()));
        shown
    }
}
