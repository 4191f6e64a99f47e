//! The queries of an evaluation, in a table of any format that a catalogue can have.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use configs::prepare::{Attributes, Catalogue, Paths, ProductType, Roles};

use super::assemble::{image, text_of};
use super::cell::Cell;
use super::files::{self, CatalogueFile};
use super::plan::{AttributeColumns, Plan};
use super::reader::{self, Reader};
use super::{ImageRef, RowRef};
use crate::{Cause, Fault, PrepareError};

const ID: &str = "id";
const TEXT: &str = "text";
const IMAGE: &str = "image";

/// One query: a text, a picture, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Identity: not empty, and no other query's.
    pub id: String,
    /// The text, where it has one.
    pub text: Option<String>,
    /// The encoded picture, where it has one.
    pub image: Option<Bytes>,
    /// Its value of each column that was asked for.
    pub labels: Vec<Option<String>>,
    /// Where it is listed.
    pub row: RowRef,
}

/// Reads all queries of a CSV, TSV, JSON lines or Parquet file: the column `id`, at least one of
/// `text` and `image` (bytes, or a path from the file's folder), and those that `labels` names.
///
/// # Errors
/// A file that cannot be read; a column that is missing or of another type; the first row that
/// cannot be used (no id, an id for the second time, neither text nor picture).
pub fn queries(path: &Path, labels: &[String]) -> Result<Vec<Query>, PrepareError> {
    let config = Catalogue {
        paths: Paths(vec![path.display().to_string()]),
        format: Default::default(),
        delimiter: None,
        quotes: true,
        columns: Roles {
            product_type: ProductType::Constant(String::new()),
            attributes: Attributes::Columns(Vec::new()),
            ..Roles::default()
        },
        image_root: None,
        product_types: None,
        phrases: Default::default(),
        fetch: Default::default(),
    };
    let mut queries = Vec::new();
    let mut seen: HashMap<String, RowRef> = HashMap::new();
    for (file_index, file) in files::find(&config)?.iter().enumerate() {
        let plan = plan(file, labels)?;
        let mut reader = Reader::open(file, &plan, 0)?;
        loop {
            let number = reader.read;
            let Some(row) = reader.next(file, &plan)? else { break };
            let at = RowRef { file: file.path().clone(), file_index, row: number, line: row.line };
            let query = row.cells.and_then(|cells| query(&plan, cells, file, at.clone()));
            let query = query.map_err(|fault| file.wrong(format!("{}: {fault}", place(&at))))?;
            if let Some(first) = seen.insert(query.id.clone(), at.clone()) {
                let (id, second) = (&query.id, place(&at));
                let first = place(&first);
                return Err(file.wrong(format!(
                    "{second}: query id `{id}` is that of {first}, too: give each query its own"
                )));
            }
            queries.push(query);
        }
    }
    if queries.is_empty() {
        let reason = "holds no query: expected one per row".into();
        return Err(PrepareError::Catalogue { path: path.into(), reason });
    }
    Ok(queries)
}

fn place(row: &RowRef) -> String {
    match row.line {
        Some(line) => format!("line {line}"),
        None => format!("row {}", row.row),
    }
}

