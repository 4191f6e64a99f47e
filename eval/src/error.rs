//! Everything that can go wrong in an evaluation, one sentence each.

use std::path::PathBuf;
use thiserror::Error;

/// Why an evaluation could not be made, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The number of values is not ids times width.
    #[error(
        "embeddings of {ids} ids with width {width} need {} values, but {found} were given",
        .ids * .width
    )]
    Shape {
        /// Number of ids.
        ids: usize,
        /// Components per row.
        width: usize,
        /// Number of values given.
        found: usize,
    },
    /// Embeddings without components.
    #[error("embeddings have width 0: every row needs at least one component")]
    ZeroWidth,
    /// More rows than a 32-bit index can name.
    #[error("{rows} rows in one matrix: at most {} are supported", u32::MAX)]
    TooManyRows {
        /// Number of rows.
        rows: usize,
    },
    /// An id is the empty string.
    #[error("row {row} has an empty id: every embedding needs a name of its own")]
    EmptyId {
        /// Row, from 0.
        row: usize,
    },
    /// Two rows have the same id.
    #[error(
        "id `{id}` names rows {first} and {second}: ids must be distinct, keep one row of each"
    )]
    DuplicateId {
        /// The id.
        id: String,
        /// First row with the id, from 0.
        first: usize,
        /// Second row with the id, from 0.
        second: usize,
    },
    /// A component is NaN or infinite.
    #[error(
        "embedding `{id}` (row {row}) has {value} at component {component}: expected a finite number; did the model diverge?"
    )]
    NotFinite {
        /// Id of the row.
        id: String,
        /// Row, from 0.
        row: usize,
        /// Component, from 0.
        component: usize,
        /// What was found.
        value: f32,
    },
    /// A row is not a unit vector.
    #[error(
        "embedding `{id}` (row {row}) has norm {norm}: expected 1 within 0.01; normalise the rows first"
    )]
    NotUnit {
        /// Id of the row.
        id: String,
        /// Row, from 0.
        row: usize,
        /// Its Euclidean norm.
        norm: f64,
    },
    /// A row is all zero and has no direction.
    #[error("embedding `{id}` (row {row}) is all zero: it has no direction to normalise")]
    ZeroRow {
        /// Id of the row.
        id: String,
        /// Row, from 0.
        row: usize,
    },
    /// Queries and items come from different spaces.
    #[error(
        "queries have width {queries} and items have width {items}: both must come from the same model"
    )]
    WidthMismatch {
        /// Width of the queries.
        queries: usize,
        /// Width of the items.
        items: usize,
    },
    /// Nothing to search with or in.
    #[error("there are no {what} to evaluate")]
    Empty {
        /// `queries` or `items`.
        what: &'static str,
    },
    /// A judgement is given twice.
    #[error(
        "query `{query}` and item `{item}` are judged twice in the qrels: keep one judgement of each pair"
    )]
    DuplicateJudgement {
        /// Query id.
        query: String,
        /// Item id.
        item: String,
    },
    /// Judgements name queries that have no embedding.
    #[error("the qrels name query `{query}`, which is not among the {queries} queries{}", others(.more))]
    UnknownQuery {
        /// The first unknown id.
        query: String,
        /// Number of queries.
        queries: usize,
        /// Number of further unknown ids.
        more: usize,
    },
    /// Judgements name items that are not in the pool.
    #[error("the qrels name item `{item}` for query `{query}`, which is not among the {items} items of the pool{}", others(.more))]
    UnknownItem {
        /// The first unknown id.
        item: String,
        /// The query it is judged for.
        query: String,
        /// Number of items.
        items: usize,
        /// Number of further judgements of unknown items.
        more: usize,
    },
    /// No query that was searched has a judgement.
    #[error("none of the {queries} queries is judged in the qrels: there is nothing to average")]
    NothingJudged {
        /// Number of queries.
        queries: usize,
    },
    /// A cut-off is larger than the pool.
    #[error("k = {k} is larger than the pool of {pool} candidates: choose k of at most {pool}")]
    KBeyondPool {
        /// The cut-off.
        k: usize,
        /// Candidates of the query with the smallest pool.
        pool: usize,
    },
    /// No cut-off, or a cut-off of 0.
    #[error("cut-offs k must be a list of one or more numbers of at least 1, found {found:?}")]
    BadCutOffs {
        /// The list given.
        found: Vec<usize>,
    },
    /// Labels that are not one per query.
    #[error("slice column `{column}` has {found} labels for {queries} queries: give one per query")]
    LabelCount {
        /// The column.
        column: String,
        /// Number of labels.
        found: usize,
        /// Number of queries.
        queries: usize,
    },
    /// A column to slice by in which no scored query has a value.
    #[error(
        "slice column `{column}` is empty: none of the {queries} scored queries has a value in it; leave it out or fill it"
    )]
    EmptySlices {
        /// The column.
        column: String,
        /// Number of scored queries.
        queries: usize,
    },
    /// A column to slice by is given twice.
    #[error("slice column `{column}` is given twice: name each column once")]
    DuplicateSlices {
        /// The column.
        column: String,
    },
    /// Too few resamples to read an interval from.
    #[error(
        "{resamples} resamples are too few for an interval: choose at least 100, or 0 for no intervals"
    )]
    BadResamples {
        /// The number given.
        resamples: usize,
    },
    /// A confidence that is no share.
    #[error(
        "confidence {confidence} is not possible: choose a number between 0 and 1, such as 0.95"
    )]
    BadConfidence {
        /// The number given.
        confidence: f64,
    },
    /// The list to keep per query is empty or cannot be written exactly.
    #[error(
        "depth {depth} is not possible: keep between 1 and 16777215 items per query (the run's score column is a 32-bit float)"
    )]
    BadDepth {
        /// The depth given.
        depth: usize,
    },
    /// A block of items does not consist of whole rows.
    #[error(
        "the block of items from row {first} on has {found} values: expected whole rows of {width}"
    )]
    BlockShape {
        /// Index of its first row in the pool.
        first: usize,
        /// Components per row.
        width: usize,
        /// Number of values given.
        found: usize,
    },
    /// A block of items starts before the end of the one before it.
    #[error(
        "a block of items starts at row {first} of the pool, but the block before it ended at row {end}: blocks must come in ascending order, each row once"
    )]
    BlockOrder {
        /// Index of its first row.
        first: usize,
        /// Index after the last row of the block before it.
        end: usize,
    },
    /// A block of items has rows without an id.
    #[error(
        "a block of items holds rows {first} to {} of the pool, which has only {items} items",
        .end - 1
    )]
    BlockBeyondPool {
        /// Index of its first row.
        first: usize,
        /// Index after its last row.
        end: usize,
        /// Number of items.
        items: usize,
    },
    /// The shares of a search do not make up the pool.
    #[error(
        "item `{id}` (row {row} of the pool) is {} of the searched shares: every item must be in exactly one",
        if *.twice { "in two" } else { "in none" }
    )]
    Coverage {
        /// Id of the first such item.
        id: String,
        /// Its row.
        row: usize,
        /// Whether two shares hold it.
        twice: bool,
    },
    /// Two parts of a search that do not belong together.
    #[error("parts of different searches: one has {expected} {what}, the other {found}")]
    PartsDiffer {
        /// What is counted.
        what: &'static str,
        /// Number in the one.
        expected: usize,
        /// Number in the other.
        found: usize,
    },
    /// Bytes that are not a part of a search as this program writes it.
    #[error("the {bytes} bytes of a part of a search cannot be read: {problem}")]
    PartBytes {
        /// How many bytes were given.
        bytes: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A device failed that scores for the search.
    #[error("the search's device failed: {problem}")]
    Device {
        /// What it said.
        problem: String,
    },
    /// Not one label per row.
    #[error("{labels} labels for {rows} {what}: expected one for each")]
    PoolLabelCount {
        /// Number of labels.
        labels: usize,
        /// Number of rows.
        rows: usize,
        /// `queries` or `items`.
        what: &'static str,
    },
    /// A line of a TREC qrels file cannot be read.
    #[error("`{}` line {line}: {problem}; expected `query 0 item grade`, found `{found}`", .path.display())]
    QrelsLine {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
        /// The line.
        found: String,
    },
    /// A Parquet file of judgements cannot be read.
    #[error("`{}` is not a table of judgements: {problem}", .path.display())]
    QrelsTable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// Reports whose figures do not compare.
    #[error(
        "the reports do not compare:\n- {}\nevaluate both in the same way, or compare what they share with --force",
        .differences.join("\n- ")
    )]
    ProtocolsDiffer {
        /// What differs, one line each.
        differences: Vec<String>,
    },
    /// Reports that share no task or no query.
    #[error("the reports have nothing to compare: {problem}")]
    NothingShared {
        /// What they do not share.
        problem: String,
    },
    /// A metric that no compared task has.
    #[error("no metric `{name}` to compare; there are `{}`", .known.join("`, `"))]
    UnknownMetric {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Too few sign patterns to read a p-value from.
    #[error("{permutations} permutations are too few for a test: choose at least 100")]
    BadPermutations {
        /// The number given.
        permutations: usize,
    },
    /// A bound that is not a metric and a number.
    #[error(
        "bound `{text}`: expected METRIC=DIFFERENCE, such as `hits@5=-0.01` or `text_to_image/mrr=0`"
    )]
    BadBound {
        /// The bound given.
        text: String,
    },
    /// A task's name cannot be part of a metric's name.
    #[error("task name `{name}` is not usable: use letters, digits, `_`, `-` and `.` only")]
    BadTaskName {
        /// The name.
        name: String,
    },
    /// A report is written without the ranking of one of its tasks, or with one it lacks.
    #[error("the report has the tasks {report:?}, but rankings were given for {rankings:?}")]
    TasksDiffer {
        /// Tasks of the report.
        report: Vec<String>,
        /// Tasks of the rankings.
        rankings: Vec<String>,
    },
    /// The report's format is not the one this program reads.
    #[error(
        "report has schema `{found}`, but this program reads `{expected}`: read it with the version that wrote it, or evaluate again"
    )]
    Schema {
        /// Name and version found.
        found: String,
        /// Name and version expected.
        expected: String,
    },
    /// Embeddings that a ranking was not made from.
    #[error(
        "the {what} are not those of the ranking, or in another order: give those that were searched"
    )]
    OtherRanking {
        /// `queries` or `items`.
        what: &'static str,
    },
    /// A run of an ablation lacks a task or metric.
    #[error(
        "arm `{arm}` with seed {seed} has no `{what}`: evaluate it on the same tasks as the others"
    )]
    NotMeasured {
        /// `task` or `task/metric`.
        what: String,
        /// Name of the arm.
        arm: String,
        /// Seed of the run.
        seed: u64,
    },
    /// Two runs of an ablation cannot be compared query by query.
    #[error(
        "task `{task}`: arm `{arm}` with seed {seed} was measured on {what} than the first run: evaluate all arms on the same products, queries and judgements"
    )]
    ArmsDiffer {
        /// The task.
        task: String,
        /// Name of the arm.
        arm: String,
        /// Seed of the run.
        seed: u64,
        /// What differs.
        what: &'static str,
    },
    /// The report is not valid JSON or lacks a field.
    #[error("report cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

fn others(more: &usize) -> String {
    if *more == 0 { String::new() } else { format!(" (and {more} more like it)") }
}
