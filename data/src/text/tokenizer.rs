//! Hugging Face's `tokenizer.json`, cut to the model's context length.

use super::clean;
use crate::DataError;
use configs::Clean;
use std::path::{Path, PathBuf};

/// What fills the places after the end token. Causal attention never looks there, so the choice
/// does not change embeddings; it matters for token ids compared with another program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PadId {
    /// The end token again, as Hugging Face's CLIP tokenizer.
    #[default]
    End,
    /// This id; OpenAI's and open_clip's tokenizers use 0.
    Id(u32),
}

/// How the model finds the end of a caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndToken {
    /// By the greatest id of the row (open_clip; Hugging Face when `eos_token_id` is 2).
    Greatest,
    /// By the first place with this id (Hugging Face's `eos_token_id`).
    Id(u32),
}

/// One caption as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Start token, words, end token; at most the context length, not padded.
    pub ids: Vec<i64>,
    /// Whether words were cut off.
    pub truncated: bool,
}

/// Captions to token ids. Shared by threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    context_length: usize,
    clean: Clean,
    end: u32,
    pad: i64,
    /// The greatest id of the vocabulary and its token.
    greatest: (u32, String),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. `context_length` is the model's number of text positions.
    ///
    /// # Errors
    /// A file that is missing or not a tokenizer, one that adds no end token, and a context
    /// with no room for start and end.
    pub fn open(
        path: impl AsRef<Path>,
        context_length: usize,
        clean: Clean,
        pad: PadId,
    ) -> Result<Self, DataError> {
        let path = path.as_ref().to_path_buf();
        let json =
            std::fs::read(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        let wrong = |reason: String| DataError::Tokenizer { path: path.clone(), reason };
        let mut inner = tokenizers::Tokenizer::from_bytes(&json)
            .map_err(|error| wrong(format!("not a tokenizer.json: {error}")))?;
        // Cutting and padding are done here: the end token must stay last.
        inner.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        inner.with_padding(None);

        // What the post-processor puts around nothing: the start token, if any, and the end.
        let frame = inner.encode("", true).map_err(|error| wrong(error.to_string()))?;
        let &end = frame.get_ids().last().ok_or_else(|| {
            wrong(
                "its post_processor adds no end token to a caption; CLIP reads a caption's \
                 embedding at the end token, so a CLIP tokenizer.json is needed"
                    .into(),
            )
        })?;
        if context_length < frame.len().max(2) {
            return Err(wrong(format!(
                "a context of {context_length} tokens has no room for start and end"
            )));
        }
        let vocab = inner.get_vocab(true);
        let greatest = vocab.into_iter().map(|(token, id)| (id, token)).max();
        let greatest = greatest.ok_or_else(|| wrong("its vocabulary is empty".into()))?;
        let pad = match pad {
            PadId::End => end,
            PadId::Id(id) => id,
        };
        Ok(Self { inner, path, context_length, clean, end, pad: pad.into(), greatest })
    }

    /// Checks the tokenizer against a model with `vocab_size` token embeddings that finds the
    /// end of a caption as `end` says.
    ///
    /// # Errors
    /// Ids without an embedding, and an end token that the model would not find.
    pub fn check(&self, vocab_size: usize, end: EndToken) -> Result<(), DataError> {
        let wrong = |reason| Err(DataError::Tokenizer { path: self.path.clone(), reason });
        let (id, token) = &self.greatest;
        if *id as usize >= vocab_size {
            return wrong(format!(
                "does not fit the model: token `{token}` has id {id}, but the model embeds only \
                 ids below vocab_size = {vocab_size}; use the tokenizer.json of this model"
            ));
        }
        if self.pad < 0 || self.pad as usize >= vocab_size {
            return wrong(format!(
                "does not fit the model: the pad id {} is not below vocab_size = {vocab_size}",
                self.pad
            ));
        }
        match end {
            EndToken::Id(expected) if expected != self.end => wrong(format!(
                "does not fit the model: the end token's id is {}, but the model looks for \
                 eos_token_id = {expected}",
                self.end
            )),
            EndToken::Greatest if self.end != *id => wrong(format!(
                "does not fit the model: it finds the end of a caption by the greatest id, but \
                 the end token has id {} and `{token}` has id {id}",
                self.end
            )),
            _ => Ok(()),
        }
    }

    /// Cleans and tokenises one caption.
    ///
    /// # Errors
    /// A word that the vocabulary cannot express and that has no unknown token.
    pub fn encode(&self, caption: &str) -> Result<Encoded, DataError> {
        let encoding = self.tokens(caption)?;
        let mut ids: Vec<i64> = encoding.get_ids().iter().map(|&id| id.into()).collect();
        let truncated = ids.len() > self.context_length;
        if truncated {
            ids.truncate(self.context_length - 1);
            ids.push(self.end.into());
        }
        Ok(Encoded { ids, truncated })
    }

    /// The tokens of a caption before it is cut to the context length, start and end included.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn full_length(&self, caption: &str) -> Result<usize, DataError> {
        Ok(self.tokens(caption)?.len())
    }

    fn tokens(&self, caption: &str) -> Result<tokenizers::Encoding, DataError> {
        let caption = clean(caption, self.clean);
        self.inner.encode_fast(caption.as_ref(), true).map_err(|error| {
            let reason = format!("cannot tokenise `{caption}`: {error}");
            DataError::Tokenizer { path: self.path.clone(), reason }
        })
    }

    /// The id that pads shorter captions of a batch.
    pub fn pad_id(&self) -> i64 {
        self.pad
    }

    /// The end token's id.
    pub fn end_id(&self) -> i64 {
        self.end.into()
    }

    /// The greatest number of tokens of a caption, start and end included.
    pub fn context_length(&self) -> usize {
        self.context_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word-level tokenizer: enough to test framing, cutting and messages.
    fn json(post_processor: &str) -> String {
        format!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
            "normalizer":{{"type":"Lowercase"}},"pre_tokenizer":{{"type":"Whitespace"}},
            "post_processor":{post_processor},"decoder":null,
            "model":{{"type":"WordLevel","unk_token":"?",
            "vocab":{{"?":0,"red":1,"shoe":2,"<s>":3,"</s>":4}}}}}}"#
        )
    }

    const FRAME: &str = r#"{"type":"RobertaProcessing","sep":["</s>",4],"cls":["<s>",3],
        "trim_offsets":false,"add_prefix_space":false}"#;

    fn open(json: &str, context_length: usize, pad: PadId) -> Result<Tokenizer, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        std::fs::write(&path, json).unwrap();
        Tokenizer::open(&path, context_length, Clean::Hf, pad)
    }

    #[test]
    fn frames_cuts_and_keeps_the_end_last() {
        let tokenizer = open(&json(FRAME), 4, PadId::End).unwrap();
        let encode = |text| tokenizer.encode(text).unwrap();
        assert_eq!(encode("Red shoe"), Encoded { ids: vec![3, 1, 2, 4], truncated: false });
        assert_eq!(encode("red shoe red"), Encoded { ids: vec![3, 1, 2, 4], truncated: true });
        assert_eq!(encode(""), Encoded { ids: vec![3, 4], truncated: false });
        assert_eq!((tokenizer.pad_id(), tokenizer.end_id(), tokenizer.context_length()), (4, 4, 4));
        assert_eq!(open(&json(FRAME), 4, PadId::Id(0)).unwrap().pad_id(), 0);
    }

    #[test]
    fn a_tokenizer_that_does_not_fit_the_model() {
        let tokenizer = open(&json(FRAME), 4, PadId::End).unwrap();
        tokenizer.check(5, EndToken::Id(4)).unwrap();
        tokenizer.check(5, EndToken::Greatest).unwrap();
        let message = |size, end| tokenizer.check(size, end).unwrap_err().to_string();
        let text = message(4, EndToken::Id(4));
        assert!(text.ends_with(
            "does not fit the model: token `</s>` has id 4, but the model embeds only ids below \
             vocab_size = 4; use the tokenizer.json of this model"
        ));
        let text = message(5, EndToken::Id(2));
        assert!(
            text.ends_with("the end token's id is 4, but the model looks for eos_token_id = 2")
        );
        let more = json(FRAME).replace("\"</s>\":4", "\"</s>\":4,\"late\":5");
        let tokenizer = open(&more, 4, PadId::Id(9)).unwrap();
        let text = tokenizer.check(10, EndToken::Greatest).unwrap_err().to_string();
        assert!(text.ends_with("the end token has id 4 and `late` has id 5"), "{text}");
        let text = tokenizer.check(7, EndToken::Id(4)).unwrap_err().to_string();
        assert!(text.ends_with("the pad id 9 is not below vocab_size = 7"), "{text}");
    }

    #[test]
    fn messages_on_opening() {
        let message =
            |json: &str, length| open(json, length, PadId::End).err().unwrap().to_string();
        let text = message(&json("null"), 77);
        assert!(text.contains("adds no end token to a caption"), "{text}");
        let text = message("{}", 77);
        assert!(text.contains("tokenizer.json`: not a tokenizer.json: "), "{text}");
        let text = message(&json(FRAME), 1);
        assert!(text.ends_with("a context of 1 tokens has no room for start and end"), "{text}");
        let missing = Tokenizer::open("no/tokenizer.json", 77, Clean::Hf, PadId::End);
        let text = missing.err().unwrap().to_string();
        assert!(text.starts_with("`no/tokenizer.json`: "), "{text}");
    }
}
