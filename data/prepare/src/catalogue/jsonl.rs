//! JSON lines: one object per line.

use std::collections::BTreeSet;
use std::io;

use super::cell::Cell;
use super::encoding;
use super::files::CatalogueFile;
use super::plan::Plan;
use super::reader::Row;
use super::window::{MAX_ROW, Window};
use crate::{Cause, Fault, PrepareError};

/// Lines that are looked at for the keys that objects have.
const LOOKED_AT: usize = 1000;

/// Rows of a JSON lines file.
pub(super) struct JsonRows {
    pub(super) window: Window,
}

impl JsonRows {
    pub(super) fn open(file: &CatalogueFile, mut window: Window) -> Result<Self, PrepareError> {
        let io = |error: io::Error| file.wrong(error.to_string());
        window.at(encoding::BOM.len() - 1).map_err(io)?;
        if window.bytes().starts_with(encoding::BOM) {
            window.pass(encoding::BOM.len(), 0);
        }
        Ok(Self { window })
    }

    /// Checks that the first lines are objects which have the keys that the plan needs.
    pub(super) fn check(mut self, file: &CatalogueFile, plan: &Plan) -> Result<(), PrepareError> {
        let blank = |byte: &&u8| !byte.is_ascii_whitespace();
        let array = self.window.bytes().iter().find(blank) == Some(&b'[');
        let (mut keys, mut missing) =
            (BTreeSet::new(), (0..plan.columns.len()).collect::<Vec<_>>());
        let mut num_objects = 0;
        for _ in 0..LOOKED_AT {
            let Some((_, object)) = self.next(file)? else { break };
            let Ok(object) = object else {
                if num_objects == 0 && array {
                    return Err(file.wrong(
                        "begins with `[`: expected one JSON object per line; convert it: jq -c \
                         '.[]' FILE > converted.jsonl",
                    ));
                }
                continue;
            };
            num_objects += 1;
            missing.retain(|column| object.get(&plan.columns[*column].name).is_none());
            if missing.is_empty() {
                return Ok(());
            }
            if let Cell::Map(entries) = object {
                keys.extend(entries.into_iter().map(|(key, _)| key));
            }
        }
        if num_objects == 0 {
            return Err(file.wrong(format!(
                "no JSON object in the first {LOOKED_AT} lines: expected one per line"
            )));
        }
        // A key may be left out where it has no value, but not by all.
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let hint = format!(" (of the first {num_objects} objects)");
        missing.first().map_or(Ok(()), |index| Err(plan.missing(*index, file.path(), &keys, &hint)))
    }

    /// The next row.
    pub(super) fn row(
        &mut self,
        file: &CatalogueFile,
        plan: &Plan,
    ) -> Result<Option<Row>, PrepareError> {
        let Some((line, object)) = self.next(file)? else { return Ok(None) };
        let cells = object.map(|mut object| {
            let columns = plan.columns.iter();
            // One column may lie within another, so values are copied, except the picture's.
            let mut cells: Vec<Cell> = columns
                .enumerate()
                .map(|(i, column)| match plan.image == Some(i) {
                    true => Cell::Null,
                    false => object.get(&column.name).cloned().unwrap_or(Cell::Null),
                })
                .collect();
            if let Some(image) = plan.image {
                cells[image] = object.take(&plan.columns[image].name);
            }
            cells
        });
        Ok(Some(Row { line: Some(line), cells }))
    }

    /// The object in the next line that is not blank, and the line.
    #[expect(clippy::type_complexity, reason = "a fault of the row beside one of the file")]
    fn next(
        &mut self,
        file: &CatalogueFile,
    ) -> Result<Option<(u64, Result<Cell, Fault>)>, PrepareError> {
        loop {
            let line = self.window.line;
            let io = |error: io::Error| {
                file.wrong(format!("cannot be read on from line {line}: {error}"))
            };
            let Some((content, length)) = self.window.line().map_err(io)? else {
                self.window.pass_line().map_err(io)?;
                let limit = MAX_ROW >> 20;
                let fault =
                    Fault::new(Cause::TooLong, format!("the row is longer than {limit} MiB"));
                return Ok(Some((line, Err(fault))));
            };
            if length == 0 {
                return Ok(None);
            }
            let bytes = &self.window.bytes()[..content];
            let blank = bytes.iter().all(u8::is_ascii_whitespace);
            let object = object(bytes, line, file);
            self.window.pass(length, 1);
            if !blank {
                return Ok(Some((line, object)));
            }
        }
    }
}

fn object(bytes: &[u8], line: u64, file: &CatalogueFile) -> Result<Cell, Fault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Fault::new(Cause::BadEncoding, encoding::invalid(bytes, line, file.path())))?;
    let bad = |detail: String| Fault::new(Cause::BadJson, detail);
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let reason = said.split(" at line ").next().unwrap_or_default();
        bad(format!("not a JSON object: {reason} at character {}", error.column()))
    })?;
    match value {
        serde_json::Value::Object(_) => Ok(value.into()),
        other => {
            let found = match other {
                serde_json::Value::Array(_) => "a list",
                serde_json::Value::String(_) => "text",
                serde_json::Value::Null => "null",
                _ => "a number or boolean",
            };
            Err(bad(format!("expected a JSON object, found {found}")))
        }
    }
}
