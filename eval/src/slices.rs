//! Metrics over parts of the queries: labels, and the report of each part.

use crate::Bootstrap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Bins of [`Labels::binned`].
const BINS: usize = 4;
/// Slices of one column that are told apart.
const MOST_SLICES: usize = 200;

/// A label for every query of a ranking, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// What the labels are: the name of a column.
    pub column: String,
    /// One label per query; `None` where a query has none.
    pub values: Vec<Option<String>>,
}

/// The scored queries that share a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceReport {
    /// The label; `None` for the queries without one.
    pub label: Option<String>,
    /// Scored queries with it.
    pub queries: usize,
    /// Mean number of candidates of these queries.
    pub pool_mean: f64,
    /// By name.
    pub metrics: BTreeMap<String, SliceMetric>,
}

/// One metric over one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceMetric {
    /// Mean over the slice.
    pub value: f64,
    /// Confidence interval of `value`, with the exceptions of
    /// [`MetricReport::interval`](crate::MetricReport::interval).
    pub interval: Option<[f64; 2]>,
    /// What a random order of the slice's pools scores on average.
    pub chance: f64,
    /// `value` less the mean over all other scored queries; 0 where there are none.
    pub gap: f64,
}

impl Labels {
    /// Labels numbers by quartile, such as `3-8`: every label holds about as many queries, equal
    /// numbers share one. `values` has one number per query, `None` where a query has none.
    pub fn binned(column: impl Into<String>, values: &[Option<f64>]) -> Self {
        let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut bins: Vec<(f64, f64)> = Vec::new();
        for quarter in 0..BINS {
            let part = &sorted[sorted.len() * quarter / BINS..sorted.len() * (quarter + 1) / BINS];
            // Numbers that the bin before has taken are not divided.
            let taken = bins.last().map_or(f64::NEG_INFINITY, |(_, high)| *high);
            let Some(high) = part.last().filter(|high| **high > taken) else { continue };
            if let Some(low) = part.iter().find(|low| **low > taken) {
                bins.push((*low, *high));
            }
        }
        let names = bin_names(&bins);
        let label = |value: f64| {
            let at = bins.partition_point(|(_, high)| *high < value);
            names.get(at).cloned()
        };
        let values = values.iter().map(|value| value.and_then(label)).collect();
        Self { column: column.into(), values }
    }
}

/// Names of bins with as few decimals as tell them apart.
fn bin_names(bins: &[(f64, f64)]) -> Vec<String> {
    let name = |(low, high): &(f64, f64), decimals: usize| {
        let (low_text, high_text) = (format!("{low:.decimals$}"), format!("{high:.decimals$}"));
        match () {
            () if low_text == high_text => low_text,
            () if *low < 0.0 => format!("{low_text} to {high_text}"),
            () => format!("{low_text}-{high_text}"),
        }
    };
    let whole = bins.iter().all(|(low, high)| low.fract() == 0.0 && high.fract() == 0.0);
    let mut names = Vec::new();
    for decimals in if whole { 0..=0 } else { 2..=17 } {
        names = bins.iter().map(|bin| name(bin, decimals)).collect();
        if names.windows(2).all(|pair| pair[0] != pair[1]) {
            break;
        }
    }
    names
}

/// Values of some metrics of the scored queries, to be sliced.
pub(crate) struct Scores<'a> {
    /// Names of the metrics.
    pub(crate) names: &'a [String],
    /// By metric, then scored query.
    pub(crate) values: &'a [&'a [f64]],
    /// Expectation of a random order, likewise.
    pub(crate) chance: &'a [Vec<f64>],
    /// Candidates of each scored query.
    pub(crate) pools: &'a [usize],
}

impl Scores<'_> {
    /// The slices of a column by number if their labels begin with one, then by name; queries
    /// without a label last. `labels` has one per scored query.
    pub(crate) fn slice(
        &self,
        labels: &[Option<String>],
        bootstrap: &Bootstrap,
    ) -> Vec<SliceReport> {
        let sums: Vec<f64> = self.values.iter().map(|column| column.iter().sum()).collect();
        groups(&few(labels))
            .into_iter()
            .map(|(label, rows)| self.report(label, &rows, &sums, bootstrap))
            .collect()
    }

    /// `sums` holds the sum over all scored queries, by metric.
    fn report(
        &self,
        label: Option<String>,
        rows: &[usize],
        sums: &[f64],
        bootstrap: &Bootstrap,
    ) -> SliceReport {
        let count = rows.len() as f64;
        let columns: Vec<Vec<f64>> = self.values.iter().map(|column| pick(column, rows)).collect();
        let borrowed: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let metrics = bootstrap
            .intervals(&borrowed)
            .into_iter()
            .enumerate()
            .map(|(at, interval)| {
                let sum: f64 = columns[at].iter().sum();
                let others = self.values[at].len() - rows.len();
                let value = sum / count;
                let gap = match others {
                    0 => 0.0,
                    _ => value - (sums[at] - sum) / others as f64,
                };
                let chance = rows.iter().map(|row| self.chance[at][*row]).sum::<f64>() / count;
                (self.names[at].clone(), SliceMetric { value, interval, chance, gap })
            })
            .collect();
        let pool_mean = rows.iter().map(|row| self.pools[*row] as f64).sum::<f64>() / count;
        SliceReport { label, queries: rows.len(), pool_mean, metrics }
    }
}

