//! Where training pairs come from.

use super::Columns;
use schemars::JsonSchema;
use serde::de::{
    self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer,
};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use std::fmt;

/// What to train on: a list of Parquet files, folders, globs and URLs, every row of which is read
/// once an epoch; or a list of sources with weights, which are mixed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Train {
    /// Files, folders, globs and URLs (`s3://`, `gs://`, `az://`, `https://`); `{000..127}` counts.
    Paths(Vec<String>),
    /// Sources, each giving its weight's share of every batch in the long run.
    Sources(Vec<Source>),
}

/// One of several sources.
#[derive(Clone, Debug, PartialEq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What logs and metrics call it.
    pub name: String,
    /// Files, folders, globs and URLs.
    pub paths: Vec<String>,
    /// Its share of the samples, relative to the other sources' weights.
    pub weight: f64,
    /// Its column mapping; left out: `data.columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
}

impl From<Vec<String>> for Train {
    fn from(paths: Vec<String>) -> Self {
        Self::Paths(paths)
    }
}

impl Train {
    /// The paths of all sources.
    pub fn paths(&self) -> Vec<String> {
        match self {
            Self::Paths(paths) => paths.clone(),
            Self::Sources(sources) => sources.iter().flat_map(|s| s.paths.clone()).collect(),
        }
    }
}

/// One element of the list.
enum Entry {
    Path(String),
    Source(Box<Source>),
}

impl<'de> Deserialize<'de> for Train {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        let (mut paths, mut sources) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Path(path) => paths.push(path),
                Entry::Source(source) => sources.push(*source),
            }
        }
        match (paths.is_empty(), sources.is_empty()) {
            (_, true) => Ok(Self::Paths(paths)),
            (true, false) => Ok(Self::Sources(sources)),
            (false, false) => Err(de::Error::custom(format!(
                "expected paths alone or sources alone, found both; give `{}` a name and a weight \
                 too: {{name: .., paths: [{}], weight: ..}}",
                paths[0], paths[0]
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrSource;
        impl<'de> Visitor<'de> for PathOrSource {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path, or a source (`name`, `paths`, `weight`)")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<Entry, E> {
                Ok(Entry::Path(path.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Source::deserialize(MapAccessDeserializer::new(map))
                    .map(|source| Entry::Source(Box::new(source)))
            }
        }
        deserializer.deserialize_any(PathOrSource)
    }
}
