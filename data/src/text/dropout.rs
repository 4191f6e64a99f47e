//! What is left out of training captions: the whole text, or words of it.

use crate::DataError;
use crate::rng::Rng;
use configs::Text;

/// How much is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    caption: f64,
    word: f64,
}

impl Dropout {
    /// What `text` states.
    ///
    /// # Errors
    /// A probability outside [0, 1).
    pub fn new(text: &Text) -> Result<Self, DataError> {
        let Text { caption_dropout: caption, word_dropout: word, .. } = *text;
        for (field, value) in
            [("data.text.caption_dropout", caption), ("data.text.word_dropout", word)]
        {
            if !(0.0..1.0).contains(&value) {
                let expected = "a number in [0, 1)".into();
                return Err(DataError::Config { field, expected, found: value.to_string() });
            }
        }
        Ok(Self { caption, word })
    }

    /// The caption without what is drawn to be left out: empty, or with some of its words (what
    /// white space parts), at least one, one space between them.
    pub fn apply(&self, caption: String, rng: &mut Rng) -> String {
        // Drawn in any case, so that one probability does not decide what the other leaves out.
        if rng.unit() < self.caption {
            return String::new();
        }
        if self.word == 0.0 {
            return caption;
        }
        let words: Vec<&str> = caption.split_whitespace().collect();
        let kept = words.iter().copied().filter(|_| rng.unit() >= self.word);
        match kept.collect::<Vec<_>>() {
            none if none.is_empty() && !words.is_empty() => {
                words[rng.below(words.len() as u64) as usize].to_owned()
            }
            kept => kept.join(" "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn dropout(caption_dropout: f64, word_dropout: f64) -> Result<Dropout, DataError> {
        Dropout::new(&Text { caption_dropout, word_dropout, ..Text::default() })
    }

    fn apply(dropout: Dropout, caption: &str, number: u64) -> String {
        dropout.apply(caption.into(), &mut Rng::new(Purpose::Caption, &[9, number]))
    }

    #[test]
    fn zero_leaves_the_text_as_it_is() {
        assert_eq!(apply(dropout(0.0, 0.0).unwrap(), " a \t b ", 0), " a \t b ");
    }

    #[test]
    fn captions_and_words_are_left_out_as_often_as_stated() {
        let both = dropout(0.25, 0.4).unwrap();
        let (mut empty, mut words) = (0u32, 0u32);
        for number in 0..10_000 {
            let found = apply(both, "a b  c d e f g h", number);
            empty += u32::from(found.is_empty());
            words += found.chars().filter(|c| c.is_alphabetic()).count() as u32;
            assert!(!found.contains("  "));
            let mut letters: Vec<char> = found.chars().filter(|c| *c != ' ').collect();
            assert!(letters.is_sorted(), "order stays: {found}");
            letters.dedup();
            assert_eq!(letters.len() * 2, found.len() + usize::from(!found.is_empty()));
        }
        // 2,500 and 7,500 x 8 x 0.6 = 36,000 expected; six standard deviations are 260 and 1,450.
        // (The word that stays for certain adds 0.4^8 of a word per caption, 5 in all.)
        assert!((2_240..2_760).contains(&empty), "{empty}");
        assert!((34_550..37_450).contains(&words), "{words}");
    }

    #[test]
    fn one_word_stays_and_any_may() {
        let most = dropout(0.0, 0.999).unwrap();
        let found: std::collections::BTreeSet<String> =
            (0..200).map(|number| apply(most, "red blue", number)).collect();
        assert_eq!(Vec::from_iter(&found), ["blue", "red"]);
        assert_eq!(apply(most, "red", 0), "red");
    }

    #[test]
    fn a_word_does_not_depend_on_how_often_captions_go() {
        let (some, none) = (dropout(0.5, 0.5).unwrap(), dropout(0.0, 0.5).unwrap());
        let text = "a b c d e f g h i j";
        let kept: Vec<u64> = (0..100).filter(|&n| !apply(some, text, n).is_empty()).collect();
        assert!(kept.len() > 20);
        assert!(kept.iter().all(|&n| apply(some, text, n) == apply(none, text, n)));
    }

    #[test]
    fn probabilities_lie_below_one() {
        let message = |c, w| dropout(c, w).unwrap_err().to_string();
        assert_eq!(
            message(1.0, 0.0),
            "data.text.caption_dropout: expected a number in [0, 1), found 1"
        );
        assert_eq!(
            message(0.0, f64::NAN),
            "data.text.word_dropout: expected a number in [0, 1), found NaN"
        );
    }
}