/// Mean over the classes of the mean over each class's queries; queries without a class do not
/// count.
pub(crate) fn mean_per_class(values: &[f64], classes: &[Option<String>]) -> f64 {
    let means: Vec<f64> = groups(classes)
        .into_iter()
        .filter(|(class, _)| class.is_some())
        .map(|(_, rows)| pick(values, &rows).iter().sum::<f64>() / rows.len() as f64)
        .collect();
    means.iter().sum::<f64>() / means.len() as f64
}

/// The labels, of which all but the [`MOST_SLICES`] with the most queries are joined into one: a
/// slice per query would say nothing, at length.
pub(crate) fn few(labels: &[Option<String>]) -> Cow<'_, [Option<String>]> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels.iter().flatten() {
        *counts.entry(label).or_default() += 1;
    }
    if counts.len() <= MOST_SLICES {
        return labels.into();
    }
    let mut order: Vec<(&str, usize)> = counts.into_iter().collect();
    order.sort_by(|(_, a), (_, b)| b.cmp(a));
    let kept: HashSet<&str> = order[..MOST_SLICES].iter().map(|(label, _)| *label).collect();
    let joined = format!("other ({} labels)", order.len() - MOST_SLICES);
    let name = |label: &String| match kept.contains(label.as_str()) {
        true => label.clone(),
        false => joined.clone(),
    };
    labels.iter().map(|label| label.as_ref().map(name)).collect()
}

/// The values of some rows.
pub(crate) fn pick(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|row| values[*row]).collect()
}

/// Rows by label, in the order of reports.
pub(crate) fn groups(labels: &[Option<String>]) -> Vec<(Option<String>, Vec<usize>)> {
    let mut groups: BTreeMap<&Option<String>, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        groups.entry(label).or_default().push(row);
    }
    let mut groups: Vec<_> =
        groups.into_iter().map(|(label, rows)| (label.clone(), rows)).collect();
    // A stable sort: names stay in order where the numbers are equal.
    groups.sort_by(|(a, _), (b, _)| {
        a.is_none().cmp(&b.is_none()).then(leading_number(a).total_cmp(&leading_number(b)))
    });
    groups
}

/// The number that a label such as `12-20` begins with; infinity without one.
fn leading_number(label: &Option<String>) -> f64 {
    let Some(label) = label else { return f64::INFINITY };
    let digits = label.trim_start_matches('-');
    let end = digits.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(digits.len());
    label[..label.len() - digits.len() + end].parse().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(labels: &[&str]) -> Vec<Option<String>> {
        labels.iter().map(|label| Some((*label).to_owned())).collect()
    }

    #[test]
    fn numbers_fall_into_quartiles_that_name_their_ends() {
        let binned = |values: &[f64]| {
            let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            Labels::binned("words", &values).values.into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(
            binned(&[8.0, 1.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]),
            ["7-8", "1-2", "1-2", "7-8", "3-4", "5-6", "3-4", "5-6"]
        );
        assert_eq!(binned(&[5.0; 6]), ["5"; 6]);
        assert_eq!(binned(&[1.0, 1.0, 1.0, 1.0, 1.0, 9.0]), ["1", "1", "1", "1", "1", "9"]);
        assert_eq!(binned(&[0.1234, 0.1241, 0.5, -0.25]), ["0.123", "0.124", "0.500", "-0.250"]);
        assert_eq!(binned(&[-3.0, -1.0, -2.0, -2.0, 0.0])[0], "-3");
        let missing = Labels::binned("words", &[Some(1.0), None]);
        assert_eq!(missing.values, [Some("1".to_owned()), None]);
        assert_eq!(Labels::binned("words", &[None]).values, [None]);
    }

    #[test]
    fn slices_stand_in_the_order_of_a_reader() {
        let mut labels = some(&["12-20", "mug", "3-8", "-5", "bowl"]);
        labels.push(None);
        let order: Vec<Option<String>> =
            groups(&labels).into_iter().map(|(label, _)| label).collect();
        let mut expected = some(&["-5", "3-8", "12-20", "bowl", "mug"]);
        expected.push(None);
        assert_eq!(order, expected);
    }

    #[test]
    fn rare_labels_are_joined() {
        let mut labels: Vec<Option<String>> = (0..250).map(|at| Some(format!("l{at}"))).collect();
        labels.extend((50..250).map(|at| Some(format!("l{at}"))));
        labels.push(None);
        let few = few(&labels);
        let other = Some("other (50 labels)".to_owned());
        assert!(few[..50].iter().all(|label| *label == other));
        assert_eq!(few[50..], labels[50..]);
        assert_eq!(groups(&few).len(), 202);
    }

    #[test]
    fn classes_weigh_the_same_whatever_their_size() {
        let mut classes = some(&["a", "a", "a", "b"]);
        classes.push(None);
        assert_eq!(mean_per_class(&[1.0, 1.0, 1.0, 0.0, 0.0], &classes), 0.5);
    }
}
