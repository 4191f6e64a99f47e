//! Learns byte-pair merges the way CLIP's vocabulary was learnt.
//!
//! `tokenizers` has a trainer, but it walks hash maps, so its token ids differ from run to run.
//! Here every choice is ordered: the most frequent pair is merged first, ties go to the pair that
//! comes first in byte order.

use std::collections::{BTreeMap, BTreeSet};

/// What marks the last token of a word.
pub(super) const END_OF_WORD: &str = "</w>";

/// The learnt vocabulary: ids are positions in `tokens`.
pub(super) struct Merges {
    /// 256 byte symbols, the same at the end of a word, then one token per merge.
    pub(super) tokens: Vec<String>,
    /// Pairs in the order they are applied.
    pub(super) pairs: Vec<(String, String)>,
}

struct Word {
    symbols: Vec<usize>,
    count: u64,
}

/// Learns at most `num_merges` merges from words (in `ByteLevel` spelling) and their counts,
/// stopping early when no pair is left.
pub(super) fn learn(counts: &BTreeMap<String, u64>, num_merges: usize) -> Merges {
    let mut tokens = byte_symbols();
    tokens.extend(byte_symbols().into_iter().map(|symbol| symbol + END_OF_WORD));
    let ids: BTreeMap<String, usize> = tokens.iter().cloned().zip(0..).collect();
    let mut words: Vec<Word> = counts
        .iter()
        .map(|(word, &count)| Word { symbols: spell(word, &ids), count })
        .filter(|word| word.symbols.len() > 1)
        .collect();

    let mut pair_counts = BTreeMap::<(usize, usize), u64>::new();
    let mut homes = BTreeMap::<(usize, usize), BTreeSet<usize>>::new();
    for (index, word) in words.iter().enumerate() {
        for pair in word.symbols.windows(2) {
            *pair_counts.entry((pair[0], pair[1])).or_default() += word.count;
            homes.entry((pair[0], pair[1])).or_default().insert(index);
        }
    }

    let mut pairs = Vec::new();
    let mut known: BTreeSet<String> = tokens.iter().cloned().collect();
    while pairs.len() < num_merges {
        // The highest count; among equals the lowest pair, so compare reversed.
        let best =
            pair_counts.iter().max_by_key(|&(&pair, &count)| (count, std::cmp::Reverse(pair)));
        let Some((&(left, right), &count)) = best else { break };
        if count == 0 {
            break;
        }
        let joined = format!("{}{}", tokens[left], tokens[right]);
        if !known.insert(joined.clone()) {
            // Another pair spells this token already: ids must stay unique, so this one rests.
            pair_counts.remove(&(left, right));
            continue;
        }
        pairs.push((tokens[left].clone(), tokens[right].clone()));
        tokens.push(joined);
        let fresh = tokens.len() - 1;
        for index in homes.remove(&(left, right)).unwrap_or_default() {
            let word = &mut words[index];
            for pair in word.symbols.windows(2) {
                if let Some(count) = pair_counts.get_mut(&(pair[0], pair[1])) {
                    *count = count.saturating_sub(word.count);
                }
            }
            word.symbols = merged(&word.symbols, (left, right), fresh);
            for pair in word.symbols.windows(2) {
                *pair_counts.entry((pair[0], pair[1])).or_default() += word.count;
                homes.entry((pair[0], pair[1])).or_default().insert(index);
            }
        }
        pair_counts.remove(&(left, right));
    }
    Merges { tokens, pairs }
}

fn spell(word: &str, ids: &BTreeMap<String, usize>) -> Vec<usize> {
    let last = word.chars().count().saturating_sub(1);
    word.chars()
        .enumerate()
        .filter_map(|(at, symbol)| {
            let end = if at == last { END_OF_WORD } else { "" };
            ids.get(&format!("{symbol}{end}")).copied()
        })
        .collect()
}

fn merged(symbols: &[usize], (left, right): (usize, usize), fresh: usize) -> Vec<usize> {
    let mut out = Vec::with_capacity(symbols.len());
    let mut at = 0;
    while at < symbols.len() {
        if symbols[at] == left && symbols.get(at + 1) == Some(&right) {
            out.push(fresh);
            at += 2;
        } else {
            out.push(symbols[at]);
            at += 1;
        }
    }
    out
}

/// The 256 characters that stand for bytes, in GPT-2's order: the printable ones stand for
/// themselves and come first, the others are moved to U+0100 and up.
fn byte_symbols() -> Vec<String> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let own = (0..=u8::MAX).filter(printable).map(char::from);
    let moved = ('\u{100}'..).take(256 - own.clone().count());
    own.chain(moved).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(words: &[(&str, u64)]) -> BTreeMap<String, u64> {
        words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
    }

    #[test]
    fn bytes_come_first_as_in_clip() {
        let symbols = byte_symbols();
        assert_eq!(symbols.len(), 256);
        assert_eq!((symbols[0].as_str(), symbols[64].as_str()), ("!", "a"));
        assert_eq!(symbols[188], "\u{100}");
    }

    #[test]
    fn the_commonest_pair_is_merged_first() {
        let learnt = learn(&counts(&[("red", 5), ("rest", 3), ("bed", 1)]), 3);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        // "re" 8 times; then "re"+"d</w>" 5; then of the pairs seen 3 times the first by id.
        assert_eq!(learnt.pairs[0], pair("r", "e"));
        assert_eq!(learnt.pairs[1], pair("re", "d</w>"));
        assert_eq!(learnt.tokens.len(), 512 + 3);
    }

    #[test]
    fn it_stops_when_every_word_is_one_token() {
        let learnt = learn(&counts(&[("aa", 2)]), 100);
        assert_eq!(learnt.tokens[512..], ["aa</w>".to_owned()]);
    }
}
