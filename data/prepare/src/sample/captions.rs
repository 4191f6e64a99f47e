//! The words of a product: a refined caption, training variants of it, and the raw title a
//! careless seller would write.

use super::lexicon::{Colour, Pattern};
use super::product::Product;
use super::rng::Rng;

/// Everything written about one product.
pub(super) struct Texts {
    /// The refined caption first, then 1 to 3 variants.
    pub(super) captions: Vec<String>,
    pub(super) raw: String,
    pub(super) refined: String,
}

/// Writes the texts of `product`, drawing from `rng`.
pub(super) fn write(product: &Product, rng: &mut Rng) -> Texts {
    let refined = refined(product, rng);
    let mut captions = vec![refined.clone()];
    let wanted = 2 + rng.below(3);
    for _ in 0..32 {
        let text = variant(product, rng);
        if captions.len() < wanted && !captions.contains(&text) {
            captions.push(text);
        }
    }
    let raw = raw_title(product, rng);
    Texts { captions, raw, refined }
}

/// The usual word (the first) most of the time, one of the others otherwise.
fn word(rng: &mut Rng, words: &[&'static str], usual: f32) -> &'static str {
    if words.len() == 1 || rng.chance(usual) { words[0] } else { rng.pick(&words[1..]) }
}

fn colour_word(rng: &mut Rng, colour: &Colour, usual: f32) -> &'static str {
    if rng.chance(usual) { colour.name } else { rng.pick(colour.synonyms) }
}

fn kind_word(rng: &mut Rng, product: &Product, usual: f32) -> &'static str {
    if rng.chance(usual) { product.kind.name } else { rng.pick(product.kind.synonyms) }
}

