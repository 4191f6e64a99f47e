//! The file of `vlclip ablate`: arms that change one run, trained from several seeds each and measured
//! on the same tasks.

use crate::error::Issue;
use crate::{Checked, ConfigError, EvalTasks, Unchecked, validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An ablation as its YAML file states it: every key known and typed, nothing checked across keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAblation {
    /// Its name, with which the names of its runs begin.
    pub name: String,
    /// The configuration of the run that the arms change.
    pub run: PathBuf,
    /// Changes of the run that all arms share, as `--set` takes them: `key.path=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// Every arm is trained once from each. Arms that start from one seed have the same initial
    /// weights and see the products in the same order.
    #[serde(default = "seeds")]
    pub seeds: Vec<u64>,
    /// What is trained: two arms at least.
    pub arms: Vec<Arm>,
    /// Name of the arm that the others are compared with.
    pub reference: String,
    /// What every arm is measured on.
    pub evaluate: AblationEval,
    /// The metrics of the result, as `TASK/METRIC`.
    pub metrics: Vec<String>,
    /// What others found, to stand beside the result.
    #[serde(default)]
    pub reported: Option<Reported>,
    /// Folder of the runs, their reports and the result.
    pub out: PathBuf,
}

/// One of the trainings that are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Letters, digits, `_`, `-`, `.`.
    pub name: String,
    /// What this arm has that others may lack, such as `grounding`. Two arms that differ in one
    /// factor alone say what it does.
    #[serde(default)]
    pub factors: Vec<String>,
    /// Changes of the run, as `--set` takes them.
    #[serde(default)]
    pub set: Vec<String>,
    /// Columns that its evaluation reads in place of those of `evaluate.columns`.
    #[serde(default)]
    pub columns: ArmColumns,
}

/// Columns of one arm's evaluation; left out, those of all arms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArmColumns {
    /// The column of pictures.
    pub image: Option<String>,
    /// The column of captions.
    pub captions: Option<String>,
}

/// What every arm is measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AblationEval {
    /// Parquet files, folders or globs with held-out products.
    pub items: Vec<String>,
    /// Columns by role.
    #[serde(default)]
    pub columns: EvalColumns,
    /// Cut-offs of the ranking metrics.
    #[serde(default = "crate::eval::ks")]
    pub k: Vec<usize>,
    /// What is to be found, for which queries: tasks and the columns that slice their queries, as
    /// in a file of `vlclip eval --tasks`. The effects are reported for each slice as well. Tasks
    /// whose queries have other columns are parts of their own.
    #[serde(default = "parts")]
    pub parts: Vec<EvalTasks>,
}

/// Columns of an evaluation by role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalColumns {
    /// Pictures.
    pub image: String,
    /// Captions, of which the first counts.
    pub captions: String,
    /// Product identity: what the pool has one item of each. `null`: every row.
    pub product_id: Option<String>,
}

impl Default for EvalColumns {
    fn default() -> Self {
        Self {
            image: "image".into(),
            captions: "captions".into(),
            product_id: Some("product_id".into()),
        }
    }
}

/// What others found when they took factors away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// Who found it, and how sure it is.
    pub source: String,
    /// What they took away, one after the other, that with the greater effect first.
    pub removals: Vec<Removal>,
}

/// A factor that was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// One of the arms' factors.
    pub factor: String,
    /// What that changed, by metric, in the words of the source.
    #[serde(default)]
    pub changes: BTreeMap<String, String>,
}

/// A checked [`RawAblation`].
pub type AblationConfig = Checked<RawAblation>;

impl Unchecked for RawAblation {
    fn issues(&self) -> Vec<Issue> {
        validate::ablation_issues(self)
    }
}

impl RawAblation {
    /// Checks values against their ranges and one another.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem found.
    pub fn validate(self) -> Result<AblationConfig, ConfigError> {
        Checked::new(self)
    }
}

/// The JSON schema of a file of `vlclip ablate`, for editors: every key with its description, type
/// and default.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawAblation).to_value()
}

fn parts() -> Vec<EvalTasks> {
    vec![EvalTasks::default()]
}

fn seeds() -> Vec<u64> {
    vec![0, 1, 2]
}
