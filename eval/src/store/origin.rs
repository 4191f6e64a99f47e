//! Where embeddings came from: what a reader must know before it compares them with others.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of the file's metadata that holds an [`Origin`] as JSON.
pub const ORIGIN_KEY: &str = "vlclip.embeddings";
/// Version of [`Origin`].
pub const ORIGIN_VERSION: u32 = 1;

/// Where embeddings came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// [`ORIGIN_VERSION`] of the writer.
    pub schema_version: u32,
    /// The model.
    pub model: ModelFiles,
    /// `image`, `text`, or a weighted sum such as `image=0.7,text=0.3`.
    pub side: String,
    /// How captions were cleaned before tokenising.
    pub clean: String,
    /// What was embedded: files, folders or globs.
    pub data: Vec<String>,
    /// Whether all rows have unit norm.
    pub normalised: bool,
    /// The column of groups, if there is one.
    pub group: Option<String>,
}

/// A model, and how to recognise it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// Its folder as it was named.
    pub path: String,
    /// SHA-256, in hexadecimal, of each file that embeddings depend on.
    pub hashes: BTreeMap<String, String>,
}

impl ModelFiles {
    /// The files in which the other model differs, one of the two lacking it included. None: the two
    /// embed alike.
    pub fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let names = self.hashes.keys().chain(other.hashes.keys());
        let mut names: Vec<&str> = names
            .filter(|name| self.hashes.get(*name) != other.hashes.get(*name))
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_the_same_by_their_files_and_not_by_their_path() {
        let model = |path: &str, files: &[(&str, &str)]| ModelFiles {
            path: path.into(),
            hashes: files.iter().map(|&(name, hash)| (name.into(), hash.into())).collect(),
        };
        let one = model("a", &[("config.json", "1"), ("model.safetensors", "2")]);
        assert!(
            one.differing(&model("b", &[("config.json", "1"), ("model.safetensors", "2")]))
                .is_empty()
        );
        let other = model("a", &[("config.json", "1"), ("model.safetensors", "3"), ("x", "4")]);
        assert_eq!(one.differing(&other), ["model.safetensors", "x"]);
        assert_eq!(other.differing(&one), ["model.safetensors", "x"]);
    }
}
