//! Every metric of a design, over all queries and over each stratum.

use super::contrasts::{Sum, contrasts};
use super::paired::Paired;
use super::resample::measured;
use super::verdict::verdict;
use super::{AblationMetric, Design, Stratum};
use crate::{Bootstrap, EvalError, Report};
use std::collections::BTreeMap;

/// What all metrics have in common.
pub(super) struct Measured<'a> {
    design: &'a Design,
    reports: &'a [Vec<Report>],
    bootstrap: &'a Bootstrap,
    sums: Vec<Sum>,
}

impl<'a> Measured<'a> {
    /// Every metric of the design.
    ///
    /// # Errors
    /// As [`Ablation::new`](super::Ablation::new).
    pub(super) fn all(
        design: &'a Design,
        reports: &'a [Vec<Report>],
        bootstrap: &'a Bootstrap,
    ) -> Result<Vec<AblationMetric>, EvalError> {
        let measured = Self { design, reports, bootstrap, sums: contrasts(design) };
        design.metrics.iter().map(|name| measured.metric(name)).collect()
    }

    fn metric(&self, name: &str) -> Result<AblationMetric, EvalError> {
        let (task, metric) = name.split_once('/').unwrap_or((name, ""));
        let paired = Paired::new(task, self.design, self.reports)?;
        let queries = paired.first.per_query.ids.len();
        let rows: Vec<usize> = (0..queries).collect();
        let over = |rows: &[usize], key: &str| {
            Ok::<_, EvalError>(measured(
                &paired.values(metric, rows)?,
                &self.sums,
                key,
                self.bootstrap,
            ))
        };
        let contrasts = over(&rows, task)?;
        let mut strata = BTreeMap::new();
        for (column, labels) in &paired.first.per_query.labels {
            let mut found = Vec::new();
            for (label, rows) in by_label(labels) {
                let key = format!("{task}/{column}/{}", label.as_deref().unwrap_or_default());
                let contrasts = over(&rows, &key)?;
                found.push(Stratum { label, queries: rows.len(), contrasts });
            }
            strata.insert(column.clone(), found);
        }
        let reported = self.design.reported.as_ref();
        let chance = paired.first.metrics.get(metric).map_or(0.0, |found| found.chance);
        Ok(AblationMetric {
            name: name.to_owned(),
            pool: paired.first.pool,
            queries,
            chance,
            verdict: reported.map(|reported| verdict(name, reported, &contrasts)),
            contrasts,
            strata,
        })
    }
}

/// The rows of each label; those without one last.
fn by_label(labels: &[Option<String>]) -> Vec<(Option<String>, Vec<usize>)> {
    let mut rows: BTreeMap<(bool, &Option<String>), Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        rows.entry((label.is_none(), label)).or_default().push(row);
    }
    rows.into_iter().map(|((_, label), rows)| (label.clone(), rows)).collect()
}
