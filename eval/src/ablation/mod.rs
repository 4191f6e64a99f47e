//! Several arms of one experiment side by side, each trained from several seeds and measured on the
//! same queries: what each factor does, and how sure that is. Owns the schema of the result.
//!
//! ```text
//! reports [arm][seed] ──► paired (same queries, same pool) ──► contrasts ──► resampled ──► verdict
//! ```

mod contrasts;
pub(crate) mod markdown;
mod measure;
mod paired;
mod resample;
mod verdict;

use crate::{Bootstrap, EvalError, Report, html};
use measure::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the result's format.
pub const ABLATION_SCHEMA: &str = "vlclip.ablation";
/// Version of the result's format: raised when a reader of the old one would be misled.
pub const ABLATION_SCHEMA_VERSION: u32 = 1;

/// An experiment: what was compared, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// Always [`ABLATION_SCHEMA`].
    pub schema: String,
    /// Always [`ABLATION_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was compared.
    pub design: Design,
    /// Share of intervals that hold the true value.
    pub confidence: f64,
    /// Resamples behind each interval.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// How intervals are made.
    pub intervals: String,
    /// By task and metric, in the order of the design.
    pub metrics: Vec<AblationMetric>,
}

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Design {
    /// Name of the experiment.
    pub name: String,
    /// The command line that made the result.
    pub command: String,
    /// The arms, in the order of every list by arm.
    pub arms: Vec<ArmDesign>,
    /// Seeds of each arm's runs, in the order of every list by seed.
    pub seeds: Vec<u64>,
    /// Name of the arm that the others are compared with.
    pub reference: String,
    /// The metrics, as `task/metric`.
    pub metrics: Vec<String>,
    /// What others found, if anything is to stand beside the result.
    pub reported: Option<ReportedEffects>,
}

/// One arm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmDesign {
    /// Its name.
    pub name: String,
    /// What it has that others may lack.
    pub factors: Vec<String>,
    /// How its runs and their evaluation differ from those of other arms, in the words of the
    /// configuration.
    pub settings: Vec<String>,
}

/// What others found when they took factors away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedEffects {
    /// Who found it, and how sure it is.
    pub source: String,
    /// What was taken away, one after the other, that with the greater effect first.
    pub removals: Vec<ReportedRemoval>,
}

/// A factor that was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedRemoval {
    /// The factor.
    pub factor: String,
    /// What that changed, by metric, in the words of the source.
    pub changes: BTreeMap<String, String>,
}

/// One metric of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblationMetric {
    /// As `task/metric`.
    pub name: String,
    /// Items in the pool.
    pub pool: usize,
    /// Queries that every run scores.
    pub queries: usize,
    /// What a random order of the pool scores on average.
    pub chance: f64,
    /// Over all queries.
    pub contrasts: Vec<Contrast>,
    /// Over parts of the queries, by column.
    pub strata: BTreeMap<String, Vec<Stratum>>,
    /// How the result stands to what was reported, where something was.
    pub verdict: Option<Verdict>,
}

/// The queries that share a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// The label; `None` for the queries without one.
    pub label: Option<String>,
    /// Queries with it.
    pub queries: usize,
    /// As [`AblationMetric::contrasts`].
    pub contrasts: Vec<Contrast>,
}

/// A weighted sum of the arms' means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// What it says.
    pub kind: ContrastKind,
    /// Of what: an arm, a factor, `a x b`, `a - b`.
    pub name: String,
    /// By arm.
    pub weights: Vec<f64>,
    /// The mean over seeds and queries.
    pub value: f64,
    /// Its confidence interval, low and high; `None` where resampling says nothing: fewer than two
    /// queries, or the same value whatever is drawn.
    pub interval: Option<[f64; 2]>,
    /// The value of each seed alone.
    pub per_seed: Vec<f64>,
}

/// What a contrast says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContrastKind {
    /// The mean of an arm.
    Arm,
    /// An arm less the reference.
    Difference,
    /// What a factor adds: arms with it less arms without it that are otherwise the same, averaged
    /// over all such pairs.
    Effect,
    /// How much more two factors add together than each alone.
    Interaction,
    /// The effect of a factor that was reported to matter more, less that of the next.
    Lead,
    /// What is left when the next of the reported factors is taken away, less what was there before.
    Removal,
    /// What taking a reported factor away costs, less what the next costs when it is taken away
    /// thereafter.
    Sequence,
}

/// How a result stands to what was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub outcome: Outcome,
    /// In a sentence.
    pub sentence: String,
}

/// Whether the direction of an effect was found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every factor adds something, and in the reported order.
    Reproduced,
    /// Something is the other way round.
    Contradicted,
    /// The reported order holds when factors are taken away one after the other and not by their
    /// effects, or the other way round.
    Depends,
    /// An interval holds 0.
    CannotTell,
}

impl Ablation {
    /// Compares the arms of `design`, of which `reports` has one report per seed, by arm.
    ///
    /// # Errors
    /// Reports that lack a task or metric of the design, or that were not made on the same queries,
    /// judgements and pool: named by arm and seed.
    pub fn new(
        design: Design,
        reports: &[Vec<Report>],
        bootstrap: &Bootstrap,
    ) -> Result<Self, EvalError> {
        let metrics = Measured::all(&design, reports, bootstrap)?;
        Ok(Self {
            schema: ABLATION_SCHEMA.into(),
            schema_version: ABLATION_SCHEMA_VERSION,
            intervals: resample::method(design.seeds.len()),
            design,
            confidence: bootstrap.confidence,
            resamples: bootstrap.resamples,
            seed: bootstrap.seed,
            metrics,
        })
    }

    /// The result for readers.
    pub fn to_markdown(&self) -> String {
        markdown::page(self)
    }

    /// The verdicts, and the arms by metric.
    pub fn summary(&self) -> String {
        markdown::summary(self)
    }

    /// The result as one HTML file that needs nothing else.
    pub fn to_html(&self) -> String {
        html::ablation_page(self)
    }

    /// Writes `ablation.json`, `ablation.md` and `ablation.html` into `dir`, which is made if it is
    /// missing.
    ///
    /// # Errors
    /// A file that cannot be written, by name. Each is complete or not there.
    pub fn write(&self, dir: &Path) -> Result<(), EvalError> {
        std::fs::create_dir_all(dir).map_err(|source| EvalError::Io {
            action: "write",
            path: dir.to_owned(),
            source,
        })?;
        let json = serde_json::to_string(self)? + "\n";
        for (name, text) in [
            ("ablation.md", self.to_markdown()),
            ("ablation.html", self.to_html()),
            ("ablation.json", json),
        ] {
            crate::report::write_file(&dir.join(name), |out| {
                std::io::Write::write_all(out, text.as_bytes())
            })?;
        }
        Ok(())
    }
}

/// Contrasts of one kind.
pub(crate) fn of_kind(contrasts: &[Contrast], kind: ContrastKind) -> Vec<&Contrast> {
    contrasts.iter().filter(|contrast| contrast.kind == kind).collect()
}

#[cfg(test)]
mod tests;
