//! Pairs the queries of two reports and measures what changed between them.

use super::sign_flip::{self, holm, p_values};
use super::{
    COMPARISON_SCHEMA, COMPARISON_SCHEMA_VERSION, Comparison, Difference, QueryChange,
    RankDifference, SliceDifference, TaskComparison, protocol,
};
use crate::bootstrap::{self, Bootstrap};
use crate::slices::{few, groups, pick};
use crate::task::{PerQuery, mean, median};
use crate::{EvalError, Report, TaskReport};
use std::collections::{BTreeMap, HashMap};

/// The metric that changed queries are shown by where none is asked for: a rank, near the top.
const CHANGED_BY: &str = "mrr";

/// How two reports are compared.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Metrics to compare, with or without their task; all if empty. Fewer metrics need less
    /// correction. Changed queries are shown by the first.
    pub metrics: Vec<String>,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Random sign flips of a test, at least 100.
    pub permutations: usize,
    /// Queries to show of those that gained, and of those that lost.
    pub changes: usize,
    /// Compare reports of different protocols: what they share, over the queries they share.
    pub force: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            bootstrap: Bootstrap::default(),
            permutations: 10_000,
            changes: 10,
            force: false,
        }
    }
}

/// Measures what `b` has over `a`: per metric the mean difference over the queries that both score,
/// its interval by paired bootstrap and its p-value by a sign-flip test, and the same per slice.
///
/// # Errors
/// Reports of different protocols, unless forced; no shared task or query; a metric that no shared
/// task has; impossible settings of intervals and tests.
pub fn compare(a: &Report, b: &Report, options: &CompareOptions) -> Result<Comparison, EvalError> {
    options.bootstrap.check()?;
    if options.permutations < 100 {
        return Err(EvalError::BadPermutations { permutations: options.permutations });
    }
    let protocol_differences = protocol::differences(a, b);
    if !protocol_differences.is_empty() && !options.force {
        return Err(EvalError::ProtocolsDiffer { differences: protocol_differences });
    }
    let mut pairs = BTreeMap::new();
    for (name, of_a) in &a.tasks {
        let Some(of_b) = b.tasks.get(name) else { continue };
        pairs.insert(name.clone(), Pair::new(of_a, of_b, name, options)?);
    }
    let nothing = |problem: &str| Err(EvalError::NothingShared { problem: problem.into() });
    if pairs.is_empty() {
        return nothing("no task is in both");
    }
    refuse_unknown(&options.metrics, a, b)?;
    let mut tasks: BTreeMap<String, TaskComparison> = BTreeMap::new();
    for (name, pair) in pairs.iter().filter(|(_, pair)| !pair.names.is_empty()) {
        if pair.rows.is_empty() {
            return nothing(&format!("no scored query of task `{name}` is in both"));
        }
        tasks.insert(name.clone(), pair.compared(options));
    }
    adjust(tasks.values_mut().flat_map(|task| task.metrics.values_mut()));
    let mut columns: Vec<String> =
        tasks.values().flat_map(|task| task.slices.keys().cloned()).collect();
    columns.sort();
    columns.dedup();
    for column in columns {
        let slices = tasks.values_mut().filter_map(|task| task.slices.get_mut(&column)).flatten();
        adjust(slices.flat_map(|slice| slice.metrics.values_mut()));
    }
    Ok(Comparison {
        schema: COMPARISON_SCHEMA.into(),
        schema_version: COMPARISON_SCHEMA_VERSION,
        a: a.protocol.subject.clone(),
        b: b.protocol.subject.clone(),
        protocol_differences,
        tasks,
        confidence: options.bootstrap.confidence,
        resamples: options.bootstrap.resamples,
        permutations: options.permutations,
        seed: options.bootstrap.seed,
        intervals: bootstrap::METHOD.into(),
        test: sign_flip::METHOD.into(),
    })
}

fn refuse_unknown(wanted: &[String], a: &Report, b: &Report) -> Result<(), EvalError> {
    let in_b = b.metric_names();
    let known: Vec<String> =
        a.metric_names().into_iter().filter(|name| in_b.contains(name)).collect();
    let is_known = |wanted: &&String| {
        known.iter().any(|name| {
            name == *wanted || name.split_once('/').is_some_and(|(_, metric)| metric == *wanted)
        })
    };
    match wanted.iter().find(|wanted| !is_known(wanted)) {
        Some(name) => Err(EvalError::UnknownMetric { name: name.clone(), known }),
        None => Ok(()),
    }
}

/// Corrects the p-values of a family of tests.
fn adjust<'a>(family: impl Iterator<Item = &'a mut Difference>) {
    let family: Vec<&mut Difference> = family.collect();
    let raw: Vec<f64> = family.iter().map(|difference| difference.p_value).collect();
    for (difference, adjusted) in family.into_iter().zip(holm(&raw)) {
        difference.p_adjusted = adjusted;
    }
}

/// One task of both reports.
struct Pair<'a> {
    a: &'a PerQuery,
    b: &'a PerQuery,
    /// Where the queries that both score stand in `a` and `b`, in the order of `a`.
    rows: Vec<(usize, usize)>,
    /// The compared metrics.
    names: Vec<String>,
    /// Each metric's values over `rows` in `a` and in `b`, and their differences.
    values: Vec<[Vec<f64>; 3]>,
}

