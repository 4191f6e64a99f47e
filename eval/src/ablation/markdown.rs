//! The result as Markdown, which reads as well on a terminal.

use super::{Ablation, AblationMetric, Contrast, ContrastKind, of_kind};
use crate::markdown::table;

/// The verdicts, and a table of arms by metrics.
pub(super) fn summary(ablation: &Ablation) -> String {
    let design = &ablation.design;
    let verdicts = ablation.metrics.iter().filter_map(|metric| metric.verdict.as_ref());
    let mut out: String = verdicts.map(|verdict| format!("- {}\n", verdict.sentence)).collect();
    if !out.is_empty() {
        out.push('\n');
    }
    let mut rows = vec![vec!["arm".to_owned()]];
    rows[0].extend(design.metrics.iter().cloned());
    for (at, arm) in design.arms.iter().enumerate() {
        let mut row = vec![arm.name.clone()];
        row.extend(ablation.metrics.iter().map(|metric| of_arm(metric, at)));
        rows.push(row);
    }
    out + &table(&rows)
}

/// `0.6123 [0.6001, 0.6245]`.
pub(crate) fn of_arm(metric: &AblationMetric, arm: usize) -> String {
    let found = of_kind(&metric.contrasts, ContrastKind::Arm).get(arm).copied();
    found.map_or_else(String::new, |found| match found.interval {
        Some([low, high]) => format!("{:.4} [{low:.4}, {high:.4}]", found.value),
        None => format!("{:.4}", found.value),
    })
}

pub(super) fn page(ablation: &Ablation) -> String {
    let design = &ablation.design;
    let mut out = format!("# Ablation: {}\n\n{}", design.name, summary(ablation));
    if let Some(reported) = &design.reported {
        out.push_str(&format!("\n## Reported\n\n{}\n\n", reported.source));
        for removal in &reported.removals {
            let changes = removal.changes.iter().map(|(metric, text)| format!("{metric} {text}"));
            let changes: Vec<String> = changes.collect();
            let then = if changes.is_empty() { "".into() } else { changes.join(", ") };
            out.push_str(&format!("- without {}: {then}\n", removal.factor));
        }
    }
    for metric in &ablation.metrics {
        out.push_str(&of_metric(ablation, metric));
    }
    out.push_str("\n## Protocol\n\n");
    for arm in &design.arms {
        let factors = if arm.factors.is_empty() {
            "none of the factors".into()
        } else {
            arm.factors.join(", ")
        };
        out.push_str(&format!("- `{}` ({factors}): {}\n", arm.name, settings(&arm.settings)));
    }
    out.push_str(&format!("- Reference: `{}`\n", design.reference));
    out.push_str(&format!("- Seeds: {}\n", seeds(&design.seeds)));
    out.push_str(&format!(
        "- Intervals: {:.0} %, {} resamples, {}\n",
        ablation.confidence * 100.0,
        ablation.resamples,
        ablation.intervals
    ));
    out.push_str(&format!("- Effects: {EFFECTS}\n"));
    out.push_str(&format!("- Command: `{}`\n", design.command));
    out
}

/// What the kinds of rows mean, for all formats.
pub(crate) const EFFECTS: &str = "the effect of a factor is the mean of the arms with it less that \
    of the arms without it, over the pairs of arms that differ in it alone; an interaction is how \
    much more two factors add together than each alone; a removal takes the factors away one after \
    the other, in the reported order, from the arm that has all of them";

/// Settings in one line.
pub(crate) fn settings(settings: &[String]) -> String {
    if settings.is_empty() { "as the run".into() } else { settings.join("; ") }
}

/// Seeds in one line.
pub(crate) fn seeds(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn of_metric(ablation: &Ablation, metric: &AblationMetric) -> String {
    let mut out = format!(
        "\n## {}\n\n{} queries, pool of {} items, chance {:.4}\n\n",
        metric.name, metric.queries, metric.pool, metric.chance
    );
    out.push_str(&rows(ablation, metric, &metric.contrasts));
    for (column, strata) in &metric.strata {
        for stratum in strata {
            let label = stratum.label.as_deref().unwrap_or("no value");
            out.push_str(&format!(
                "\n### {}: {column} {label}, {} queries\n\n",
                metric.name, stratum.queries
            ));
            out.push_str(&rows(ablation, metric, &stratum.contrasts));
        }
    }
    out
}

/// Names of the kinds, in the order of the tables.
pub(crate) const KINDS: [(ContrastKind, &str); 7] = [
    (ContrastKind::Arm, "arm"),
    (ContrastKind::Difference, "to reference"),
    (ContrastKind::Effect, "effect"),
    (ContrastKind::Interaction, "interaction"),
    (ContrastKind::Lead, "lead"),
    (ContrastKind::Removal, "removal"),
    (ContrastKind::Sequence, "removals"),
];

fn rows(ablation: &Ablation, metric: &AblationMetric, contrasts: &[Contrast]) -> String {
    let design = &ablation.design;
    let mut header: Vec<String> =
        ["", "value", "low", "high"].into_iter().map(str::to_owned).collect();
    header.extend(design.seeds.iter().map(|seed| format!("seed {seed}")));
    let with_relative = contrasts.iter().any(|c| c.kind == ContrastKind::Removal);
    if with_relative {
        header.extend(["of full".to_owned(), "reported".to_owned()]);
    }
    let mut rows = vec![header];
    for (kind, name) in KINDS {
        for contrast in of_kind(contrasts, kind) {
            let number = |value: f64| match kind {
                ContrastKind::Arm => format!("{value:.4}"),
                _ => format!("{value:+.4}"),
            };
            let bound =
                |at: usize| contrast.interval.map_or("-".into(), |bounds| number(bounds[at]));
            let named = match kind {
                ContrastKind::Arm => contrast.name.clone(),
                _ => format!("{name}: {}", contrast.name),
            };
            let mut row = vec![named, number(contrast.value), bound(0), bound(1)];
            row.extend(contrast.per_seed.iter().map(|value| number(*value)));
            if with_relative {
                let of_full = relative(contrasts, contrast);
                row.push(of_full.map_or("".into(), |share| format!("{:+.2} %", share * 100.0)));
                row.push(ablation.reported(metric, contrast).unwrap_or_default().to_owned());
            }
            rows.push(row);
        }
    }
    table(&rows)
}

/// A removal as a share of the arm with all factors, from which the removals start.
pub(crate) fn relative(contrasts: &[Contrast], removal: &Contrast) -> Option<f64> {
    let first = contrasts.iter().find(|contrast| contrast.kind == ContrastKind::Removal)?;
    let full = first.weights.iter().position(|weight| *weight < 0.0)?;
    let arm = of_kind(contrasts, ContrastKind::Arm).get(full).copied()?;
    let share = removal.value / arm.value;
    (removal.kind == ContrastKind::Removal && share.is_finite()).then_some(share)
}

impl Ablation {
    /// What others reported for a removal, in their words.
    pub(crate) fn reported(&self, metric: &AblationMetric, contrast: &Contrast) -> Option<&str> {
        let removals = &self.design.reported.as_ref()?.removals;
        let removal = removals.iter().find(|removal| removal.factor == contrast.name)?;
        let (_, name) = metric.name.split_once('/')?;
        let found = removal.changes.get(name).map(String::as_str);
        found.filter(|_| contrast.kind == ContrastKind::Removal)
    }
}
