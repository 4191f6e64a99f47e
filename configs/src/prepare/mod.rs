//! The schema of `vlclip prepare`: one file per section.

mod caption_template;
mod catalogue;
mod choices;
mod duplicates;
mod fetch;
mod grounding;
mod output;
mod refine;

pub use caption_template::{CaptionTemplate, CaptionTemplateError, Field, Section, TextPiece};
pub use catalogue::{Attributes, Catalogue, Format, ProductType, Roles};
pub use choices::Paths;
pub use duplicates::Duplicates;
pub use fetch::Fetch;
pub use grounding::{BoxColumns, BoxFormat, BoxUnits, GivenBox, Grounding, GroundingKind};
pub use output::{Output, Splits};
pub use refine::{AgentRole, AgentRoles, Budget, Endpoint, Price, Refine, RefineKind, Sampling};

use crate::error::Issue;
use crate::{Checked, ConfigError, Unchecked, validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From a catalogue to training shards, as its YAML file states it: every key known and typed,
/// nothing checked across keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPrepare {
    /// The products: where they are listed, and what their columns mean.
    pub catalogue: Catalogue,
    /// How the product is found in its picture.
    #[serde(default)]
    pub grounding: Grounding,
    /// How captions are written.
    #[serde(default)]
    pub refine: Refine,
    /// How near-duplicate pictures are found.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// The shards.
    pub output: Output,
}

/// A checked [`RawPrepare`].
pub type PrepareConfig = Checked<RawPrepare>;

impl Unchecked for RawPrepare {
    fn issues(&self) -> Vec<Issue> {
        validate::prepare_issues(self)
    }
}

impl RawPrepare {
    /// Checks values against their ranges and one another.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem found.
    pub fn validate(self) -> Result<PrepareConfig, ConfigError> {
        Checked::new(self)
    }
}

/// The JSON schema of a configuration file of `vlclip prepare`, for editors: every key with its
/// description, type and default.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawPrepare).to_value()
}
