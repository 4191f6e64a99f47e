//! What a run's rows follow from: unfinished work and finished shards are only ever continued by a
//! run of the same identity.

use std::path::Path;

use configs::prepare::PrepareConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FileStamp, PrepareError};

/// Raised whenever the same configuration would give other rows than before.
const PIPELINE_VERSION: u32 = 2;

/// Keys that change how long a run takes or when it stops, but no row that it writes.
const WITHOUT_EFFECT: [&str; 17] = [
    "catalogue.fetch",
    "grounding.device",
    "output.dir",
    "output.max_reject_fraction",
    "output.work_dir",
    "refine.budget",
    "refine.endpoint.api_key_env",
    "refine.endpoint.backoff_s",
    "refine.endpoint.concurrency",
    "refine.endpoint.max_retries",
    "refine.endpoint.requests_per_minute",
    "refine.endpoint.timeout_s",
    "refine.endpoint.tokens_per_minute",
    "refine.max_failed_fraction",
    "refine.prices",
    "refine.roles", // their prompts and models are in `prompts_sha256` and `models`
    "refine.tokenizer", // its content is in `tokenizer_sha256`
];

/// What rows follow from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// [`PIPELINE_VERSION`].
    pub pipeline: u32,
    /// The configuration, without keys that have no effect on rows.
    pub config: Value,
    /// The catalogue's files.
    pub catalogue: Vec<FileStamp>,
    /// The models of the agent's roles.
    pub models: Vec<String>,
    /// Of the prompts or templates.
    pub prompts_sha256: Option<String>,
    /// Of the tokenizer that captions are measured with.
    pub tokenizer_sha256: Option<String>,
    /// Of the detector's configuration and weights.
    pub detector_sha256: Option<String>,
}

impl Identity {
    pub fn new(
        cfg: &PrepareConfig,
        catalogue: Vec<FileStamp>,
        prompts_sha256: Option<String>,
        tokenizer_sha256: Option<String>,
        detector_sha256: Option<String>,
    ) -> Result<Self, PrepareError> {
        let mut config = serde_json::to_value(&**cfg)
            .map_err(|error| PrepareError::Internal(error.to_string()))?;
        for key in WITHOUT_EFFECT {
            remove(&mut config, key);
        }
        let refine = &cfg.refine;
        let roles = [&refine.roles.summarizer, &refine.roles.evaluator, &refine.roles.refiner];
        let model = |role: &configs::prepare::AgentRole| {
            role.model.clone().or_else(|| refine.model.clone())
        };
        let models = roles.into_iter().filter_map(model).collect();
        Ok(Self {
            pipeline: PIPELINE_VERSION,
            config,
            catalogue,
            models,
            prompts_sha256,
            tokenizer_sha256,
            detector_sha256,
        })
    }

    /// How `other`, which `place` holds, differs: an error that names the first differences.
    pub fn check(&self, other: &Self, place: &Path) -> Result<(), PrepareError> {
        if self == other {
            return Ok(());
        }
        let mut differences = Vec::new();
        let flat = |identity: &Self| {
            let mut all = Vec::new();
            let value = serde_json::to_value(identity).unwrap_or_default();
            flatten(&value, String::new(), &mut all);
            all
        };
        let (here, there) = (flat(self), flat(other));
        for (key, value) in &here {
            match there.iter().find(|(other, _)| other == key) {
                Some((_, before)) if before != value => {
                    differences.push(format!("{key} is {value}, there it is {before}"));
                }
                None => differences.push(format!("{key} is {value}, there it is not set")),
                Some(_) => {}
            }
        }
        for (key, before) in &there {
            if !here.iter().any(|(other, _)| other == key) {
                differences.push(format!("{key} is not set, there it is {before}"));
            }
        }
        let more = differences.len().saturating_sub(4);
        differences.truncate(4);
        if more > 0 {
            differences.push(format!("{more} more"));
        }
        let difference = differences.join("; ");
        Err(PrepareError::OtherRun { path: place.to_owned(), difference })
    }
}

/// Removes `a.b.c` from nested objects.
fn remove(value: &mut Value, key: &str) {
    match (key.split_once('.'), value) {
        (Some((first, rest)), Value::Object(map)) => {
            if let Some(inner) = map.get_mut(first) {
                remove(inner, rest);
            }
        }
        (None, Value::Object(map)) => {
            map.remove(key);
        }
        _ => {}
    }
}

/// All leaves by their paths.
fn flatten(value: &Value, path: String, into: &mut Vec<(String, String)>) {
    let joined = |key: &str| match path.as_str() {
        "" | "config" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(value, joined(key), into)),
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(i, value)| flatten(value, joined(&i.to_string()), into));
        }
        leaf => into.push((path, leaf.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity(config: Value) -> Identity {
        Identity {
            pipeline: PIPELINE_VERSION,
            config,
            catalogue: Vec::new(),
            models: Vec::new(),
            prompts_sha256: None,
            tokenizer_sha256: None,
            detector_sha256: None,
        }
    }

    #[test]
    fn differences_are_named_by_their_keys() {
        let here = identity(json!({"grounding": {"kind": "given", "padding": 0.1}, "a": [1, 2]}));
        here.check(&here.clone(), Path::new("out")).unwrap();
        let there =
            identity(json!({"grounding": {"kind": "none", "padding": 0.1}, "a": [1], "b": 3}));
        let error = here.check(&there, Path::new("out")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`out` holds the work of another run: grounding.kind is \"given\", there it is \"none\"; a.1 \
             is 2, there it is not set; b is not set, there it is 3; choose another output.dir, or \
             delete it first"
        );
    }

    #[test]
    fn keys_without_effect_are_left_out() {
        let mut value = json!({"refine": {"endpoint": {"url": "u", "timeout_s": 3}, "prices": 1}});
        WITHOUT_EFFECT.iter().for_each(|key| remove(&mut value, key));
        assert_eq!(value, json!({"refine": {"endpoint": {"url": "u"}}}));
    }
}