/// The columns that the file has of those that it may leave out.
fn plan(file: &CatalogueFile, labels: &[String]) -> Result<Plan, PrepareError> {
    let mut missing = None;
    for (text, image) in [(true, true), (true, false), (false, true)] {
        let plan = Plan::of_queries(ID, text.then_some(TEXT), image.then_some(IMAGE), labels);
        match reader::check(file, &plan) {
            Ok(()) => return Ok(plan),
            Err(PrepareError::MissingColumn { column, path, role, present, hint })
                if column == TEXT || column == IMAGE =>
            {
                // Of the two, the text is what most will have meant to give.
                if missing.is_none() || column == TEXT {
                    missing =
                        Some(PrepareError::MissingColumn { column, path, role, present, hint });
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(missing.unwrap_or_else(|| file.wrong("has neither `text` nor `image`")))
}

fn query(
    plan: &Plan,
    mut cells: Vec<Cell>,
    file: &CatalogueFile,
    row: RowRef,
) -> Result<Query, Fault> {
    let text = |index: usize| {
        let text = text_of(&cells[index], &plan.columns[index].name)?;
        Ok::<_, Fault>(text.map(str::to_owned))
    };
    let id = text(plan.product_id)?
        .ok_or_else(|| Fault::new(Cause::EmptyId, format!("column `{ID}` is empty")))?;
    let words = match plan.title == plan.product_id {
        true => None,
        false => text(plan.title)?,
    };
    let labels = match &plan.attributes {
        AttributeColumns::Each(columns) => {
            columns.iter().map(|index| text(*index)).collect::<Result<_, _>>()?
        }
        AttributeColumns::Packed(_) => Vec::new(),
    };
    let picture = match plan.image {
        Some(index) => {
            let cell = std::mem::replace(&mut cells[index], Cell::Null);
            picture(cell, file)?
        }
        None => None,
    };
    if words.is_none() && picture.is_none() {
        let detail = format!("query `{id}` has neither a text nor a picture");
        return Err(Fault::new(Cause::BadValue, detail));
    }
    Ok(Query { id, text: words, image: picture, labels, row })
}

fn picture(cell: Cell, file: &CatalogueFile) -> Result<Option<Bytes>, Fault> {
    if cell == Cell::Null {
        return Ok(None);
    }
    match image(cell, IMAGE, file) {
        Ok(ImageRef::Bytes(bytes)) => Ok(Some(bytes)),
        Ok(ImageRef::Path(path)) => match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => Err(Fault::new(
                Cause::ImageNotFound,
                format!("cannot read the picture `{}`: {error}", path.display()),
            )),
        },
        Ok(ImageRef::Url(url)) => Err(Fault::new(
            Cause::BadImageRef,
            format!("`{url}` is not fetched: expected a picture's bytes, or a path"),
        )),
        Err(fault) if fault.cause == Cause::MissingImage => Ok(None),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, labels: &[&str]) -> Result<Vec<Query>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::write(dir.path().join("bag.jpg"), b"\xff\xd8\xff").unwrap();
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let shown = path.display().to_string();
        queries(&path, &labels).map_err(|error| error.to_string().replace(&shown, "FILE"))
    }

    #[test]
    fn texts_pictures_and_labels_of_every_format() {
        let tsv = read("q.tsv", "id\ttext\tsegment\nq1\tred bag\thead\nq2\tsock\t\n", &["segment"]);
        let tsv = tsv.unwrap();
        assert_eq!(tsv[0].id, "q1");
        assert_eq!(tsv[0].text.as_deref(), Some("red bag"));
        assert_eq!(tsv[0].labels, [Some("head".to_owned())]);
        assert_eq!((tsv[1].labels.as_slice(), tsv[1].image.as_ref()), (&[None][..], None));
        let lines = "{\"id\": 7, \"text\": \"red bag\"}\n{\"id\": 8, \"image\": \"bag.jpg\"}\n";
        let jsonl = read("q.jsonl", lines, &[]).unwrap();
        assert_eq!((jsonl[0].id.as_str(), jsonl[0].image.as_ref()), ("7", None));
        assert_eq!(jsonl[1].text, None);
        assert_eq!(jsonl[1].image.as_deref(), Some(&b"\xff\xd8\xff"[..]));
        assert_eq!(read("q.csv", "id,image\nq1,bag.jpg\n", &[]).unwrap()[0].text, None);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let message = |content: &str, labels: &[&str]| read("q.csv", content, labels).unwrap_err();
        let twice = message("id,text\na,x\nb,y\na,z\n", &[]);
        assert!(twice.contains("line 4: query id `a` is that of line 2, too"), "{twice}");
        let neither = message("id,text,image\na,,\n", &[]);
        assert!(neither.contains("query `a` has neither a text nor a picture"), "{neither}");
        let column = message("id,query\na,x\n", &[]);
        assert!(column.contains("`text`") && column.contains("`query`"), "{column}");
        let label = message("id,text\na,x\n", &["segment"]);
        assert!(label.contains("`segment`"), "{label}");
        assert!(message("id,text\n", &[]).contains("holds no query"));
        let lost = message("id,image\na,lost.jpg\n", &[]);
        assert!(lost.contains("line 2") && lost.contains("lost.jpg"), "{lost}");
        let empty = message("id,text\n,x\n", &[]);
        assert!(empty.contains("line 2: column `id` is empty"), "{empty}");
    }
}
