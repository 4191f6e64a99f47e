//! What the model knows about a batch of prompts besides their token ids.

use tch::{Device, Kind, Tensor};

/// Ids that end a phrase in every GroundingDINO: [CLS], [SEP], full stop and question mark of
/// BERT's vocabulary.
const ENDS: [i64; 4] = [101, 102, 1012, 1029];

/// A batch of prompts as token ids, each phrase by itself.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// [B, T] i64.
    pub ids_bt: Tensor,
    /// Place in its phrase, [B, T] i64.
    pub positions_bt: Tensor,
    /// [B, 1, T, T] bool: tokens see those of their own phrase.
    pub phrases_b1tt: Tensor,
    /// [B, T] bool: tokens that are no padding.
    pub tokens_bt: Tensor,
}

impl Prompts {
    /// Of rows of token ids, [CLS] and [SEP] included, filled up with `pad`.
    pub fn new(rows: &[Vec<i64>], pad: i64, device: Device) -> Self {
        let (b, t) = (rows.len(), rows.iter().map(Vec::len).max().unwrap_or(0));
        let (mut ids, mut positions) = (Vec::with_capacity(b * t), Vec::with_capacity(b * t));
        let (mut seen, mut tokens) = (Vec::with_capacity(b * t * t), Vec::with_capacity(b * t));
        for row in rows {
            let filled: Vec<i64> = (0..t).map(|i| row.get(i).copied().unwrap_or(pad)).collect();
            let phrases = phrases(&filled);
            positions.extend(phrases.iter().map(|phrase| phrase.position));
            for (i, phrase) in phrases.iter().enumerate() {
                let same = |other: &Phrase| phrase.whole && other.end == phrase.end;
                seen.extend(phrases.iter().enumerate().map(|(j, other)| i == j || same(other)));
            }
            tokens.extend((0..t).map(|i| i < row.len()));
            ids.extend(filled);
        }
        let (b, t) = (b as i64, t as i64);
        let tensor = |values: &[i64]| Tensor::from_slice(values).view([b, t]).to_device(device);
        let flags = |values: &[bool]| Tensor::from_slice(values).to_device(device);
        Self {
            ids_bt: tensor(&ids),
            positions_bt: tensor(&positions),
            phrases_b1tt: flags(&seen).view([b, 1, t, t]),
            tokens_bt: flags(&tokens).view([b, t]),
        }
    }

    /// The positions as numbers, [B, T, 1].
    pub fn positions(&self, kind: Kind) -> Tensor {
        self.positions_bt.to_kind(kind).unsqueeze(-1)
    }
}

/// The phrase of a token.
struct Phrase {
    /// Where the next end of a phrase stands, this token included.
    end: usize,
    /// Whether that is an end within the row: the first and the last token end nothing.
    whole: bool,
    /// Distance from the end of the phrase before.
    position: i64,
}

fn phrases(ids: &[i64]) -> Vec<Phrase> {
    let is_end = |i: &usize| ENDS.contains(&ids[*i]);
    let mut start = 0;
    let mut phrases = Vec::with_capacity(ids.len());
    for i in 0..ids.len() {
        let end = (i..ids.len()).find(is_end).unwrap_or(ids.len());
        let whole = end != 0 && end + 1 < ids.len();
        let position = if whole { i64::try_from(i - start).unwrap_or(0) } else { 0 };
        phrases.push(Phrase { end, whole, position });
        if is_end(&i) {
            start = i + 1;
        }
    }
    phrases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_see_their_own_phrase_and_count_from_its_start() {
        // [CLS] red shoe . mug . [SEP], and a shorter row.
        let rows = [vec![101, 7, 8, 1012, 9, 1012, 102], vec![101, 9, 1012, 102]];
        let prompts = Prompts::new(&rows, 0, Device::Cpu);
        let positions: Vec<i64> = Vec::try_from(prompts.positions_bt.flatten(0, 1)).unwrap();
        assert_eq!(positions, [0, 0, 1, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        let seen: Vec<bool> = Vec::try_from(prompts.phrases_b1tt.get(0).flatten(0, 2)).unwrap();
        let of = |i: usize| {
            (0..7).filter(|j| seen[i * 7 + j]).map(|j| j.to_string()).collect::<String>()
        };
        assert_eq!([of(0), of(1), of(3), of(4), of(6)], ["0", "123", "123", "45", "6"]);
        let tokens: Vec<bool> = Vec::try_from(prompts.tokens_bt.get(1)).unwrap();
        assert_eq!(tokens, [true, true, true, true, false, false, false]);
    }
}
