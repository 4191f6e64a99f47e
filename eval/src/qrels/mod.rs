//! Relevance judgements: which items answer which query, and how well. Owns the TREC qrels format;
//! `parquet` owns the other.

mod parquet;

use crate::EvalError;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

/// Judgements by query id, then item id. A grade above 0 is relevant (and is the linear gain of
/// nDCG); 0 or less is judged and not relevant. A query without any judgement is not scored; one
/// whose judgements are all 0 or less is scored with 0, both as in trec_eval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels {
    queries: BTreeMap<String, BTreeMap<String, i32>>,
}

impl Qrels {
    /// Collects (query id, item id, grade) triples.
    ///
    /// # Errors
    /// Names the first pair that is judged twice.
    pub fn new<Q: Into<String>, I: Into<String>>(
        judgements: impl IntoIterator<Item = (Q, I, i32)>,
    ) -> Result<Self, EvalError> {
        let mut qrels = Self::default();
        for (query, item, grade) in judgements {
            qrels.add(query.into(), item.into(), grade)?;
        }
        Ok(qrels)
    }

    fn add(&mut self, query: String, item: String, grade: i32) -> Result<(), EvalError> {
        let items = self.queries.entry(query.clone()).or_default();
        match items.insert(item.clone(), grade) {
            None => Ok(()),
            Some(_) => Err(EvalError::DuplicateJudgement { query, item }),
        }
    }

    /// Reads judgements. A file whose name ends in `.parquet` has the columns `query_id` and
    /// `item_id` (text or integers) and `grade` (integers of any width); any other is in the TREC
    /// format: `query iteration item grade` on each line, separated by white space, empty lines
    /// passed over.
    ///
    /// # Errors
    /// Names the file and the line, or row and column, of what cannot be read, and the pair that is
    /// judged twice.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
            return parquet::read(path);
        }
        let failed = |source| EvalError::Io { action: "read", path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut qrels = Self::default();
        for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
            let line = line.map_err(failed)?;
            let wrong = |problem: String| EvalError::QrelsLine {
                path: path.to_owned(),
                line: index + 1,
                problem,
                found: line.clone(),
            };
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [] => {}
                [query, _, item, grade] => {
                    let grade = grade.parse().map_err(|_| {
                        wrong(format!("grade `{grade}` is not a whole number of 32 bits"))
                    })?;
                    qrels.add(query.into(), item.into(), grade)?;
                }
                _ => return Err(wrong(format!("{} fields instead of 4", fields.len()))),
            }
        }
        Ok(qrels)
    }

    /// Number of judged queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether no query is judged.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Item ids and grades of one query, by item id; `None` when the query is not judged.
    pub fn of(&self, query: &str) -> Option<impl ExactSizeIterator<Item = (&str, i32)>> {
        let items = self.queries.get(query)?;
        Some(items.iter().map(|(item, grade)| (item.as_str(), *grade)))
    }

    /// Checks that every judgement is of a query and an item that are there: `queries` and `items` say
    /// how many there are and whether an id is one of them.
    ///
    /// # Errors
    /// Names the first query, or the first item, that is not there.
    pub fn expect_known(
        &self,
        queries: (usize, impl Fn(&str) -> bool),
        items: (usize, impl Fn(&str) -> bool),
    ) -> Result<(), EvalError> {
        let mut unknown = self.queries.keys().filter(|query| !(queries.1)(query));
        if let Some(query) = unknown.next() {
            let (query, more) = (query.clone(), unknown.count());
            return Err(EvalError::UnknownQuery { query, queries: queries.0, more });
        }
        let judged = self.queries.iter().flat_map(|(query, of)| of.keys().map(move |i| (query, i)));
        let mut unknown = judged.filter(|(_, item)| !(items.1)(item));
        if let Some((query, item)) = unknown.next() {
            let (query, item, more) = (query.clone(), item.clone(), unknown.count());
            return Err(EvalError::UnknownItem { item, query, items: items.0, more });
        }
        Ok(())
    }

    /// Ids of the judged queries, in order.
    pub fn queries(&self) -> impl ExactSizeIterator<Item = &str> {
        self.queries.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Qrels, String> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("qrels.trec");
        std::fs::write(&path, text).expect("write");
        let shown = path.display().to_string();
        Qrels::read(&path).map_err(|error| error.to_string().replace(&shown, "FILE"))
    }

    #[test]
    fn reads_the_trec_format() {
        let expected = Qrels::new([("q1", "a", 2), ("q1", "b", 0), ("q2", "a", -1)]);
        assert_eq!(read("q1 0 a 2\nq1\tQ0\tb\t0\n\nq2 0 a -1\r\n"), Ok(expected.expect("valid")));
    }

    #[test]
    fn names_the_first_judgement_of_nobody_or_nothing() {
        let qrels = Qrels::new([("q1", "a", 1), ("q1", "b", 0), ("q2", "c", 1)]).expect("valid");
        let check = |queries: &[&str], items: &[&str]| {
            let (queries, items) = (queries.to_vec(), items.to_vec());
            let is_query = |id: &str| queries.contains(&id);
            let is_item = |id: &str| items.contains(&id);
            let found = qrels.expect_known((queries.len(), is_query), (items.len(), is_item));
            found.map_err(|error| error.to_string())
        };
        assert_eq!(check(&["q1", "q2", "q3"], &["a", "b", "c"]), Ok(()));
        let item = check(&["q1", "q2"], &["a"]).expect_err("b and c");
        assert!(item.contains("item `b` for query `q1`") && item.contains("1 items"), "{item}");
        let query = check(&["q2"], &["a"]).expect_err("q1");
        assert!(query.contains("`q1`"), "{query}");
    }

    #[test]
    fn names_file_and_line_of_what_it_cannot_read() {
        assert_eq!(
            read("q1 0 a 1\nq1 a 1\n").expect_err("three fields"),
            "`FILE` line 2: 3 fields instead of 4; expected `query 0 item grade`, found `q1 a 1`"
        );
        assert_eq!(
            read("q1 0 a high").expect_err("no number"),
            "`FILE` line 1: grade `high` is not a whole number of 32 bits; expected `query 0 item \
             grade`, found `q1 0 a high`"
        );
        assert_eq!(
            read("q1 0 a 1\nq1 0 a 2").expect_err("twice"),
            "query `q1` and item `a` are judged twice in the qrels: keep one judgement of each pair"
        );
        let missing = Qrels::read(Path::new("/no/such.qrels")).expect_err("missing").to_string();
        assert!(missing.starts_with("cannot read `/no/such.qrels`: "), "{missing}");
    }
}
