//! The sample's tokenizer: CLIP's pipeline with a vocabulary learnt from the sample's own texts.

use std::collections::BTreeMap;
use std::path::Path;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, SplitDelimiterBehavior, Tokenizer,
};

use super::bpe;
use crate::PrepareError;

/// Number of token ids, the two special ones included.
pub(super) const VOCAB_SIZE: usize = 2048;
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// How CLIP cuts text into words.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Counts the words of texts as they pass.
pub(super) struct WordCounter {
    normalizer: Normalizers,
    pre_tokenizer: PreTokenizers,
    counts: BTreeMap<String, u64>,
}

impl WordCounter {
    pub(super) fn new() -> Result<Self, PrepareError> {
        Ok(WordCounter {
            normalizer: normalizer()?,
            pre_tokenizer: pre_tokenizer()?,
            counts: BTreeMap::new(),
        })
    }

    pub(super) fn add(&mut self, text: &str) -> Result<(), PrepareError> {
        let mut text = NormalizedString::from(text);
        self.normalizer.normalize(&mut text).map_err(failed)?;
        let mut words = PreTokenizedString::from(text);
        self.pre_tokenizer.pre_tokenize(&mut words).map_err(failed)?;
        for (word, _, _) in words.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match self.counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(word.to_owned(), 1)),
            }
        }
        Ok(())
    }

    /// Learns the vocabulary and puts the tokenizer together.
    pub(super) fn learn(self) -> Result<Tokenizer, PrepareError> {
        let mut learnt = bpe::learn(&self.counts, VOCAB_SIZE - 514);
        // A tiny sample has too few words for all ids: the rest are tokens no text can produce,
        // so that the special tokens keep the ids that the model's config names.
        for index in 0.. {
            if learnt.tokens.len() >= VOCAB_SIZE - 2 {
                break;
            }
            learnt.tokens.push(format!("<|unused{index}|>"));
        }
        let specials = [START, END].map(str::to_owned);
        let vocab: Vocab = learnt.tokens.into_iter().chain(specials).zip(0..).collect();
        let id_of = |token: &str| vocab.get(token).copied().unwrap_or_default();
        let (start, end) = (id_of(START), id_of(END));
        let model = BPE::builder()
            .vocab_and_merges(vocab, learnt.pairs)
            .unk_token(END.to_owned())
            .continuing_subword_prefix(String::new())
            .end_of_word_suffix(bpe::END_OF_WORD.to_owned())
            .build()
            .map_err(failed)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(self.normalizer))
            .map_err(failed)?
            .with_pre_tokenizer(Some(self.pre_tokenizer))
            .with_post_processor(Some(
                RobertaProcessing::new((END.to_owned(), end), (START.to_owned(), start))
                    .trim_offsets(false)
                    .add_prefix_space(false),
            ))
            .with_decoder(Some(ByteLevel::new(false, true, true)));
        let special = |token: &str| AddedToken::from(token, true).normalized(false);
        tokenizer.add_special_tokens(vec![special(START), special(END)]).map_err(failed)?;
        Ok(tokenizer)
    }
}

/// Writes `tokenizer.json` as Hugging Face libraries read it, and syncs it to disk.
pub(super) fn save(tokenizer: &Tokenizer, path: &Path) -> Result<(), PrepareError> {
    let json = tokenizer.to_string(true).map_err(failed)?;
    std::fs::write(path, json + "\n")
        .and_then(|()| std::fs::File::open(path)?.sync_all())
        .map_err(PrepareError::io("write", path))
}

fn normalizer() -> Result<Normalizers, PrepareError> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(failed)?;
    Ok(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()]))
}

fn pre_tokenizer() -> Result<PreTokenizers, PrepareError> {
    let words = Split::new(
        SplitPattern::Regex(WORDS.to_owned()),
        SplitDelimiterBehavior::Removed,
        true, // what matches is kept, what lies between is removed
    )
    .map_err(failed)?;
    Ok(PreTokenizers::new(vec![words.into(), ByteLevel::new(false, true, true).into()]))
}

fn failed(source: tokenizers::Error) -> PrepareError {
    PrepareError::Tokenizer(source.to_string())
}
