//! The report of an evaluation: its protocol and its tasks. Owns the JSON schema and the folder
//! that holds `report.json`, `report.md`, `report.html`, `run.trec` and `qrels.trec`.

use crate::{
    Bootstrap, Comparison, EvalError, Gallery, Measure, Ranking, Shown, Space, TaskReport, html,
    markdown,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Name of the report's format.
pub const SCHEMA: &str = "vlclip.eval.report";
/// Version of the report's format: raised when a reader of the old one would be misled.
pub const SCHEMA_VERSION: u32 = 2;

/// An evaluation of one model on one or more tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was evaluated, and how.
    pub protocol: Protocol,
    /// The shape of the embedding space, where the caller has measured it.
    pub space: Option<Space>,
    /// This report compared with that of a baseline, where the caller has one.
    pub baseline: Option<Comparison>,
    /// Results by task name.
    pub tasks: BTreeMap<String, TaskReport>,
}

/// What a reader needs to repeat an evaluation. Pool size, relevance, self-match and ties are
/// with each task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// What was evaluated.
    pub subject: Subject,
    /// How scores are computed and compared.
    pub scores: String,
    /// How equal scores are ordered.
    pub tie_rule: String,
    /// Which queries the means are over.
    pub averaging: String,
    /// How confidence intervals are made.
    pub intervals: String,
    /// Share of such intervals that hold the true mean.
    pub confidence: f64,
    /// Resamples behind each interval; 0 without intervals.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// Each measure's definition with denominator, cut-off and gain, by name.
    pub definitions: BTreeMap<String, String>,
}

/// What was evaluated, in the caller's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The model: its folder or name, and its step.
    pub model: String,
    /// The data: files and split.
    pub data: String,
    /// The command line that made the report.
    pub command: String,
    /// Digests of the model's files, and whatever else identifies the model, by name.
    pub hashes: BTreeMap<String, String>,
    /// Digests of the data's files, and whatever else identifies the data, by name: reports that
    /// differ in one of these are not compared.
    pub data_hashes: BTreeMap<String, String>,
}

impl Report {
    /// Joins the results of the tasks called by their names (letters, digits, `_`, `-`, `.`), whose
    /// intervals were made as `bootstrap` says.
    ///
    /// # Errors
    /// A task name that cannot be part of a metric's name.
    pub fn new(
        subject: Subject,
        bootstrap: &Bootstrap,
        tasks: BTreeMap<String, TaskReport>,
    ) -> Result<Self, EvalError> {
        let usable = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if let Some(name) = tasks.keys().find(|name| name.is_empty() || !name.chars().all(usable)) {
            return Err(EvalError::BadTaskName { name: name.clone() });
        }
        Ok(Self {
            schema: SCHEMA.into(),
            schema_version: SCHEMA_VERSION,
            protocol: Protocol {
                subject,
                scores: "inner products of unit-norm rows in f32; every item of the pool is \
                         scored and ranked, nothing is approximate"
                    .into(),
                tie_rule: "equal f32 scores: lower item index first; pessimistic and optimistic \
                           values put the relevant items of every tie last or first"
                    .into(),
                averaging: "mean over the judged queries; a judged query without relevant items \
                            counts as 0, a query without judgements does not count (trec_eval)"
                    .into(),
                intervals: crate::bootstrap::METHOD.into(),
                confidence: bootstrap.confidence,
                resamples: bootstrap.resamples,
                seed: bootstrap.seed,
                definitions: Measure::ALL
                    .iter()
                    .map(|measure| (measure.name().into(), measure.definition().into()))
                    .collect(),
            },
            space: None,
            baseline: None,
            tasks,
        })
    }