/// Joins what is there with single spaces.
fn spaced(words: &[&str]) -> String {
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// Starts with "a" or "an".
fn with_article(words: &[&str]) -> String {
    let phrase = spaced(words);
    let article = if phrase.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {phrase}")
}

/// "a large red ceramic mug with white polka dots", now and then without a detail.
fn refined(product: &Product, rng: &mut Rng) -> String {
    let size = if rng.chance(0.25) { word(rng, product.size.words(), 0.8) } else { "" };
    let colour = colour_word(rng, product.colour, 0.75);
    let material =
        if rng.chance(0.88) { word(rng, product.material.adjectives(), 0.8) } else { "" };
    let kind = kind_word(rng, product, 0.85);
    if product.pattern == Pattern::Solid {
        let plain = if rng.chance(0.5) { word(rng, product.pattern.adjectives(), 0.7) } else { "" };
        return with_article(&[size, plain, colour, material, kind]);
    }
    if rng.chance(0.25) {
        let pattern = word(rng, product.pattern.adjectives(), 0.7);
        let second = colour_word(rng, product.second, 0.75);
        let colours = format!("{colour} and {second}");
        return with_article(&[size, pattern, material, kind, "in", &colours]);
    }
    let second = if rng.chance(0.88) { colour_word(rng, product.second, 0.75) } else { "" };
    let noun = word(rng, product.pattern.nouns(), 0.75);
    with_article(&[size, colour, material, kind, "with", second, noun])
}

/// The same facts in another order, with other words, some left out.
fn variant(product: &Product, rng: &mut Rng) -> String {
    let size = if rng.chance(0.3) { word(rng, product.size.words(), 0.6) } else { "" };
    let colour = colour_word(rng, product.colour, 0.6);
    let second = colour_word(rng, product.second, 0.6);
    let material = word(rng, product.material.adjectives(), 0.6);
    let stuff = word(rng, product.material.nouns(), 0.6);
    let kind = kind_word(rng, product, 0.75);
    let adjective = word(rng, product.pattern.adjectives(), 0.6);
    let noun = word(rng, product.pattern.nouns(), 0.6);
    let solid = product.pattern == Pattern::Solid;
    match rng.below(5) {
        0 => spaced(&[size, adjective, colour, kind, "made of", stuff]),
        1 if solid => spaced(&[kind, "in", colour, stuff, size]),
        1 => spaced(&[kind, "in", colour, stuff, "with", second, noun]),
        2 if solid => spaced(&["photo of", size, colour, kind]),
        2 => spaced(&[colour, "and", second, adjective, kind, size]),
        3 if solid => spaced(&[material, kind, "all", colour]),
        3 => spaced(&[material, kind, "with", second, noun, "on", colour]),
        _ if solid => spaced(&[size, colour, material, kind]),
        _ => spaced(&[size, colour, kind, "with", noun]),
    }
}

const NOISE: [&str; 16] = [
    "HOT SALE!!",
    "2024 new",
    "free shipping",
    "best seller",
    "gift for mom",
    "top quality",
    "limited offer",
    "50% OFF",
    "fast delivery",
    "premium",
    "*NEW ARRIVAL*",
    "must have",
    "trending now",
    "for home & office",
    "1 pc",
    "great gift idea",
];

const SYLLABLES: [&str; 20] = [
    "lum", "nor", "vik", "ora", "bel", "tan", "zu", "kai", "mer", "do", "fin", "sol", "ra", "vex",
    "pli", "gro", "hem", "ost", "jun", "wa",
];

/// "HOT SALE!! Norvik drinkware 2024 new ZX-4821": noise, a made-up brand, a vague word as often
/// as the right one, few attributes, and the case as it comes.
fn raw_title(product: &Product, rng: &mut Rng) -> String {
    let mut words: Vec<String> = Vec::new();
    if rng.chance(0.45) {
        words.push(rng.pick(&NOISE).to_owned());
    }
    if rng.chance(0.5) {
        let brand: String = (0..2 + rng.below(2)).map(|_| rng.pick(&SYLLABLES)).collect();
        words.push(capitalised(&brand));
    }
    let mut facts = vec![if rng.chance(0.5) {
        rng.pick(product.kind.vague).to_owned()
    } else {
        kind_word(rng, product, 0.6).to_owned()
    }];
    if rng.chance(0.4) {
        facts.insert(0, colour_word(rng, product.colour, 0.6).to_owned());
    }
    if rng.chance(0.3) {
        facts.push(word(rng, product.material.adjectives(), 0.5).to_owned());
    }
    if rng.chance(0.25) {
        facts.push(word(rng, product.pattern.adjectives(), 0.5).to_owned());
    }
    if rng.chance(0.2) {
        facts.push(word(rng, product.size.words(), 0.5).to_owned());
    }
    words.append(&mut facts);
    for _ in 0..rng.below(3) {
        words.push(rng.pick(&NOISE).to_owned());
    }
    if rng.chance(0.6) {
        let letter = |rng: &mut Rng| char::from(b'A' + rng.below(26) as u8); // below 26: fits
        words.push(format!("{}{}-{:04}", letter(rng), letter(rng), rng.below(10_000)));
    }
    let title = words.join(" ");
    match rng.below(10) {
        0..2 => title.to_uppercase(),
        2..4 => title.to_lowercase(),
        4..7 => title.split(' ').map(capitalised).collect::<Vec<_>>().join(" "),
        _ => title,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::super::product::Catalogue;
    use super::*;

    #[test]
    fn refined_captions_name_the_type_and_the_colour() {
        let catalogue = Catalogue::new(0);
        for number in 0..500 {
            let product = catalogue.product(number);
            let texts = write(&product, &mut Rng::keyed(0, 9, number));
            let has = |words: &[&str]| words.iter().any(|word| texts.refined.contains(word));
            assert!(
                has(&[product.kind.name]) || has(product.kind.synonyms),
                "{}: {}",
                product.kind.name,
                texts.refined
            );
            assert!(has(&[product.colour.name]) || has(product.colour.synonyms));
            assert_eq!(texts.captions[0], texts.refined);
            assert!((2..=4).contains(&texts.captions.len()));
            assert!(!texts.raw.is_empty() && !texts.raw.contains("  "));
        }
    }
}