impl<'a> Pair<'a> {
    fn new(
        a: &'a TaskReport,
        b: &'a TaskReport,
        task: &str,
        options: &CompareOptions,
    ) -> Result<Self, EvalError> {
        let is_wanted = |name: &String| {
            let full = format!("{task}/{name}");
            options.metrics.is_empty() || options.metrics.iter().any(|m| m == name || *m == full)
        };
        let names: Vec<String> = a
            .metrics_in_order()
            .map(|(metric, _)| metric.to_string())
            .filter(|name| b.metrics.contains_key(name) && is_wanted(name))
            .collect();
        let (a, b) = (&a.per_query, &b.per_query);
        let places: HashMap<&str, usize> = b.ids.iter().map(String::as_str).zip(0..).collect();
        let rows: Vec<(usize, usize)> = a
            .ids
            .iter()
            .enumerate()
            .filter_map(|(row, id)| Some((row, *places.get(id.as_str())?)))
            .collect();
        let mut values = Vec::new();
        for name in &names {
            let columns = a.values.get(name).zip(b.values.get(name));
            let Some((of_a, of_b)) =
                columns.filter(|(x, y)| (x.len(), y.len()) == (a.ids.len(), b.ids.len()))
            else {
                let problem = format!("task `{task}` lacks the queries' values of {name}");
                return Err(EvalError::NothingShared { problem });
            };
            let of_a: Vec<f64> = rows.iter().map(|(row, _)| of_a[*row]).collect();
            let of_b: Vec<f64> = rows.iter().map(|(_, row)| of_b[*row]).collect();
            let differences = of_a.iter().zip(&of_b).map(|(a, b)| b - a).collect();
            values.push([of_a, of_b, differences]);
        }
        Ok(Self { a, b, rows, names, values })
    }

    fn compared(&self, options: &CompareOptions) -> TaskComparison {
        let all: Vec<usize> = (0..self.rows.len()).collect();
        let mut slices = BTreeMap::new();
        for (column, labels) in &self.a.labels {
            if !self.b.labels.contains_key(column) {
                continue;
            }
            let labels: Vec<Option<String>> =
                self.rows.iter().map(|(row, _)| labels.get(*row).cloned().flatten()).collect();
            let of_column = groups(&few(&labels)).into_iter().map(|(label, rows)| {
                let metrics = self.differences(&rows, options);
                SliceDifference { label, queries: rows.len(), metrics }
            });
            slices.insert(column.clone(), of_column.collect());
        }
        let shown = match options.metrics.is_empty() {
            true => self.names.iter().position(|name| name == CHANGED_BY).unwrap_or(0),
            false => 0,
        };
        TaskComparison {
            queries: self.rows.len(),
            only_a: self.a.ids.len() - self.rows.len(),
            only_b: self.b.ids.len() - self.rows.len(),
            order: self.names.clone(),
            metrics: self.differences(&all, options),
            first_rank: self.first_rank(),
            slices,
            changed_by: self.names[shown].clone(),
            gained: self.changes(shown, 1.0, options.changes),
            lost: self.changes(shown, -1.0, options.changes),
        }
    }

    /// The metrics over some of the paired queries.
    fn differences(
        &self,
        rows: &[usize],
        options: &CompareOptions,
    ) -> BTreeMap<String, Difference> {
        let picked: Vec<[Vec<f64>; 3]> =
            self.values.iter().map(|columns| columns.each_ref().map(|c| pick(c, rows))).collect();
        let columns: Vec<&[f64]> =
            picked.iter().map(|[_, _, difference]| &difference[..]).collect();
        let intervals = options.bootstrap.intervals(&columns);
        let p_values = p_values(&columns, options.permutations, options.bootstrap.seed);
        let count = rows.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
        self.names
            .iter()
            .zip(&picked)
            .zip(intervals.into_iter().zip(p_values))
            .map(|((name, [of_a, of_b, changes]), (interval, p_value))| {
                let difference = Difference {
                    a: mean(of_a),
                    b: mean(of_b),
                    difference: mean(changes),
                    interval,
                    p_value,
                    p_adjusted: p_value,
                    queries_better: changes.iter().filter(|change| **change > 0.0).count(),
                    queries_worse: changes.iter().filter(|change| **change < 0.0).count(),
                };
                (name.clone(), difference)
            })
            .collect()
    }

    fn first_rank(&self) -> Option<RankDifference> {
        let (a, b): (Vec<usize>, Vec<usize>) = self
            .rows
            .iter()
            .filter_map(|(at_a, at_b)| {
                Some(((*self.a.first_rank.get(*at_a)?)?, (*self.b.first_rank.get(*at_b)?)?))
            })
            .unzip();
        (!a.is_empty()).then(|| RankDifference {
            a_mean: mean(&a),
            b_mean: mean(&b),
            a_median: median(&a),
            b_median: median(&b),
        })
    }

    /// The queries that changed most in one direction.
    fn changes(&self, metric: usize, direction: f64, count: usize) -> Vec<QueryChange> {
        let [of_a, of_b, changes] = &self.values[metric];
        let mut order: Vec<usize> =
            (0..changes.len()).filter(|at| changes[*at] * direction > 0.0).collect();
        order.sort_by(|x, y| (changes[*y] * direction).total_cmp(&(changes[*x] * direction)));
        order
            .into_iter()
            .take(count)
            .map(|at| {
                let (row_a, row_b) = self.rows[at];
                QueryChange {
                    query: self.a.ids[row_a].clone(),
                    a_rank: self.a.first_rank.get(row_a).copied().flatten(),
                    b_rank: self.b.first_rank.get(row_b).copied().flatten(),
                    a: of_a[at],
                    b: of_b[at],
                }
            })
            .collect()
    }
}
