//! One value of a row, whatever format it was read from.

use bytes::Bytes;

/// One value. Numbers and booleans are texts, as they were written or as Rust prints them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Null,
    /// Text, a number or a boolean.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// Values without names.
    List(Vec<Cell>),
    /// Values with names, in order: an object, a map or a struct.
    Map(Vec<(String, Cell)>),
}

impl Cell {
    /// How messages name its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "names with values",
        }
    }

    /// What a name means inside: the value of exactly that name, else, at each dot, one of a value
    /// that has names itself.
    pub(super) fn get(&self, name: &str) -> Option<&Cell> {
        let Self::Map(entries) = self else { return None };
        let find = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, cell)| cell);
        find(name).or_else(|| {
            name.match_indices('.').find_map(|(dot, _)| find(&name[..dot])?.get(&name[dot + 1..]))
        })
    }

    /// As [`Cell::get`], but moves the value out.
    pub(super) fn take(&mut self, name: &str) -> Cell {
        let Self::Map(entries) = self else { return Self::Null };
        if let Some((_, cell)) = entries.iter_mut().find(|(key, _)| key == name) {
            return std::mem::replace(cell, Self::Null);
        }
        for (dot, _) in name.match_indices('.') {
            let inner = entries.iter_mut().find(|(key, _)| *key == name[..dot]);
            if let Some((_, inner)) = inner
                && inner.get(&name[dot + 1..]).is_some()
            {
                return inner.take(&name[dot + 1..]);
            }
        }
        Self::Null
    }

    /// The text without blanks around it; `None` for nothing and for blanks alone.
    ///
    /// # Errors
    /// The kind of a value that is not text.
    pub(super) fn text(&self) -> Result<Option<&str>, &'static str> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            other => Err(other.kind()),
        }
    }
}

impl From<serde_json::Value> for Cell {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Text(value.to_string()),
            Value::Number(number) => Self::Text(number.to_string()),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Map(map.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}
