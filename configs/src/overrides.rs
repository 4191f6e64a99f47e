//! `--set a.b.c=value`: one value put into the tree of a file.

use crate::tree::{self, Entry, Kind, Node, Origin};

/// Puts override number `index`, spelled `text`, into `root`.
///
/// The value is read as YAML. Keys that the file leaves out are made; a value replaces whatever
/// stood there, mappings included. In a list a number picks an item, and the number after the
/// last appends one.
///
/// # Errors
/// A sentence that says what is wrong with the spelling or the path.
pub(crate) fn apply(root: &mut Node, index: usize, text: &str) -> Result<(), String> {
    let (path, value) =
        text.split_once('=').ok_or("expected `key.path=value`, found no `=`; write e.g. seed=1")?;
    let path: Vec<&str> = path.trim().split('.').collect();
    if path.iter().any(|p| p.is_empty() || p.contains(char::is_whitespace)) {
        return Err("expected `key.path=value` with a key between all dots and no blanks".into());
    }
    let origin = Origin::Override(index);
    let node = tree::parse(value, &|_| origin).map_err(|e| {
        let reason = e.without_snippet().to_string();
        format!("the value is not YAML ({reason}); quote it if it is text")
    })?;
    insert(root, index, &path, 0, node)
}

fn insert(
    at: &mut Node,
    index: usize,
    path: &[&str],
    depth: usize,
    value: Node,
) -> Result<(), String> {
    let origin = Origin::Override(index);
    let Some(key) = path.get(depth) else {
        *at = value;
        return Ok(());
    };
    if let Kind::List(items) = &mut at.kind {
        let len = items.len();
        let position = key.parse::<usize>().ok().filter(|i| *i <= len).ok_or_else(|| {
            let list = path.get(..depth).unwrap_or_default().join(".");
            format!(
                "`{list}` is a list of {len}: expected a position from 0 to {len}, found `{key}`"
            )
        })?;
        if position == len {
            items.push(Node { kind: Kind::Map(Vec::new()), origin });
        }
        return match items.get_mut(position) {
            Some(item) => insert(item, index, path, depth + 1, value),
            None => Ok(()),
        };
    }
    if !matches!(at.kind, Kind::Map(_)) {
        *at = Node { kind: Kind::Map(Vec::new()), origin };
    }
    let Kind::Map(entries) = &mut at.kind else { return Ok(()) };
    let position = entries.iter().position(|e| e.key == *key).unwrap_or_else(|| {
        entries.push(Entry {
            key: (*key).to_owned(),
            origin,
            touched: None,
            value: Node { kind: Kind::Map(Vec::new()), origin },
        });
        entries.len() - 1
    });
    let Some(entry) = entries.get_mut(position) else { return Ok(()) };
    entry.touched = Some(index);
    insert(&mut entry.value, index, path, depth + 1, value)
}
