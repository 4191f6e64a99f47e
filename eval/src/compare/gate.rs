//! Bounds on differences: what makes a comparison a regression gate.

use super::Comparison;
use crate::EvalError;
use std::str::FromStr;

/// The lowest difference `b - a` of a metric that passes, such as `text_to_image/hits@5=-0.01`.
/// Without a task it holds for every compared task.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The metric, with or without its task.
    pub metric: String,
    /// The difference.
    pub lowest: f64,
}

/// A difference below its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// The metric, with its task.
    pub metric: String,
    /// Mean in `a`.
    pub a: f64,
    /// Mean in `b`.
    pub b: f64,
    /// The lowest difference that would have passed.
    pub lowest: f64,
}

impl FromStr for Bound {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        let parsed = text.rsplit_once('=').and_then(|(metric, lowest)| {
            let lowest: f64 = lowest.trim().parse().ok()?;
            let metric = metric.trim().to_owned();
            (!metric.is_empty() && lowest.is_finite()).then_some(Self { metric, lowest })
        });
        parsed.ok_or_else(|| EvalError::BadBound { text: text.into() })
    }
}

impl Comparison {
    /// Metrics whose mean difference is below a bound: the mean itself decides, not its interval.
    ///
    /// # Errors
    /// A bound on a metric that is not compared.
    pub fn breaches(&self, bounds: &[Bound]) -> Result<Vec<Breach>, EvalError> {
        let mut breaches = Vec::new();
        for Bound { metric: wanted, lowest } in bounds {
            let mut is_known = false;
            for (task, compared) in &self.tasks {
                for (metric, difference) in &compared.metrics {
                    let metric_of_task = format!("{task}/{metric}");
                    if wanted != metric && *wanted != metric_of_task {
                        continue;
                    }
                    is_known = true;
                    if difference.difference < *lowest {
                        let (a, b) = (difference.a, difference.b);
                        breaches.push(Breach { metric: metric_of_task, a, b, lowest: *lowest });
                    }
                }
            }
            if !is_known {
                let names = self.tasks.iter().flat_map(|(task, compared)| {
                    compared.order.iter().map(move |metric| format!("{task}/{metric}"))
                });
                return Err(EvalError::UnknownMetric {
                    name: wanted.clone(),
                    known: names.collect(),
                });
            }
        }
        Ok(breaches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_a_metric_and_a_number() {
        let bound = |metric: &str, lowest| Bound { metric: metric.into(), lowest };
        assert_eq!("hits@5=-0.01".parse::<Bound>().expect("valid"), bound("hits@5", -0.01));
        assert_eq!(" a/mrr = 0".parse::<Bound>().expect("valid"), bound("a/mrr", 0.0));
        for text in ["hits@5", "hits@5=", "=0.1", "hits@5=low", "hits@5=NaN"] {
            assert_eq!(
                text.parse::<Bound>().expect_err("refused").to_string(),
                format!(
                    "bound `{text}`: expected METRIC=DIFFERENCE, such as `hits@5=-0.01` or \
                     `text_to_image/mrr=0`"
                )
            );
        }
    }
}
