//! The runs' values of one metric, brought together: the same queries, in the same order, judged and
//! searched alike in every run.

use super::Design;
use super::resample::Values;
use crate::{EvalError, Report, TaskReport};

/// The runs' reports of one task, by arm and then seed, found to be comparable.
pub(super) struct Paired<'a> {
    name: &'a str,
    design: &'a Design,
    tasks: Vec<Vec<&'a TaskReport>>,
    /// The first of them: what it says of queries and pool holds for all.
    pub(super) first: &'a TaskReport,
}

impl<'a> Paired<'a> {
    /// The task called `name`.
    ///
    /// # Errors
    /// A run without the task, or with other queries, judgements, candidates or labels than the
    /// first.
    pub(super) fn new(
        name: &'a str,
        design: &'a Design,
        reports: &'a [Vec<Report>],
    ) -> Result<Self, EvalError> {
        let missing = |arm: &str, seed: u64| EvalError::NotMeasured {
            what: name.to_owned(),
            arm: arm.to_owned(),
            seed,
        };
        let mut tasks = Vec::new();
        for (at, arm) in design.arms.iter().enumerate() {
            let of_arm = reports.get(at).map_or(&[][..], Vec::as_slice);
            let mut found = Vec::new();
            for (at, seed) in design.seeds.iter().enumerate() {
                let report = of_arm.get(at).ok_or_else(|| missing(&arm.name, *seed))?;
                found.push(report.tasks.get(name).ok_or_else(|| missing(&arm.name, *seed))?);
            }
            tasks.push(found);
        }
        let first = tasks.iter().flatten().next().copied();
        let first = first.ok_or_else(|| missing("", 0))?;
        let paired = Self { name, design, tasks, first };
        paired.check()?;
        Ok(paired)
    }

    fn check(&self) -> Result<(), EvalError> {
        for (arm, tasks) in self.design.arms.iter().zip(&self.tasks) {
            for (seed, task) in self.design.seeds.iter().zip(tasks) {
                if let Some(what) = difference(self.first, task) {
                    return Err(EvalError::ArmsDiffer {
                        task: self.name.to_owned(),
                        arm: arm.name.clone(),
                        seed: *seed,
                        what,
                    });
                }
            }
        }
        Ok(())
    }

    /// The values of `metric` over the queries at `rows`, by arm, seed and query.
    ///
    /// # Errors
    /// A run without the metric.
    pub(super) fn values(&self, metric: &str, rows: &[usize]) -> Result<Values, EvalError> {
        let of_run = |arm: usize, seed: usize| {
            let values = self.tasks[arm][seed].per_query.values.get(metric);
            let values = values.ok_or_else(|| EvalError::NotMeasured {
                what: format!("{}/{metric}", self.name),
                arm: self.design.arms[arm].name.clone(),
                seed: self.design.seeds[seed],
            })?;
            Ok(rows.iter().filter_map(|row| values.get(*row).copied()).collect())
        };
        let of_arm = |arm: usize| (0..self.design.seeds.len()).map(|s| of_run(arm, s)).collect();
        (0..self.design.arms.len()).map(of_arm).collect()
    }
}

/// What keeps two runs from being compared query by query.
fn difference(a: &TaskReport, b: &TaskReport) -> Option<&'static str> {
    let differs = [
        (a.per_query.ids != b.per_query.ids, "other queries"),
        (a.pool != b.pool || a.digests.items != b.digests.items, "another pool"),
        (
            a.per_query.relevant != b.per_query.relevant
                || a.digests.relevance != b.digests.relevance,
            "other judgements",
        ),
        (a.candidates != b.candidates || a.self_match != b.self_match, "other candidates"),
        (a.per_query.labels != b.per_query.labels, "other labels of the slices"),
    ];
    differs.into_iter().find_map(|(differs, what)| differs.then_some(what))
}
