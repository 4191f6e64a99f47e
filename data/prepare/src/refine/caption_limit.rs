//! The context length that captions are held to.

use std::fmt;
use std::sync::Arc;

/// How many tokens a caption may have, and how they are counted: by the tokenizer of the model
/// that the shards are for.
#[derive(Clone)]
pub struct CaptionLimit {
    /// The most tokens of a caption, start and end included: 77 for CLIP.
    pub max_tokens: usize,
    /// The tokens of a text, start and end included.
    pub count: Arc<dyn Fn(&str) -> usize + Send + Sync>,
}

impl fmt::Debug for CaptionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptionLimit").field("max_tokens", &self.max_tokens).finish_non_exhaustive()
    }
}

impl CaptionLimit {
    /// The number of tokens where it is above the limit.
    pub(super) fn excess(&self, text: &str) -> Option<usize> {
        let tokens = (self.count)(text);
        (tokens > self.max_tokens).then_some(tokens)
    }

    /// Words that fit with room to spare: English takes about 1.3 tokens a word, and start and end
    /// are two.
    pub(super) fn words(&self) -> usize {
        (self.max_tokens.saturating_sub(2) * 2 / 3).max(1)
    }

    /// The most whole words from the start that fit. A first word that does not fit is kept: a
    /// caption is never empty.
    pub(super) fn cut<'a>(&self, text: &'a str) -> &'a str {
        let text = text.trim();
        if self.excess(text).is_none() {
            return text;
        }
        let ends: Vec<usize> = text
            .char_indices()
            .zip(text.chars().skip(1))
            .filter(|((_, letter), next)| !letter.is_whitespace() && next.is_whitespace())
            .map(|((at, letter), _)| at + letter.len_utf8())
            .collect();
        let fitting = ends.partition_point(|&end| self.excess(&text[..end]).is_none());
        match (fitting, ends.first()) {
            (0, None) => text,
            (0, Some(&first)) => &text[..first],
            (fitting, _) => &text[..ends[fitting - 1]],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_words() {
        let count = Arc::new(|text: &str| text.split_whitespace().count() + 2);
        let limit = CaptionLimit { max_tokens: 5, count };
        assert_eq!(limit.cut(" a bé  c "), "a bé  c");
        assert_eq!(limit.cut("a bé  c d e"), "a bé  c");
        let none = CaptionLimit { max_tokens: 2, ..limit.clone() };
        assert_eq!(none.cut("alpha beta"), "alpha");
        assert_eq!(none.cut("alpha"), "alpha");
        assert_eq!(limit.words(), 2);
    }
}
