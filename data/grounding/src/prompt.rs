//! Phrases to token ids and back, as transformers' `GroundingDinoProcessor` does it.

use crate::GroundingError;
use std::path::{Path, PathBuf};

const NAME: &str = "tokenizer.json";
const HOLDS: &str = "BERT's tokenizer";

/// The ids at which the model splits a prompt into phrases.
const ENDS: [(&str, u32); 4] = [("[CLS]", 101), ("[SEP]", 102), (".", 1012), ("?", 1029)];

/// Phrases to token ids and back.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    max_tokens: usize,
}

impl Tokenizer {
    /// Reads the `tokenizer.json` of a model directory, for a model with `vocab_size` token
    /// embeddings that reads at most `max_tokens` tokens.
    ///
    /// # Errors
    /// When it is missing, no tokenizer, or not that of the model.
    pub fn open(dir: &Path, vocab_size: usize, max_tokens: usize) -> Result<Self, GroundingError> {
        let path = dir.join(NAME);
        let json = std::fs::read(&path).map_err(|source| GroundingError::Read {
            path: path.clone(),
            holds: HOLDS,
            source,
        })?;
        let wrong = |reason: String| GroundingError::Tokenizer { path: path.clone(), reason };
        let mut inner = tokenizers::Tokenizer::from_bytes(&json)
            .map_err(|error| wrong(format!("not a tokenizer.json: {error}")))?;
        inner.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        inner.with_padding(None);
        for (token, id) in ENDS {
            let found = inner.token_to_id(token);
            if found != Some(id) {
                let found = found.map_or("none".into(), |id| id.to_string());
                return Err(wrong(format!(
                    "expected id {id} for `{token}`, at which GroundingDINO ends a phrase, found \
                     {found}; use the tokenizer.json of this model"
                )));
            }
        }
        let greatest = inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max();
        if let Some((id, token)) = greatest
            && id as usize >= vocab_size
        {
            return Err(wrong(format!(
                "token `{token}` has id {id}, but the model embeds only ids below \
                 text_config.vocab_size = {vocab_size}; use the tokenizer.json of this model"
            )));
        }
        Ok(Self { inner, path, max_tokens })
    }

    /// The token ids of a phrase, or of several between full stops; it stands at `index`.
    ///
    /// # Errors
    /// A phrase without a word, and one of too many tokens.
    pub fn encode(&self, index: usize, phrase: &str) -> Result<Vec<i64>, GroundingError> {
        let wrong =
            |reason: String| GroundingError::Phrase { index, phrase: phrase.into(), reason };
        let prompt = prompt(phrase).ok_or_else(|| {
            wrong("expected what to look for, such as `handbag`, found nothing".into())
        })?;
        let tokens =
            self.inner.encode_fast(prompt, true).map_err(|error| wrong(error.to_string()))?;
        let ids: Vec<i64> = tokens.get_ids().iter().map(|&id| id.into()).collect();
        if ids.len() > self.max_tokens {
            return Err(wrong(format!(
                "{} tokens; the model reads at most {}: name fewer or shorter things",
                ids.len(),
                self.max_tokens
            )));
        }
        Ok(ids)
    }

    /// The text of token ids.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, ids: &[u32]) -> Result<String, GroundingError> {
        self.inner.decode(ids, false).map_err(|error| GroundingError::Tokenizer {
            path: self.path.clone(),
            reason: format!("cannot decode {ids:?}: {error}"),
        })
    }
}

/// The phrases in lower case, each ending in a full stop; `None` where there is none.
fn prompt(phrase: &str) -> Option<String> {
    let phrases: Vec<String> = phrase
        .split('.')
        .map(|phrase| phrase.trim().to_lowercase())
        .filter(|phrase| !phrase.is_empty())
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(". ") + ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_lower_case_and_end_in_a_full_stop() {
        let of = |phrase| prompt(phrase).unwrap();
        assert_eq!(of(" Handbag "), "handbag.");
        assert_eq!(of("handbag."), "handbag.");
        assert_eq!(of("Red Shoe . MUG"), "red shoe. mug.");
        assert_eq!(of("É"), "é.");
        assert_eq!(prompt(" . "), None);
    }
}