    /// The value of `task/metric`, such as `text_to_image/hits@5` or `image_to_text/mrr`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (task, metric) = name.split_once('/')?;
        self.tasks.get(task)?.metric(metric)
    }

    /// Every name that [`Report::metric`] knows, in the order of reports.
    pub fn metric_names(&self) -> Vec<String> {
        self.tasks
            .iter()
            .flat_map(|(name, task)| {
                task.metrics_in_order().map(move |(metric, _)| format!("{name}/{metric}"))
            })
            .collect()
    }

    /// One line of JSON, numbers in full precision.
    ///
    /// # Errors
    /// None that a report made by this crate can cause.
    pub fn to_json(&self) -> Result<String, EvalError> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Reads what [`Report::to_json`] wrote.
    ///
    /// # Errors
    /// Text that is not JSON, another schema or version (named), a missing or wrong field (named).
    pub fn from_json(text: &str) -> Result<Self, EvalError> {
        #[derive(Deserialize)]
        struct Stamp {
            #[serde(default)]
            schema: String,
            #[serde(default)]
            schema_version: u32,
        }
        let stamp: Stamp = serde_json::from_str(text)?;
        if (stamp.schema.as_str(), stamp.schema_version) != (SCHEMA, SCHEMA_VERSION) {
            return Err(EvalError::Schema {
                found: format!("{} {}", stamp.schema, stamp.schema_version),
                expected: format!("{SCHEMA} {SCHEMA_VERSION}"),
            });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The report for readers: metrics beside chance and tie bounds, then the protocol.
    pub fn to_markdown(&self) -> String {
        markdown::report(self)
    }

    /// The report as one HTML file that needs nothing else: no script, no font, no request. By task,
    /// `galleries` says what queries and items look like; [`Report::shown`] which of them matter.
    /// Its size is bounded: [`MAX_PICTURES_BYTES`](crate::MAX_PICTURES_BYTES) of pictures, and a few
    /// slices of many.
    pub fn to_html(&self, galleries: &BTreeMap<String, Gallery>) -> String {
        html::page(self, galleries)
    }

    /// The ids that [`Report::to_html`] shows, by task: those whose cards it is worth to make.
    pub fn shown(&self) -> BTreeMap<String, Shown> {
        let shown = |(name, task): (&String, &TaskReport)| {
            let compared = self.baseline.as_ref().and_then(|baseline| baseline.tasks.get(name));
            (name.clone(), Shown::of(task, compared))
        };
        self.tasks.iter().map(shown).collect()
    }

    /// Writes `report.json`, `report.md`, `report.html`, `run.trec` and `qrels.trec` into `dir`,
    /// which is made if it is missing. `rankings` holds the ranking of every task; `galleries` may
    /// lack tasks and ids. With one task the TREC files have the query ids as they are; with
    /// several, `<task>/<query id>`.
    ///
    /// # Errors
    /// Tasks without ranking or rankings without task; a file that cannot be written, by name. Each
    /// file is complete or not there: it is written beside its place and renamed.
    pub fn write(
        &self,
        dir: &Path,
        rankings: &BTreeMap<String, Ranking>,
        galleries: &BTreeMap<String, Gallery>,
    ) -> Result<(), EvalError> {
        if !self.tasks.keys().eq(rankings.keys()) {
            return Err(EvalError::TasksDiffer {
                report: self.tasks.keys().cloned().collect(),
                rankings: rankings.keys().cloned().collect(),
            });
        }
        std::fs::create_dir_all(dir).map_err(|source| EvalError::Io {
            action: "write",
            path: dir.to_owned(),
            source,
        })?;
        let prefix = |task: &str| match rankings.len() {
            1 => String::new(),
            _ => format!("{task}/"),
        };
        let json = self.to_json()?;
        write_file(&dir.join("run.trec"), |out| {
            rankings.iter().try_for_each(|(task, ranking)| ranking.write_run(&prefix(task), out))
        })?;
        write_file(&dir.join("qrels.trec"), |out| {
            rankings.iter().try_for_each(|(task, ranking)| ranking.write_qrels(&prefix(task), out))
        })?;
        write_file(&dir.join("report.md"), |out| out.write_all(self.to_markdown().as_bytes()))?;
        write_file(&dir.join("report.html"), |out| {
            out.write_all(self.to_html(galleries).as_bytes())
        })?;
        write_file(&dir.join("report.json"), |out| out.write_all(json.as_bytes()))
    }
}

pub(crate) fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), EvalError> {
    let partial = path.with_added_extension("partial");
    let attempt = || {
        let mut out = BufWriter::with_capacity(1 << 18, File::create(&partial)?);
        fill(&mut out)?;
        out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        std::fs::rename(&partial, path)
    };
    attempt().map_err(|source| {
        // What is left of a failed attempt may be what fills the disk.
        let _ = std::fs::remove_file(&partial);
        EvalError::Io { action: "write", path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, embeddings, random_rows};
    use crate::{EvaluateOptions, Qrels, SearchOptions, evaluate, search};

    fn made(tasks: &[&str]) -> (Report, BTreeMap<String, Ranking>) {
        let mut random = Random::new(31);
        let items = embeddings("d", &random_rows(&mut random, 12, 4));
        let qrels = Qrels::new(items.ids().iter().map(|id| (id.clone(), id.clone(), 1)));
        let ranking = search(&items, &items, &qrels.expect("valid"), &SearchOptions::new(12));
        let ranking = ranking.expect("valid");
        let rankings: BTreeMap<String, Ranking> =
            tasks.iter().map(|task| ((*task).to_owned(), ranking.clone())).collect();
        let options = EvaluateOptions::new(&[1, 5]);
        let results = rankings
            .iter()
            .map(|(task, ranking)| (task.clone(), evaluate(ranking, &options).expect("valid")))
            .collect();
        let subject = Subject { model: "step-00000040".into(), ..Subject::default() };
        (Report::new(subject, &Bootstrap::default(), results).expect("usable names"), rankings)
    }

    #[test]
    fn names_its_metrics() {
        let (report, _) = made(&["text_to_image", "image_to_text"]);
        assert_eq!(report.metric("text_to_image/hits@5"), Some(1.0));
        assert!(
            report.metric("text_to_image/precision@5").is_some_and(|p| (p - 0.2).abs() < 1e-12)
        );
        for unknown in ["text_to_image/hits@3", "hits@5", "text_to_text/mrr"] {
            assert_eq!(report.metric(unknown), None);
        }
        let names = report.metric_names();
        assert_eq!(names.len(), 30);
        assert_eq!(names[..2], ["image_to_text/precision@1", "image_to_text/precision@5"]);
        assert!(names.iter().all(|name| report.metric(name).is_some()));
    }

    #[test]
    fn survives_json_and_refuses_other_versions() {
        let (report, _) = made(&["text_to_image"]);
        let json = report.to_json().expect("serialises");
        assert_eq!(Report::from_json(&json).expect("reads back"), report);
        let message = |text: &str| Report::from_json(text).expect_err("refused").to_string();
        let newer = json.replace("\"schema_version\":2", "\"schema_version\":3");
        assert_eq!(
            message(&newer),
            "report has schema `vlclip.eval.report 3`, but this program reads \
             `vlclip.eval.report 2`: read it with the version that wrote it, or evaluate again"
        );
        assert!(message("{}").contains("schema ` 0`"));
        let partial = message(r#"{"schema":"vlclip.eval.report","schema_version":2}"#);
        assert!(partial.contains("missing field `protocol`"), "{partial}");
    }

    #[test]
    fn refuses_task_names_that_are_no_metric_prefix() {
        let task = made(&["a"]).0.tasks["a"].clone();
        let made = Report::new(
            Subject::default(),
            &Bootstrap::default(),
            BTreeMap::from([("a/b".into(), task)]),
        );
        assert_eq!(
            made.expect_err("refused").to_string(),
            "task name `a/b` is not usable: use letters, digits, `_`, `-` and `.` only"
        );
    }

    #[test]
    fn writes_the_folder() {
        let none = BTreeMap::new();
        let dir = tempfile::tempdir().expect("temporary folder");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("written");
        let (report, rankings) = made(&["only"]);
        report.write(dir.path(), &rankings, &none).expect("writes");
        assert_eq!(Report::from_json(&read("report.json")).expect("reads back"), report);
        assert_eq!(read("report.md"), report.to_markdown());
        assert!(read("run.trec").starts_with("d0 Q0 d0 1 12 vlclip\nd0 Q0 "));
        assert!(read("run.trec").contains(" 12 1 vlclip\n"));
        assert!(read("qrels.trec").starts_with("d0 0 d0 1\nd1 0 d1 1\n"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 5);

        let (two, two_rankings) = made(&["a", "b"]);
        two.write(&dir.path().join("new/folder"), &two_rankings, &none).expect("writes");
        assert!(read("new/folder/run.trec").contains("\nb/d3 Q0 d3 1 12 vlclip\n"));
        assert!(read("new/folder/qrels.trec").contains("a/d3 0 d3 1\n"));
        assert_eq!(
            two.write(dir.path(), &rankings, &none).expect_err("refused").to_string(),
            r#"the report has the tasks ["a", "b"], but rankings were given for ["only"]"#
        );
        std::fs::write(dir.path().join("file"), "").expect("writes");
        let under_file = report.write(&dir.path().join("file"), &rankings, &none);
        let message = under_file.expect_err("a file is no folder").to_string();
        assert!(message.starts_with("cannot write `") && message.contains("/file`"), "{message}");
        let blocked = dir.path().join("blocked");
        std::fs::create_dir_all(blocked.join("report.md/full")).expect("makes folders");
        let message = report.write(&blocked, &rankings, &none).expect_err("in the way").to_string();
        assert!(message.contains("/blocked/report.md`: "), "{message}");
        assert!(!blocked.join("report.md.partial").exists());
    }

    #[test]
    fn markdown_states_the_protocol() {
        let text = made(&["text_to_image"]).0.to_markdown();
        for expected in [
            "## text_to_image",
            "| metric      |  value | interval | chance | pessimistic | optimistic |",
            "| hits@5      | 1.0000 |        - | 0.4167 |      1.0000 |     1.0000 |",
            "- Intervals: 95% bootstrap over the scored queries, bias-corrected",
            "- Pool: 12 items; an item with the query's own id is a candidate",
            "- Queries: 12 given, 12 scored (0 of them without a relevant item), 0 not judged",
            "- Relevant items per query: min 1, median 1, mean 1.00, max 1 (queries with R=1: 12)",
            "- Ties: 0 relevant items share their exact score with another item, in 0 queries",
            "- Model: step-00000040",
            "- Data: not stated",
            "- mrr: 1 / rank of the first relevant item",
        ] {
            assert!(text.contains(expected), "missing `{expected}` in\n{text}");
        }
    }

    #[test]
    fn reports_stand_side_by_side() {
        let (report, _) = made(&["text_to_image"]);
        let mut before = report.clone();
        let task = before.tasks.get_mut("text_to_image").expect("present");
        task.metrics.get_mut("hits@5").expect("present").value = 0.25;
        let table = crate::comparison_table(&[("untrained", &before), ("trained", &report)]);
        assert!(table.starts_with("text_to_image: 12 queries, pool of 12 items\n\n"), "{table}");
        assert!(table.contains("| metric      | chance | untrained | trained |\n|:-"), "{table}");
        assert!(table.contains("| hits@5      | 0.4167 |    0.2500 |  1.0000 |\n"), "{table}");
        assert!(table.contains("| mean rank   |    6.5 |       1.0 |     1.0 |\n"), "{table}");
        assert!(!table.contains("Not comparable"));
        before.tasks.get_mut("text_to_image").expect("present").pool = 9;
        let table = crate::comparison_table(&[("untrained", &before), ("trained", &report)]);
        let warning = "Not comparable: `untrained` has 12 queries and a pool of 9 items\n";
        assert!(table.contains(warning), "{table}");
    }
}
